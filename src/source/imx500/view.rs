//! Which window each frame was made under, as far as that can be known.
//!
//! ```text
//!                    write begins   ends
//!   frames   | 40 | 41 |  v  42  v | 43 | 44 | ... | 50 | 51 |
//!   window     A    A     ?          ?    ?          ?    B
//!   known      A    A     -          -    -    ...   -    B
//! ```
//!
//! The window's four registers are written at once, one after another, while the sensor reads out, and no frame says
//! what they were: the embedded lines hold none of them. A frame that was read out before the write began is of the
//! old window. When the sensor takes the new one up, and by how many frames its counter is behind the receiver's where
//! a network is always late, is nowhere written; so the frames of [`SETTLES_AFTER_FRAMES`] intervals are of neither.

use std::time::Duration;

use crate::source::clock::Timestamp;
use crate::source::simulated::isp::InferenceWindow;

/// The window in force, and the last change of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    in_force: InferenceWindow,
    changing: Option<Change>,
}

#[derive(Debug, Clone, Copy)]
struct Change {
    /// None where the change before this one had not settled.
    before: Option<InferenceWindow>,
    began: Timestamp,
    settled: Timestamp,
}

impl View {
    /// A stream that starts under this window.
    pub(super) fn new(in_force: InferenceWindow) -> Self {
        Self { in_force, changing: None }
    }

    pub(super) fn in_force(&self) -> InferenceWindow {
        self.in_force
    }

    /// The window was written between these two moments.
    pub(super) fn moved(
        &mut self,
        window: InferenceWindow,
        (began, ended): (Timestamp, Timestamp),
        frame_interval: Duration,
    ) {
        let before = self.changing.is_none().then_some(self.in_force);
        let settled = ended.plus(frame_interval * SETTLES_AFTER_FRAMES);
        *self = Self { in_force: window, changing: Some(Change { before, began, settled }) };
    }

    /// Nobody knows what the registers are, until they are written again.
    pub(super) fn lost(&mut self, began: Timestamp) {
        let before = self.changing.is_none().then_some(self.in_force);
        self.changing = Some(Change { before, began, settled: Timestamp(u64::MAX) });
    }

    /// Of a frame that starts then. Frames come in their order.
    pub(super) fn of_frame(
        &mut self,
        start: Timestamp,
        frame_interval: Duration,
    ) -> Option<InferenceWindow> {
        match self.changing {
            Some(change) if start.plus(frame_interval) <= change.began => change.before,
            Some(change) if start < change.settled => None,
            _ => {
                self.changing = None;
                Some(self.in_force)
            }
        }
    }
}

/// A network of 75 ms is three frames late at 30 a second; more than twice as much.
const SETTLES_AFTER_FRAMES: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const A: InferenceWindow = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
    const B: InferenceWindow = InferenceWindow { left: 1000, top: 800, width: 800, height: 800 };
    const C: InferenceWindow = InferenceWindow { left: 0, top: 0, width: 800, height: 800 };
    const INTERVAL: Duration = Duration::from_millis(33);

    fn ms(millis: u64) -> Timestamp {
        Timestamp(millis * 1_000_000)
    }

    fn at(view: &mut View, millis: u64) -> Option<InferenceWindow> {
        view.of_frame(ms(millis), INTERVAL)
    }

    #[test]
    fn frame_read_out_before_the_write_is_of_the_old_window_and_later_ones_of_none_until_settled() {
        let mut view = View::new(A);
        assert_eq!(at(&mut view, 0), Some(A));
        view.moved(B, (ms(100), ms(102)), INTERVAL);
        assert_eq!(at(&mut view, 67), Some(A), "read out at 100 ms");
        assert_eq!(at(&mut view, 68), None);
        // 102 + 8 * 33
        assert_eq!(at(&mut view, 365), None);
        assert_eq!(at(&mut view, 366), Some(B));
        assert_eq!(view.in_force(), B);
    }

    #[test]
    fn registers_that_were_lost_are_known_again_when_they_are_written() {
        let mut view = View::new(A);
        view.lost(ms(100));
        assert_eq!(at(&mut view, 67), Some(A), "read out before");
        assert_eq!(at(&mut view, 1_000_000), None);
        view.moved(A, (ms(2_000_000), ms(2_000_001)), INTERVAL);
        assert_eq!(at(&mut view, 2_000_265), Some(A));
    }

    #[test]
    fn second_change_before_the_first_has_settled_leaves_no_old_window() {
        let mut view = View::new(A);
        view.moved(B, (ms(100), ms(102)), INTERVAL);
        view.moved(C, (ms(200), ms(202)), INTERVAL);
        assert_eq!(at(&mut view, 60), None, "of A, but nobody asks as late");
        assert_eq!(at(&mut view, 150), None);
        assert_eq!(at(&mut view, 466), Some(C));
    }
}
