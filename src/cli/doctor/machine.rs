//! Which computer, kernel and processor, and how much memory.

use qsegment::emulator;

use super::check::{Check, Question};
use super::host::Host;
use crate::cli::bench::machine;

const BOARD: Question =
    Question::new("board", "a Raspberry Pi for the camera; any machine without");
const KERNEL: Question = Question::new("kernel", "Raspberry Pi's, for the camera");
const PROCESSOR: Question = Question::new("processor", "a kernel of the emulator that it can run");
const MEMORY: Question = Question::new("memory", "128 MiB available");

/// What the device tree calls the computer.
pub(super) fn board(host: &Host) -> Option<String> {
    host.text("/proc/device-tree/model").filter(|model| !model.is_empty())
}

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let kernel = emulator::Kernel::chosen();
    let processor = match (host.is_this(), &kernel) {
        (true, Ok(kernel)) => Ok(format!("; the emulator uses its kernel {kernel}")),
        (true, Err(error)) => Err(error.to_string()),
        // What that machine's processor can is not in its files.
        (false, _) => Ok(String::new()),
    };
    vec![
        board_check(host),
        kernel_check(host),
        processor_check(host, processor),
        memory_check(host.text("/proc/meminfo").as_deref()),
    ]
}

fn board_check(host: &Host) -> Check {
    match board(host) {
        Some(model) => BOARD.ok(model),
        None if host.has_kernel_files() => BOARD.ok("no Raspberry Pi, so without its camera"),
        None => BOARD.skipped("not in these files: /proc and /sys of a running machine tell it"),
    }
}

fn kernel_check(host: &Host) -> Check {
    let Some(release) = host.text("/proc/sys/kernel/osrelease") else {
        let installed = host.kernels();
        return match installed.as_slice() {
            [] => KERNEL.skipped("not in these files"),
            installed => KERNEL.ok(format!("installed: {}", installed.join(", "))),
        };
    };
    let built = host.text("/proc/version").and_then(|version| build_date(&version));
    KERNEL.ok(match built {
        Some(date) => format!("{release}, of {date}"),
        None => release,
    })
}

/// Debian and Raspberry Pi write it in parentheses at the end.
pub(super) fn build_date(version: &str) -> Option<String> {
    let date = version.rsplit_once('(')?.1.trim_end_matches(')');
    let digits = |at: std::ops::Range<usize>| {
        date.get(at).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_date = date.len() == 10
        && (digits(0..4) && digits(5..7) && digits(8..10))
        && date.get(4..5) == Some("-")
        && date.get(7..8) == Some("-");
    is_date.then(|| date.to_owned())
}

fn processor_check(host: &Host, kernel: Result<String, String>) -> Check {
    let info = host.text("/proc/cpuinfo").unwrap_or_default();
    let cores =
        info.lines().filter(|line| line.split(':').next().map(str::trim) == Some("processor"));
    let cores = cores.count();
    match kernel {
        Err(error) => PROCESSOR
            .fail(error, format!("unset {}, or set it to one of these", emulator::KERNEL_VARIABLE)),
        Ok(_) if cores == 0 => PROCESSOR.skipped("not in these files"),
        Ok(kernel) => {
            let plural = if cores == 1 { "" } else { "s" };
            let name = machine::read(host.root()).cpu;
            PROCESSOR.ok(format!("{cores} core{plural} of {name}{kernel}"))
        }
    }
}

fn memory_check(meminfo: Option<&str>) -> Check {
    let mebibytes = |name: &str| {
        let line = meminfo?.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10)
    };
    let (Some(total), Some(available)) = (mebibytes("MemTotal"), mebibytes("MemAvailable")) else {
        return MEMORY.skipped("not in these files");
    };
    let found = format!("{available} of {total} MiB available");
    if available < LEAST_MEBIBYTES {
        MEMORY.warn(found, "close programs: `ps -eo rss,comm --sort=-rss | head` names the largest")
    } else {
        MEMORY.ok(found)
    }
}

/// The daemon takes 58 MB with the page streaming (README); raw pictures come on top. A Zero 2 W has 512 MiB.
const LEAST_MEBIBYTES: u64 = 128;

/// Whether it is one, by its device tree.
pub(super) fn is_raspberry_pi(board: Option<&str>) -> bool {
    board.is_some_and(|model| model.starts_with("Raspberry Pi"))
}

/// Whether the kernel is from before linux#7323: it powers the sensor off 5 s after a stream, and the network is lost.
pub(super) fn forgets_the_network(host: &Host) -> bool {
    let built = host.text("/proc/version").and_then(|version| build_date(&version));
    // Dates of this form are in the order of their letters.
    built.is_some_and(|built| *built < *KEEPS_SINCE)
}

const KEEPS_SINCE: &str = "2026-04-01";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn kernel_s_date_is_the_last_thing_in_parentheses() {
        let pi = "Linux version 6.12.34+rpt-rpi-2712 (serge@raspberrypi.com) (gcc (Debian 12.2.0-14) \
                  12.2.0) #1 SMP PREEMPT Debian 1:6.12.34-1+rpt1~bookworm (2025-06-26)";
        assert_eq!(build_date(pi).as_deref(), Some("2025-06-26"));
        for other in
            ["", "Linux version 6.8.0 (x@y) #1 SMP Thu Nov 6", "(20-5-06-266)", "(é025-06-2)"]
        {
            assert_eq!(build_date(other), None, "{other}");
        }
    }

    #[test]
    fn little_memory_is_a_warning_and_none_told_is_skipped() {
        let check = |kib: u64| {
            memory_check(Some(&format!("MemTotal: 524288 kB\nMemAvailable:   {kib} kB\n")))
        };
        assert_eq!(check(300 << 10).verdict, Verdict::Ok);
        let little = check(100 << 10);
        assert_eq!(
            (little.verdict, little.found.as_str()),
            (Verdict::Warn, "100 of 512 MiB available")
        );
        assert_eq!(memory_check(None).verdict, Verdict::Skipped);
    }

    #[test]
    fn wrong_kernel_variable_is_a_failure_that_names_it() {
        let check = processor_check(&Host::this(), Err("kernel \"x\" is not known".into()));
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.next.unwrap().contains(emulator::KERNEL_VARIABLE));
    }
}
