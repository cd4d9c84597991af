//! What wears away over months: room on the disk, and a clock that nobody sets.

use std::time::{Duration, SystemTime};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::check::{Check, Question};
use super::host::Host;

const DISK: Question =
    Question::new("disk", "200 MiB that can be written here (reports) and in /var (logs)");
const CLOCK: Question = Question::new("clock", "a plausible date, set by the network");

pub(super) fn checks(host: &Host) -> Vec<Check> {
    if !host.is_this() {
        let why = "only the running machine can tell";
        return vec![DISK.skipped(why), CLOCK.skipped(why)];
    }
    let spaces = [("here", "."), ("/var", "/var")].into_iter().filter_map(|(shown, folder)| {
        let facts = statvfs(folder).ok()?;
        let free_bytes = facts.f_bavail.saturating_mul(facts.f_frsize);
        let read_only = facts.f_flag.contains(StatVfsMountFlags::RDONLY);
        Some(Space { folder: shown, free_bytes, read_only })
    });
    let sync = if host.exists("/run/systemd/timesync/synchronized") {
        Sync::Set
    } else if host.exists("/run/systemd/timesync") {
        Sync::NotYet
    } else {
        let others = ["/run/chrony", "/run/ntpd.pid", "/run/ntpsec"];
        if others.iter().any(|path| host.exists(path)) { Sync::ByAnother } else { Sync::Nobody }
    };
    vec![disk(&spaces.collect::<Vec<_>>()), clock(SystemTime::now(), sync)]
}

struct Space {
    folder: &'static str,
    free_bytes: u64,
    read_only: bool,
}

fn disk(spaces: &[Space]) -> Check {
    if spaces.is_empty() {
        return DISK.skipped("the system does not tell");
    }
    let told: Vec<String> = spaces
        .iter()
        .map(|space| match space.read_only {
            true => format!("{} cannot be written", space.folder),
            false => {
                format!("{:.1} GB free {}", space.free_bytes as f64 / 1e9, place(space.folder))
            }
        })
        .collect();
    let found = told.join(", ");
    if spaces.iter().any(|space| space.read_only) {
        DISK.warn(
            found,
            "mounted read-only: where that is not meant, the card is failing (`dmesg | grep -iE 'mmc|ext4'`): save \
             what is on it",
        )
    } else if spaces.iter().any(|space| space.free_bytes < LEAST_BYTES) {
        DISK.warn(
            found,
            "`sudo journalctl --vacuum-size=50M; sudo apt clean`, and move reports away",
        )
    } else {
        DISK.ok(found)
    }
}

fn place(folder: &str) -> String {
    if folder.starts_with('/') { format!("in {folder}") } else { folder.to_owned() }
}

/// Whether somebody sets the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Set,
    NotYet,
    ByAnother,
    Nobody,
}

fn clock(now: SystemTime, sync: Sync) -> Check {
    let date = humantime::format_rfc3339_seconds(now).to_string();
    if now < SystemTime::UNIX_EPOCH + PLAUSIBLE_SINCE {
        return CLOCK.warn(
            format!("{date}, which is before this program was written"),
            "a Raspberry Pi without a battery forgets the time: `timedatectl`, or `sudo date -s '2026-01-31 12:00'`",
        );
    }
    match sync {
        Sync::Set => CLOCK.ok(format!("{date}, set by the network")),
        Sync::ByAnother => CLOCK.ok(format!("{date}; another service than timesyncd sets it")),
        Sync::NotYet => CLOCK.warn(
            format!("{date}, not set by the network yet: dates in reports may be wrong, latencies are not"),
            "connect the network, then `timedatectl status`",
        ),
        Sync::Nobody => CLOCK.skipped(format!("{date}; nobody here tells whether it is right")),
    }
}

const LEAST_BYTES: u64 = 200 << 20;
/// 2025-07-01.
const PLAUSIBLE_SINCE: Duration = Duration::from_secs(1_751_328_000);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn full_or_read_only_disk_is_a_warning() {
        let space = |free_bytes, read_only| Space { folder: "/var", free_bytes, read_only };
        assert_eq!(disk(&[space(5 << 30, false)]).verdict, Verdict::Ok);
        assert_eq!(disk(&[space(5 << 30, false), space(100 << 20, false)]).verdict, Verdict::Warn);
        let failing = disk(&[space(5 << 30, true)]);
        assert_eq!(
            (failing.verdict, failing.found.as_str()),
            (Verdict::Warn, "/var cannot be written")
        );
        assert!(failing.next.unwrap().contains("mmc"));
    }

    #[test]
    fn clock_that_stands_in_the_past_is_a_warning_whoever_sets_it() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(clock(at(0), Sync::Set).verdict, Verdict::Warn);
        let today = at(1_780_000_000);
        assert_eq!(clock(today, Sync::Set).verdict, Verdict::Ok);
        assert_eq!(clock(today, Sync::NotYet).verdict, Verdict::Warn);
        assert_eq!(clock(today, Sync::Nobody).verdict, Verdict::Skipped);
        assert!(clock(at(0), Sync::Nobody).found.starts_with("1970-01-01T00:00:00Z"));
    }
}
