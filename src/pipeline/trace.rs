//! The frames of the last seconds, one by one: what a trace is made of.
//!
//! Percentiles say that one frame in a hundred was late; only the frames before and after it say why. Each of
//! the threads that time frames keeps its own ring, in memory that was allocated when it was made.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::Shown;
use super::{Counters, Frame, Stamps};
use crate::formats::dnn_lines::Kpi;
use crate::source::clock::Timestamp;

/// A published frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// As [`Frame::sequence`].
    pub sequence: u64,
    /// As [`Frame::frame_count`].
    pub frame_count: u8,
    /// As [`Frame::lag_frames`].
    pub lag_frames: u32,
    /// When it passed each stage.
    pub stamps: Stamps,
    /// Of the first row, by the frame's registers; frame start is its end.
    pub exposure: Option<Duration>,
    /// The sensor's own run times.
    pub kpi: Option<Kpi>,
    /// When it was published.
    pub counters: Counters,
}

impl Passed {
    pub(super) fn new(frame: &Frame, counters: Counters) -> Self {
        let Frame { sequence, frame_count, lag_frames, stamps, kpi, .. } = *frame;
        let exposure = frame.sensor.exposure();
        Self { sequence, frame_count, lag_frames, stamps, exposure, kpi, counters }
    }
}

/// A frame that a display has shown live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnScreen {
    /// As [`Frame::sequence`].
    pub sequence: u64,
    /// When it passed the stages before.
    pub stamps: Stamps,
    /// From the middle of the first row's exposure to frame start, by the frame's registers.
    pub half_exposure: Option<Duration>,
    /// When it was committed and flipped, host clock.
    pub shown: Shown,
    /// The flip that took it off the screen, or marked it as no longer live; none while it is shown.
    pub until: Option<Timestamp>,
}

/// The frames of the last seconds at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// Published, in their order.
    pub passed: Vec<Passed>,
    /// Shown, in their order.
    pub on_screen: Vec<OnScreen>,
}

impl Trace {
    /// Only frames that were received, or shown, within `span` before the last of them.
    #[must_use]
    pub fn last(mut self, span: Duration) -> Self {
        let ends = self.passed.iter().map(|passed| passed.stamps.mask_ready);
        let ends = ends.chain(self.on_screen.iter().map(|frame| frame.shown.flipped));
        let Some(end) = ends.max() else { return self };
        self.passed.retain(|passed| end.since(passed.stamps.received) <= span);
        self.on_screen.retain(|frame| end.since(frame.shown.flipped) <= span);
        self
    }
}

/// The newest items, as many as ten seconds of any IMX500 have: it has no mode with more than 60 frames a
/// second, and a run faster than real time is not worth more memory.
#[derive(Debug)]
pub(super) struct Ring<T>(VecDeque<T>);

impl<T: Clone> Ring<T> {
    pub(super) fn new() -> Self {
        Self(VecDeque::with_capacity(RING_LEN))
    }
    pub(super) fn push(&mut self, item: T) {
        if self.0.len() == RING_LEN {
            self.0.pop_front();
        }
        self.0.push_back(item);
    }
    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.0.back_mut()
    }
    pub(super) fn to_vec(&self) -> Vec<T> {
        self.0.iter().cloned().collect()
    }
}

const RING_LEN: usize = 640;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_keeps_the_newest_in_order_and_never_grows() {
        let mut ring = Ring::new();
        let room = ring.0.capacity();
        for i in 0..RING_LEN + 7 {
            ring.push(i);
        }
        assert_eq!(ring.to_vec(), (7..RING_LEN + 7).collect::<Vec<_>>());
        assert_eq!(ring.0.capacity(), room);
        *ring.last_mut().unwrap() = 0;
        assert_eq!(ring.to_vec().last(), Some(&0));
    }

    #[test]
    fn last_seconds_end_with_the_last_frame_that_was_shown_or_published() {
        let passed = |sequence: u64| Passed {
            sequence,
            frame_count: 0,
            lag_frames: 0,
            stamps: Stamps {
                received: Timestamp(sequence * 1_000_000_000),
                mask_ready: Timestamp(sequence * 1_000_000_000 + 5),
                ..Stamps::default()
            },
            exposure: None,
            kpi: None,
            counters: Counters::default(),
        };
        let on_screen = |sequence: u64| {
            let at = passed(sequence).stamps.mask_ready.plus(Duration::from_millis(10));
            OnScreen {
                sequence,
                stamps: passed(sequence).stamps,
                half_exposure: None,
                shown: Shown { committed: at, flipped: at },
                until: None,
            }
        };
        let trace = Trace {
            passed: (0..30).map(passed).collect(),
            on_screen: (0..29).map(on_screen).collect(),
        };
        let last = trace.last(Duration::from_secs(10));
        let passed: Vec<_> = last.passed.iter().map(|frame| frame.sequence).collect();
        let shown: Vec<_> = last.on_screen.iter().map(|frame| frame.sequence).collect();
        // The end is 29 s and 5 ns: frame 19 was received 5 ns too early.
        assert_eq!(passed, (20..30).collect::<Vec<_>>());
        assert_eq!(shown, (19..29).collect::<Vec<_>>());
        assert_eq!(Trace::default().last(Duration::from_secs(10)), Trace::default());
    }
}
