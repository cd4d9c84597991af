//! What this machine is, so that a figure can be compared with another machine's. Its name is nobody's affair.

use std::fs;
use std::path::Path;

use qsegment::outputs::system_report::Machine;

/// Reads it from the kernel's files under `root`; what cannot be read is said to be unknown.
pub(crate) fn read(root: &Path) -> Machine {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let one_line = |path: &str| {
        let line = text(path).trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned();
        Some(line).filter(|line| !line.is_empty())
    };
    let unknown = || "unknown".to_owned();
    Machine {
        board: one_line("proc/device-tree/model"),
        cpu: processor(&text("proc/cpuinfo")).unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        simd: vector_instructions(),
        kernel: one_line("proc/sys/kernel/osrelease").unwrap_or_else(unknown),
        build: if cfg!(debug_assertions) {
            "development: slower than a release build, its times are no figures to quote"
        } else {
            "release"
        },
    }
}

/// Programs that ran or waited to, mean of one minute; none where the kernel does not tell it.
pub(super) fn load_average(root: &Path) -> Option<f64> {
    fs::read_to_string(root.join("proc/loadavg")).ok()?.split(' ').next()?.parse().ok()
}

/// x86 has a name; Arm has numbers of implementer and part.
fn processor(cpu_info: &str) -> Option<String> {
    let field = |name: &str| {
        cpu_info.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    field("model name").or_else(|| {
        let (implementer, part) = (field("CPU implementer")?, field("CPU part")?);
        Some(match (implementer.as_str(), part.as_str()) {
            ("0x41", "0xd03") => "Arm Cortex-A53".to_owned(),
            ("0x41", "0xd08") => "Arm Cortex-A72".to_owned(),
            ("0x41", "0xd0b") => "Arm Cortex-A76".to_owned(),
            _ => format!("implementer {implementer}, part {part}"),
        })
    })
}

#[cfg(target_arch = "x86_64")]
fn vector_instructions() -> Vec<&'static str> {
    let there = [
        ("SSE2", is_x86_feature_detected!("sse2")),
        ("SSE4.2", is_x86_feature_detected!("sse4.2")),
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("AVX-512F", is_x86_feature_detected!("avx512f")),
        ("AVX-512BW", is_x86_feature_detected!("avx512bw")),
        ("AVX-512VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX-512VBMI", is_x86_feature_detected!("avx512vbmi")),
        ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
    ];
    named(&there)
}

#[cfg(target_arch = "aarch64")]
fn vector_instructions() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as detected;
    let there = [
        ("NEON", detected!("neon")),
        ("dot product", detected!("dotprod")),
        ("I8MM", detected!("i8mm")),
        ("SVE", detected!("sve")),
    ];
    named(&there)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_instructions() -> Vec<&'static str> {
    named(&[])
}

fn named(there: &[(&'static str, bool)]) -> Vec<&'static str> {
    there.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_of_both_kinds_have_a_name() {
        let amd = "processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: other\n";
        assert_eq!(processor(amd).as_deref(), Some("AMD EPYC"));
        let pi5 = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n";
        assert_eq!(processor(pi5).as_deref(), Some("Arm Cortex-A76"));
        let other = "CPU implementer\t: 0x61\nCPU part\t: 0x022\n";
        assert_eq!(processor(other).as_deref(), Some("implementer 0x61, part 0x022"));
        assert_eq!(processor(""), None);
    }

    #[test]
    fn a_machine_that_tells_nothing_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/device-tree")).unwrap();
        fs::write(root.path().join("proc/device-tree/model"), "Raspberry Pi 5 Model B Rev 1.0\0")
            .unwrap();
        let machine = read(root.path());
        assert_eq!(machine.board.as_deref(), Some("Raspberry Pi 5 Model B Rev 1.0"));
        assert_eq!((machine.cpu.as_str(), machine.kernel.as_str()), ("unknown", "unknown"));
        assert!(machine.cores >= 1);
        assert_eq!(load_average(root.path()), None);
        fs::write(root.path().join("proc/loadavg"), "0.52 0.48 0.40 2/812 4711\n").unwrap();
        assert_eq!(load_average(root.path()), Some(0.52));
    }
}
