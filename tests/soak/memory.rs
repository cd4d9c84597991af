//! Resident memory of this process over time.

use std::fmt;

/// Samples of it, from the end of the warm-up on.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    first_kib: u64,
    least_kib: u64,
    most_kib: u64,
    last_kib: u64,
    samples: usize,
    file: String,
}

impl Memory {
    /// Allocates nothing but the first time.
    pub(crate) fn sample(&mut self) {
        let now = self.resident_kib();
        if self.samples == 0 {
            (self.first_kib, self.least_kib) = (now, now);
        }
        self.samples += 1;
        self.least_kib = self.least_kib.min(now);
        self.most_kib = self.most_kib.max(now);
        self.last_kib = now;
    }

    /// Every sample is within 2 % of the first one.
    pub(crate) fn check(&self) {
        assert!(self.samples >= 40, "{self}");
        let off = (self.most_kib - self.first_kib).max(self.first_kib - self.least_kib);
        assert!(off * 50 <= self.first_kib, "it leaks: {self}");
    }

    /// By the page tables: the counters in `status` and `statm` are behind by up to a few dozen pages a
    /// processor, which is more than is looked for.
    fn resident_kib(&mut self) -> u64 {
        use std::io::Read;
        self.file.clear();
        let mut smaps = std::fs::File::open("/proc/self/smaps_rollup").unwrap();
        smaps.read_to_string(&mut self.file).unwrap();
        let line = self.file.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first_kib, least_kib, most_kib, last_kib, samples, .. } = self;
        write!(
            f,
            "resident: {first_kib} KiB after the warm-up, then {least_kib} to {most_kib}, {last_kib} at the \
             end ({samples} samples)"
        )
    }
}
