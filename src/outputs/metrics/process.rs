//! What the kernel says of this process, under the names that every exporter uses.

use std::fmt::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Families, Family};
use crate::source::clock;

/// Figures of a process; none where the kernel does not say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProcessFigures {
    /// Processor time of all threads.
    pub cpu: Option<Duration>,
    /// Seconds since 1970, to a second: the kernel counts from the boot, and rounds when that was.
    pub start_time_seconds: Option<f64>,
    /// How long it has been running.
    pub uptime_seconds: Option<f64>,
    /// Memory that is in RAM.
    pub resident_bytes: Option<u64>,
    /// Address space.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// File descriptors that are open.
    pub open_fds: Option<u64>,
    /// How many may be.
    pub max_fds: Option<u64>,
}

impl ProcessFigures {
    /// Of this process, now.
    #[must_use]
    pub fn read() -> Self {
        let cpu = Some(clock::processor_time());
        Self { cpu, ..Self::under(Path::new("/proc"), Path::new("/proc/self")) }
    }

    fn under(proc: &Path, process: &Path) -> Self {
        let text = |path: &Path| fs::read_to_string(path).ok();
        let stat = text(&process.join("stat"));
        let started = stat.as_deref().and_then(ticks_from_boot_to_start);
        let booted = text(&proc.join("stat")).and_then(|stat| number_after(&stat, "btime "));
        let up = text(&proc.join("uptime"))
            .and_then(|uptime| uptime.split(' ').next()?.parse::<f64>().ok());
        let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND;
        let status = text(&process.join("status")).unwrap_or_default();
        let kib = |name| number_after(&status, name).map(|kib| kib * 1024);
        let limits = text(&process.join("limits")).unwrap_or_default();
        let open = fs::read_dir(process.join("fd")).ok().map(|fds| fds.count() as u64);
        Self {
            cpu: None,
            start_time_seconds: booted
                .zip(started)
                .map(|(booted, started)| booted as f64 + seconds(started)),
            uptime_seconds: up.zip(started).map(|(up, started)| (up - seconds(started)).max(0.0)),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: number_after(&status, "Threads:"),
            open_fds: open,
            max_fds: number_after(&limits, "Max open files"),
        }
    }
}

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut families = Families(&mut encoder);
        let cpu = self.cpu.map(|cpu| (Vec::new(), cpu.as_secs_f64()));
        families.sums(CPU, cpu)?;
        let counted = |value: Option<u64>| value.map(|value| value as f64);
        for (family, value) in [
            (START_TIME, self.start_time_seconds),
            (UPTIME, self.uptime_seconds),
            (RESIDENT, counted(self.resident_bytes)),
            (VIRTUAL, counted(self.virtual_bytes)),
            (THREADS, counted(self.threads)),
            (OPEN_FDS, counted(self.open_fds)),
            (MAX_FDS, counted(self.max_fds)),
        ] {
            families.gauge(family, value)?;
        }
        Ok(())
    }
}

/// Field 22 of `/proc/PID/stat`. The second one is the program's name in brackets, which may hold anything.
fn ticks_from_boot_to_start(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

/// The number after a name at the start of a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// What the kernel counts in towards programs (USER_HZ), on every machine that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

const CPU: Family =
    Family::new("process_cpu", "seconds", "Processor time of all threads of the daemon");
const START_TIME: Family =
    Family::new("process_start_time", "seconds", "When the daemon was started, since 1970");
const UPTIME: Family =
    Family::new("process_uptime", "seconds", "How long the daemon has been running");
const RESIDENT: Family =
    Family::new("process_resident_memory", "bytes", "Memory of the daemon that is in RAM");
const VIRTUAL: Family =
    Family::new("process_virtual_memory", "bytes", "Address space of the daemon");
const THREADS: Family = Family::new("process_threads", "", "Threads of the daemon");
const OPEN_FDS: Family =
    Family::new("process_open_fds", "", "File descriptors that the daemon has open");
const MAX_FDS: Family =
    Family::new("process_max_fds", "", "File descriptors that the daemon may have open");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_where_the_kernel_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let process = dir.path().join("self");
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::write(process.join("fd/0"), "").unwrap();
        fs::write(dir.path().join("stat"), "cpu 1 2\nbtime 1764000000\nprocesses 9\n").unwrap();
        fs::write(dir.path().join("uptime"), "120.50 200.00\n").unwrap();
        // A name with a bracket and blanks; the start is 10 000 ticks after the boot.
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 1 1 0 0 20 0 9 0 10000 5 6 7\n";
        fs::write(process.join("stat"), stat).unwrap();
        let status = "Name:\tqsegment\nVmSize:\t    2048 kB\nVmRSS:\t     100 kB\nThreads:\t9\n";
        fs::write(process.join("status"), status).unwrap();
        let limits =
            "Limit  Soft  Hard  Units\nMax open files            1024     4096     files\n";
        fs::write(process.join("limits"), limits).unwrap();
        let want = ProcessFigures {
            cpu: None,
            start_time_seconds: Some(1_764_000_100.0),
            uptime_seconds: Some(20.5),
            resident_bytes: Some(102_400),
            virtual_bytes: Some(2_097_152),
            threads: Some(9),
            open_fds: Some(1),
            max_fds: Some(1024),
        };
        assert_eq!(ProcessFigures::under(dir.path(), &process), want);
        let nothing = ProcessFigures::under(Path::new("/nowhere"), Path::new("/nowhere"));
        assert_eq!(nothing, ProcessFigures::default());
    }

    #[test]
    fn this_process_has_all_of_them() {
        let own = ProcessFigures::read();
        assert!(own.cpu.unwrap() > Duration::ZERO);
        assert!(own.resident_bytes.unwrap() > 100_000, "{own:?}");
        assert!(own.threads.unwrap() >= 1 && own.open_fds.unwrap() >= 3, "{own:?}");
        assert!(own.start_time_seconds.unwrap() > 1.0e9 && own.max_fds.is_some(), "{own:?}");
    }
}
