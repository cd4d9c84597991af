//! When to try what, so that a camera that has stopped giving tensors gives them again, or it is said that it
//! will not.
//!
//! ```text
//!                        what is seen                          what is tried
//!
//!   [well] <--tensor--   no tensor for a while            ->   nothing: late ones are waited for
//!     |                  pictures, but still no tensor    ->   set the network again        --+
//!     |                  stalled: silence, stream ended   ->   stop and start the stream    --+ each with its
//!     |                  device error, device gone        ->   close and open it, again       | own back-off
//!     |                  the step failed, or did not help ->   the next stronger one        --+
//!     |                                                                                       |
//!     +--well for a minute: steps count from 0 again                                          v
//!                        as many steps as are allowed     ->   give up: the service manager starts anew
//!                        the camera was started too often ->   give up: "power-cycle needed"
//!                        before the first buffer          ->   give up: what never worked, somebody must see
//! ```
//!
//! Bounded, because the bridge chip on the AI Camera has been seen to die after 20 to 25 starts (raspberrypi/linux
//! issue 7613): a loop of restarts would turn a small fault into one that needs a hand. A value without a clock:
//! its time is that of the buffers, so a replayed or simulated run takes the same steps every time.

use std::time::Duration;

use crate::source::clock::Timestamp;
use crate::source::recovery::{Remedy, Trouble};

/// How patient, and how persistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Buffers without a tensor for so long are more than lateness.
    pub tensor_patience: Duration,
    /// Steps in a row before giving up; 0 tries nothing.
    pub steps: u32,
    /// Wait before the second step of a row; it doubles from step to step. The first is not waited for.
    pub back_off: Duration,
    /// No wait is longer.
    pub longest_back_off: Duration,
    /// A row ends when all has been well for so long.
    pub settled_after: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            tensor_patience: Duration::from_secs(3),
            steps: 6,
            back_off: Duration::from_secs(1),
            longest_back_off: Duration::from_secs(30),
            settled_after: Duration::from_mins(1),
        }
    }
}

/// What is seen of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saw {
    /// A buffer came.
    Buffer {
        /// When, on the source's clock.
        at: Timestamp,
        /// Whether a tensor came since the last one.
        tensor: bool,
    },
    /// The source, or a step, failed.
    Trouble(Trouble),
    /// A step was taken without an error; whether it helps is yet to be seen.
    Applied,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Take the next buffer.
    GoOn,
    /// Try this, after a wait.
    Try {
        /// What.
        remedy: Remedy,
        /// Wait before it.
        after: Duration,
        /// Which in its row, from 1.
        step: u32,
    },
    /// End the run.
    GiveUp,
}

/// Counts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recoveries {
    /// Steps tried, by remedy, in the order of [`Remedy::ALL`].
    pub steps: [u64; Remedy::ALL.len()],
    /// Steps that failed, or after which it was not well.
    pub failed_steps: u64,
    /// How often all was well again afterwards.
    pub recovered: u64,
}

/// Where on the ladder a run is.
#[derive(Debug, Clone)]
pub struct Ladder {
    bounds: Bounds,
    wants_tensors: bool,
    begun: bool,
    /// The buffer from which on a tensor is waited for.
    waiting_since: Option<Timestamp>,
    /// What was tried last; none while all is well.
    tried: Option<Remedy>,
    steps_in_a_row: u32,
    well_since: Option<Timestamp>,
    counts: Recoveries,
}

impl Ladder {
    /// At the foot. Where the sensor runs no network, buffers are all that is wanted.
    #[must_use]
    pub fn new(bounds: Bounds, wants_tensors: bool) -> Self {
        Self {
            bounds,
            wants_tensors,
            begun: false,
            waiting_since: None,
            tried: None,
            steps_in_a_row: 0,
            well_since: None,
            counts: Recoveries::default(),
        }
    }

    /// What to do about what was seen.
    pub fn push(&mut self, saw: Saw) -> Order {
        match saw {
            Saw::Buffer { at, tensor } => self.buffer(at, tensor),
            Saw::Applied => {
                self.waiting_since = None;
                Order::GoOn
            }
            Saw::Trouble(Trouble::Stalled) => self.climb(Remedy::Restart),
            Saw::Trouble(Trouble::Device) => self.climb(Remedy::Reopen),
            Saw::Trouble(Trouble::WornOut | Trouble::Lasting) => {
                self.judge_last_step();
                Order::GiveUp
            }
        }
    }

    /// How long no tensor has come with the buffers, until `at`.
    #[must_use]
    pub fn without_tensor(&self, at: Timestamp) -> Duration {
        self.waiting_since.map_or(Duration::ZERO, |since| at.since(since))
    }

    /// Steps allowed in a row.
    #[must_use]
    pub fn most_steps(&self) -> u32 {
        self.bounds.steps
    }

    /// Whether something was tried and it is not yet well.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.tried.is_some()
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> Recoveries {
        self.counts
    }

    fn buffer(&mut self, at: Timestamp, tensor: bool) -> Order {
        self.begun = true;
        if tensor || !self.wants_tensors {
            self.waiting_since = Some(at);
            if self.tried.take().is_some() {
                self.counts.recovered += 1;
                self.well_since = Some(at);
            }
            let settled =
                self.well_since.is_some_and(|since| at.since(since) >= self.bounds.settled_after);
            if settled {
                (self.well_since, self.steps_in_a_row) = (None, 0);
            }
            return Order::GoOn;
        }
        let since = *self.waiting_since.get_or_insert(at);
        if at.since(since) > self.bounds.tensor_patience {
            self.climb(Remedy::SetNetwork)
        } else {
            Order::GoOn
        }
    }

    /// At least `mildest`, and stronger than what has not helped.
    fn climb(&mut self, mildest: Remedy) -> Order {
        self.judge_last_step();
        if !self.begun || self.steps_in_a_row >= self.bounds.steps {
            return Order::GiveUp;
        }
        let remedy = self.tried.map_or(mildest, |tried| mildest.max(tried.stronger()));
        let after = self.wait_before(self.steps_in_a_row);
        self.steps_in_a_row += 1;
        (self.tried, self.well_since) = (Some(remedy), None);
        self.counts.steps[remedy as usize] += 1;
        Order::Try { remedy, after, step: self.steps_in_a_row }
    }

    /// Whatever is to be done next, it has not helped.
    fn judge_last_step(&mut self) {
        self.counts.failed_steps += u64::from(self.tried.is_some());
    }

    fn wait_before(&self, steps_before: u32) -> Duration {
        let Some(doublings) = steps_before.checked_sub(1) else { return Duration::ZERO };
        let factor = 2_u32.saturating_pow(doublings);
        self.bounds.back_off.saturating_mul(factor).min(self.bounds.longest_back_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder() -> Ladder {
        let mut ladder = Ladder::new(Bounds::default(), true);
        assert_eq!(ladder.push(buffer(0, true)), Order::GoOn);
        ladder
    }

    fn buffer(ms: u64, tensor: bool) -> Saw {
        Saw::Buffer { at: Timestamp(ms * 1_000_000), tensor }
    }

    fn tried(remedy: Remedy, after_s: u64, step: u32) -> Order {
        Order::Try { remedy, after: Duration::from_secs(after_s), step }
    }

    #[test]
    fn late_tensor_is_waited_for() {
        let mut ladder = ladder();
        for ms in [33, 1500, 3000] {
            assert_eq!(ladder.push(buffer(ms, false)), Order::GoOn);
        }
        assert_eq!(ladder.push(buffer(3001, true)), Order::GoOn);
        assert_eq!(ladder.push(buffer(6001, false)), Order::GoOn, "patience begins anew");
        assert_eq!(ladder.counts(), Recoveries::default());
    }

    #[test]
    fn pictures_without_tensors_set_the_network_again_and_then_reopen() {
        let mut ladder = ladder();
        assert_eq!(ladder.push(buffer(3001, false)), tried(Remedy::SetNetwork, 0, 1));
        assert_eq!(ladder.push(Saw::Applied), Order::GoOn);
        assert_eq!(ladder.push(buffer(9000, false)), Order::GoOn, "patience begins at a buffer");
        assert_eq!(ladder.push(buffer(12_001, false)), tried(Remedy::Reopen, 1, 2));
        assert_eq!(ladder.push(Saw::Applied), Order::GoOn);
        assert!(ladder.is_recovering());
        assert_eq!(ladder.push(buffer(13_000, true)), Order::GoOn);
        assert!(!ladder.is_recovering());
        let wanted = Recoveries { steps: [0, 1, 1], failed_steps: 1, recovered: 1 };
        assert_eq!(ladder.counts(), wanted);
    }

    #[test]
    fn stall_restarts_the_stream_then_climbs_rung_by_rung() {
        let mut ladder = ladder();
        let stalled = Saw::Trouble(Trouble::Stalled);
        assert_eq!(ladder.push(stalled), tried(Remedy::Restart, 0, 1));
        assert_eq!(ladder.push(Saw::Applied), Order::GoOn);
        assert_eq!(ladder.push(stalled), tried(Remedy::SetNetwork, 1, 2));
        assert_eq!(ladder.push(Saw::Applied), Order::GoOn);
        assert_eq!(ladder.push(stalled), tried(Remedy::Reopen, 2, 3));
    }

    #[test]
    fn device_that_stays_away_is_looked_for_with_back_off_and_then_given_up() {
        let mut ladder = ladder();
        let gone = Saw::Trouble(Trouble::Device);
        let waits = [0, 1, 2, 4, 8, 16];
        for (step, after) in (1..).zip(waits) {
            assert_eq!(ladder.push(gone), tried(Remedy::Reopen, after, step));
        }
        assert_eq!(ladder.push(gone), Order::GiveUp);
        let wanted = Recoveries { steps: [0, 0, 6], failed_steps: 6, recovered: 0 };
        assert_eq!(ladder.counts(), wanted);
    }

    #[test]
    fn wait_has_a_longest() {
        let bounds = Bounds { steps: 40, ..Bounds::default() };
        let mut ladder = Ladder::new(bounds, true);
        ladder.push(buffer(0, true));
        let mut last = Order::GoOn;
        for _ in 0..40 {
            last = ladder.push(Saw::Trouble(Trouble::Device));
        }
        assert_eq!(last, tried(Remedy::Reopen, 30, 40));
    }

    #[test]
    fn camera_that_is_worn_out_or_refused_for_good_is_not_tried_again() {
        for trouble in [Trouble::WornOut, Trouble::Lasting] {
            let mut ladder = ladder();
            assert_eq!(ladder.push(Saw::Trouble(trouble)), Order::GiveUp);
            assert_eq!(ladder.counts(), Recoveries::default());
        }
    }

    #[test]
    fn what_never_worked_is_not_recovered() {
        for trouble in [Trouble::Stalled, Trouble::Device] {
            let mut ladder = Ladder::new(Bounds::default(), true);
            assert_eq!(ladder.push(Saw::Trouble(trouble)), Order::GiveUp);
        }
    }

    #[test]
    fn steps_are_bounded_although_each_helps_for_a_while_and_count_anew_after_a_minute() {
        let mut ladder = ladder();
        let mut ms = 0;
        for step in 1..=6 {
            let order = ladder.push(Saw::Trouble(Trouble::Stalled));
            assert!(matches!(order, Order::Try { step: s, .. } if s == step), "{order:?}");
            ladder.push(Saw::Applied);
            ms += 20_000;
            ladder.push(buffer(ms, true));
        }
        let mut settled = ladder.clone();
        assert_eq!(ladder.push(Saw::Trouble(Trouble::Stalled)), Order::GiveUp);
        settled.push(buffer(ms + 60_000, true));
        assert_eq!(settled.push(Saw::Trouble(Trouble::Stalled)), tried(Remedy::Restart, 0, 1));
    }

    #[test]
    fn without_a_network_in_the_sensor_buffers_are_enough() {
        let mut ladder = Ladder::new(Bounds::default(), false);
        for ms in [0, 5000, 50_000] {
            assert_eq!(ladder.push(buffer(ms, false)), Order::GoOn);
        }
        assert_eq!(ladder.push(Saw::Trouble(Trouble::Stalled)), tried(Remedy::Restart, 0, 1));
        ladder.push(Saw::Applied);
        assert_eq!(ladder.push(buffer(60_000, false)), Order::GoOn);
        assert_eq!(ladder.counts().recovered, 1);
    }

    #[test]
    fn nothing_is_tried_where_no_steps_are_allowed() {
        let mut ladder = Ladder::new(Bounds { steps: 0, ..Bounds::default() }, true);
        ladder.push(buffer(0, true));
        assert_eq!(ladder.push(Saw::Trouble(Trouble::Stalled)), Order::GiveUp);
    }
}
