//! Rates over the last seconds: what the status block shows, where the report has the whole run.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::pipeline::Counters;
use crate::source::clock::Timestamp;

/// Counters of the last few seconds, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(Timestamp, Counters)>);

/// Per second of host time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct RecentRates {
    /// Host time that the rates are taken over.
    pub(super) window_s: f64,
    /// Metadata buffers taken from the source.
    pub(super) buffers_per_s: f64,
    /// Valid output tensors.
    pub(super) tensors_per_s: f64,
    /// Frames published: pictures with the mask that belongs to them.
    pub(super) pictures_per_s: f64,
}

impl Recent {
    /// Whether the last sample is old enough for another.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.0.back().is_none_or(|(last, _)| now.since(*last) >= INTERVAL)
    }
    pub(super) fn push(&mut self, now: Timestamp, counters: Counters) {
        self.0.push_back((now, counters));
        // The oldest sample stays until the next one alone covers the window.
        while self.0.get(1).is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.0.pop_front();
        }
    }
    /// None before the second sample.
    pub(super) fn rates(&self) -> Option<RecentRates> {
        let (from, then) = self.0.front()?;
        let (to, now) = self.0.back()?;
        let window_s = to.since(*from).as_secs_f64();
        let rate = |then: u64, now: u64| now.saturating_sub(then) as f64 / window_s;
        (window_s > 0.0).then(|| RecentRates {
            window_s,
            buffers_per_s: rate(then.buffers, now.buffers),
            tensors_per_s: rate(then.outputs, now.outputs),
            pictures_per_s: rate(then.paired, now.paired),
        })
    }
}

const INTERVAL: Duration = Duration::from_millis(500);
const WINDOW: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(half_seconds: u32) -> Timestamp {
        Timestamp::default().plus(INTERVAL * half_seconds)
    }

    #[test]
    fn rates_follow_the_last_five_seconds_and_fall_to_zero_in_a_stall() {
        let mut recent = Recent::default();
        assert_eq!(recent.rates(), None);
        let mut counters = Counters::default();
        for i in 0..20 {
            assert!(recent.is_due(at(i)));
            recent.push(at(i), counters);
            counters.buffers += 15;
            counters.outputs += 8;
            counters.paired += 7;
        }
        let rates = recent.rates().unwrap();
        assert_eq!((rates.window_s, rates.buffers_per_s), (5.0, 30.0));
        assert_eq!((rates.tensors_per_s, rates.pictures_per_s), (16.0, 14.0));
        for i in 20..32 {
            recent.push(at(i), counters);
        }
        assert_eq!(recent.rates().unwrap().buffers_per_s, 0.0);
    }

    #[test]
    fn is_not_due_before_half_a_second() {
        let mut recent = Recent::default();
        recent.push(at(1), Counters::default());
        assert!(!recent.is_due(at(1)));
        assert_eq!(recent.rates(), None, "one sample has no rate");
    }
}
