//! When which document is due. A value without a clock: it is told what time it is.
//!
//! ```text
//!                  +-- newer frame, and the period has passed --> measurements
//!   live ----------+
//!     |  ^
//!     v  |            every change of state --> health, and measurements: without numbers unless live
//!   stale, no signal
//!
//!   connected --> both at once          ten seconds --> health
//! ```
//!
//! The period holds on average, with half a period of slack, and not from one document to the next: so a camera with
//! one tensor a second and a period of a second publishes every one of them, at once, however irregularly they come.

use std::time::Duration;

use crate::source::clock::Timestamp;

/// Which documents have been sent when.
#[derive(Debug)]
pub(super) struct Schedule {
    period: Duration,
    /// When the next measurements may go, or up to [`slack`](Self::slack) before.
    next_measurements: Option<Timestamp>,
    last_health: Option<Timestamp>,
    sent_sequence: Option<u64>,
    sent_state: Option<&'static str>,
}

/// What is to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Due {
    pub(super) measurements: bool,
    pub(super) health: bool,
}

impl Schedule {
    pub(super) fn new(period: Duration) -> Self {
        Self {
            period,
            next_measurements: None,
            last_health: None,
            sent_sequence: None,
            sent_state: None,
        }
    }

    /// Nothing of what was sent counts: who listens may be new.
    pub(super) fn start_over(&mut self) {
        *self = Self::new(self.period);
    }

    /// What is due; it counts as sent. `live` is the newest frame's number where its numbers are true now.
    pub(super) fn take(&mut self, now: Timestamp, state: &'static str, live: Option<u64>) -> Due {
        let turned = self.sent_state.replace(state) != Some(state);
        let newer = live.is_some() && live != self.sent_sequence;
        let may = self.next_measurements.is_none_or(|at| now.plus(self.slack()) >= at);
        let due = Due {
            measurements: turned || (newer && may),
            health: turned || self.last_health.is_none_or(|last| now.since(last) >= HEALTH_EVERY),
        };
        if due.measurements {
            // A change of state begins anew: what it came between has nothing to do with the frames' rhythm.
            let began = self.next_measurements.filter(|_| !turned).unwrap_or(now);
            let latest = Timestamp(now.0.saturating_sub(Timestamp::default().plus(self.slack()).0));
            self.next_measurements = Some(began.max(latest).plus(self.period));
            self.sent_sequence = live.or(self.sent_sequence);
        }
        if due.health {
            self.last_health = Some(now);
        }
        due
    }

    /// How long nothing is due, unless a frame comes or the state changes.
    pub(super) fn rest(&self, now: Timestamp, live: Option<u64>) -> Duration {
        let waits = live.is_some() && live != self.sent_sequence;
        let until_measurements = self
            .next_measurements
            .filter(|_| waits)
            .map_or(LOOK_AGAIN, |at| at.since(now.plus(self.slack())));
        until_measurements.min(LOOK_AGAIN)
    }

    fn slack(&self) -> Duration {
        self.period / 2
    }
}

/// Health also when nothing changes, so that its rates and ages are of now.
const HEALTH_EVERY: Duration = Duration::from_secs(10);

/// A state that changes because nothing comes is seen so late at most.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Due = Due { measurements: true, health: true };
    const MEASUREMENTS: Due = Due { measurements: true, health: false };
    const NOTHING: Due = Due { measurements: false, health: false };

    fn ms(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    fn schedule() -> Schedule {
        Schedule::new(Duration::from_secs(1))
    }

    #[test]
    fn measurements_go_once_a_period_on_average_and_never_twice() {
        let mut schedule = schedule();
        assert_eq!(schedule.take(ms(0), "live", Some(1)), BOTH);
        assert_eq!(schedule.take(ms(400), "live", Some(2)), NOTHING);
        assert_eq!(schedule.rest(ms(400), Some(2)), Duration::from_millis(100));
        assert_eq!(schedule.take(ms(500), "live", Some(2)), MEASUREMENTS);
        assert_eq!(schedule.take(ms(1400), "live", Some(3)), NOTHING);
        assert_eq!(schedule.take(ms(1500), "live", Some(3)), MEASUREMENTS);
        assert_eq!(schedule.take(ms(4000), "live", Some(3)), NOTHING);
        assert_eq!(schedule.rest(ms(4000), Some(3)), LOOK_AGAIN);
        // Thirty frames a second for a minute.
        let sent = (0..1800_u64)
            .filter(|i| schedule.take(ms(5000 + i * 1000 / 30), "live", Some(10 + i)).measurements)
            .count();
        assert!((60..=61).contains(&sent), "{sent}");
    }

    #[test]
    fn one_frame_a_period_is_sent_at_once_however_irregular() {
        let mut schedule = schedule();
        schedule.take(ms(0), "no_signal", None);
        for (sequence, late) in [300, 0, 304, 0, 420, 3, 0, 499, 0, 250].into_iter().enumerate() {
            let sequence = sequence as u64;
            let due = schedule.take(ms(200 + sequence * 1000 + late), "live", Some(sequence));
            assert!(due.measurements, "{sequence}");
        }
    }

    #[test]
    fn a_change_of_state_is_sent_at_once_with_both_documents() {
        let mut schedule = schedule();
        schedule.take(ms(0), "live", Some(1));
        assert_eq!(schedule.take(ms(100), "stale", None), BOTH);
        assert_eq!(schedule.take(ms(200), "stale", None), NOTHING);
        assert_eq!(schedule.take(ms(300), "live", Some(2)), BOTH);
    }

    #[test]
    fn health_goes_every_ten_seconds_and_everything_after_a_new_connection() {
        let mut schedule = schedule();
        schedule.take(ms(0), "no_signal", None);
        assert_eq!(schedule.take(ms(9_999), "no_signal", None), NOTHING);
        let health = Due { measurements: false, health: true };
        assert_eq!(schedule.take(ms(10_000), "no_signal", None), health);
        schedule.start_over();
        assert_eq!(schedule.take(ms(10_001), "no_signal", None), BOTH);
    }

    /// A source that starts again counts from the beginning.
    #[test]
    fn a_smaller_number_is_another_frame() {
        let mut schedule = schedule();
        schedule.take(ms(0), "live", Some(900));
        assert_eq!(schedule.take(ms(1000), "live", Some(0)), MEASUREMENTS);
    }
}
