//! What the mere arrival of buffers tells: gaps in their numbering, stalls, and masks that have
//! become stale.

use super::{Counters, Limits};
use crate::source::clock::Timestamp;

/// One buffer's arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// Number the receiver gave the buffer.
    pub(super) sequence: u64,
    /// When its last line was at the host, sensor clock.
    pub(super) tensor_at_host: Timestamp,
    /// Buffers that capture has dropped so far because decode was behind. The receiver had them:
    /// they are in its numbering, but not lost.
    pub(super) dropped_before: u64,
}

/// Watches the arrivals. It knows no clock: every time is a stamp of a buffer.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    last: Option<Arrived>,
    first_at: Timestamp,
    /// Start of the frame whose mask is the newest one published.
    newest_mask: Option<Timestamp>,
}

impl Arrivals {
    /// Counts `buffers`, `lost_buffers`, `stalls` and `stale`. Before the first mask nothing is
    /// stale.
    pub(super) fn push(&mut self, arrived: Arrived, limits: &Limits, counters: &mut Counters) {
        let dropped = self.newly_dropped(arrived.dropped_before);
        counters.buffers += 1 + dropped;
        if let Some(last) = self.last {
            let missing = arrived.sequence.saturating_sub(last.sequence).saturating_sub(1);
            counters.lost_buffers += missing.saturating_sub(dropped);
            // Buffers that were dropped did arrive in between: the camera has not stalled.
            let gap = arrived.tensor_at_host.since(last.tensor_at_host);
            counters.stalls += u64::from(dropped == 0 && gap > limits.stall_after());
        } else {
            self.first_at = arrived.tensor_at_host;
        }
        if let Some(frame_start) = self.newest_mask {
            let age = arrived.tensor_at_host.since(frame_start);
            counters.stale += u64::from(age > limits.stale_after());
        }
        self.last = Some(arrived);
    }
    /// The run has ended, with so many buffers dropped in all: the latest of them came after the
    /// last arrival.
    pub(super) fn end(&self, dropped: u64, counters: &mut Counters) {
        counters.buffers += self.newly_dropped(dropped);
    }
    fn newly_dropped(&self, dropped: u64) -> u64 {
        dropped.saturating_sub(self.last.map_or(0, |last| last.dropped_before))
    }
    /// A mask was published whose frame started then.
    pub(super) fn mask_published(&mut self, frame_start: Timestamp) {
        self.newest_mask = Some(frame_start);
    }
    /// Arrival of the first and of the last buffer.
    #[must_use]
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.last.map(|last| (self.first_at, last.tensor_at_host))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Arrivals, Arrived};
    use crate::pipeline::{Counters, Limits};
    use crate::source::clock::Timestamp;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    fn limits() -> Limits {
        Limits::new(128, Duration::from_millis(200), Duration::from_millis(100))
    }

    /// Feeds (sequence, arrival in ms, dropped so far).
    fn feed(arrivals: &mut Arrivals, buffers: &[(u64, u64, u64)]) -> Counters {
        let mut counters = Counters::default();
        for &(sequence, ms, dropped_before) in buffers {
            let arrived = Arrived { sequence, tensor_at_host: at_ms(ms), dropped_before };
            arrivals.push(arrived, &limits(), &mut counters);
        }
        counters
    }

    #[test]
    fn gap_in_the_numbering_is_lost_buffers() {
        let counters = feed(&mut Arrivals::default(), &[(7, 0, 0), (8, 33, 0), (11, 132, 0)]);
        assert_eq!((counters.buffers, counters.lost_buffers), (3, 2));
    }

    #[test]
    fn first_number_is_no_gap_and_going_back_is_none() {
        let counters = feed(&mut Arrivals::default(), &[(1000, 0, 0), (5, 33, 0), (5, 66, 0)]);
        assert_eq!((counters.buffers, counters.lost_buffers), (3, 0));
    }

    #[test]
    fn dropped_buffers_were_taken_and_are_neither_lost_nor_a_stall() {
        let mut arrivals = Arrivals::default();
        let mut counters = feed(&mut arrivals, &[(0, 0, 0), (6, 198, 4)]);
        assert_eq!((counters.buffers, counters.lost_buffers, counters.stalls), (6, 1, 0));
        arrivals.end(7, &mut counters);
        assert_eq!(counters.buffers, 9);
    }

    #[test]
    fn only_a_gap_longer_than_the_limit_is_a_stall() {
        let counters =
            feed(&mut Arrivals::default(), &[(0, 0, 0), (1, 100, 0), (2, 201, 0), (3, 234, 0)]);
        assert_eq!(counters.stalls, 1);
    }

    #[test]
    fn every_arrival_with_an_old_mask_is_stale() {
        let mut arrivals = Arrivals::default();
        assert_eq!(feed(&mut arrivals, &[(0, 500, 0)]).stale, 0, "no mask yet");
        arrivals.mask_published(at_ms(480));
        let counters = feed(&mut arrivals, &[(1, 600, 0), (2, 680, 0), (3, 681, 0), (4, 700, 0)]);
        assert_eq!(counters.stale, 2);
        arrivals.mask_published(at_ms(690));
        assert_eq!(feed(&mut arrivals, &[(5, 733, 0)]).stale, 0);
    }

    #[test]
    fn span_is_from_first_to_last() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.span(), None);
        feed(&mut arrivals, &[(0, 10, 0), (1, 43, 0), (2, 76, 0)]);
        assert_eq!(arrivals.span(), Some((at_ms(10), at_ms(76))));
    }
}
