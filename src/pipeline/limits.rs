//! What may be set anew while frames flow.
//!
//! The next frame is judged by what was set last; outputs that ask for the stale limit see the same value as the
//! pipeline counts by. No lock: the frame path reads these for each buffer.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Threshold and limits of a running pipeline.
#[derive(Debug)]
pub struct Limits {
    threshold: AtomicU8,
    stale_after_us: AtomicU64,
    stall_after_us: AtomicU64,
}

impl Limits {
    /// `threshold`: the mask is `probability >= threshold`, 0..=255 for 0.0..=1.0. A mask older than `stale_after`
    /// is stale, a gap between two buffers longer than `stall_after` is a stall.
    #[must_use]
    pub fn new(threshold: u8, stale_after: Duration, stall_after: Duration) -> Self {
        Self {
            threshold: AtomicU8::new(threshold),
            stale_after_us: AtomicU64::new(microseconds(stale_after)),
            stall_after_us: AtomicU64::new(microseconds(stall_after)),
        }
    }
    /// From the next frame on.
    pub fn set(&self, threshold: u8, stale_after: Duration, stall_after: Duration) {
        self.threshold.store(threshold, Ordering::Relaxed);
        self.stale_after_us.store(microseconds(stale_after), Ordering::Relaxed);
        self.stall_after_us.store(microseconds(stall_after), Ordering::Relaxed);
    }
    /// The mask is `probability >= threshold`.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold.load(Ordering::Relaxed)
    }
    /// A mask older than this is stale.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        Duration::from_micros(self.stale_after_us.load(Ordering::Relaxed))
    }
    /// A gap between two buffers longer than this is a stall.
    #[must_use]
    pub fn stall_after(&self) -> Duration {
        Duration::from_micros(self.stall_after_us.load(Ordering::Relaxed))
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
