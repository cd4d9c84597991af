//! Under which inference window the network saw a frame.
//!
//! ```text
//!   buffer             40   41   42   43   44      the window was moved before frame 42 was read out
//!   its own frame's     A    A    B    B    B
//!   tensors of          -   40    -   41   42      so the masks in buffers 41 and 43 are of A,
//!   window              -    A    -    A    B      the first of B comes in buffer 44
//! ```
//!
//! A frame whose own buffer was lost, or whose number nobody knows since the counter has jumped, has a window only
//! where all frames that it can be have the same.

use super::numbering::MAX_LAG_FRAMES;
use crate::source::simulated::isp::InferenceWindow;

/// The windows of the latest frames, by the numbers of their buffers.
#[derive(Debug)]
pub(super) struct FrameWindows {
    known: [Option<(u64, Option<InferenceWindow>)>; KNOWN],
    oldest: usize,
}

impl FrameWindows {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        Self { known: [None; KNOWN], oldest: 0 }
    }

    /// What a buffer says of its own frame.
    pub(super) fn record(&mut self, sequence: u64, window: Option<InferenceWindow>) {
        self.known[self.oldest] = Some((sequence, window));
        self.oldest = (self.oldest + 1) % KNOWN;
    }

    /// The window of the frame that came with buffer `seen_in`.
    pub(super) fn of_frame(&self, seen_in: Option<u64>) -> Option<InferenceWindow> {
        let mut known = self.known.iter().flatten();
        let own = seen_in.and_then(|seen| known.clone().find(|(sequence, _)| *sequence == seen));
        match own {
            Some((_, window)) => *window,
            None => {
                let (_, first) = known.next()?;
                first.filter(|_| known.all(|(_, window)| window == first))
            }
        }
    }
}

/// As far back as a frame can be whose output comes now.
const KNOWN: usize = MAX_LAG_FRAMES as usize + 1;

#[cfg(test)]
mod tests {
    use super::*;

    const A: InferenceWindow = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
    const B: InferenceWindow = InferenceWindow { left: 1000, top: 800, width: 800, height: 800 };

    fn windows(of: &[(u64, Option<InferenceWindow>)]) -> FrameWindows {
        let mut windows = FrameWindows::new();
        for &(sequence, window) in of {
            windows.record(sequence, window);
        }
        windows
    }

    #[test]
    fn late_mask_is_of_the_window_of_its_own_frame() {
        let windows = windows(&[(40, Some(A)), (41, Some(A)), (42, Some(B)), (43, Some(B))]);
        assert_eq!([40, 41, 42].map(|n| windows.of_frame(Some(n))), [Some(A), Some(A), Some(B)]);
    }

    #[test]
    fn frame_while_it_was_changed_has_none() {
        let windows = windows(&[(40, Some(A)), (41, None), (42, Some(B))]);
        assert_eq!(windows.of_frame(Some(41)), None);
    }

    #[test]
    fn lost_or_unnumbered_frame_has_the_window_that_all_others_have_or_none() {
        let same = windows(&[(40, Some(A)), (42, Some(A))]);
        assert_eq!([Some(41), None].map(|n| same.of_frame(n)), [Some(A), Some(A)]);
        let moved = windows(&[(40, Some(A)), (42, Some(B))]);
        assert_eq!([Some(41), None].map(|n| moved.of_frame(n)), [None, None]);
        let unsettled = windows(&[(40, None), (42, None)]);
        assert_eq!(unsettled.of_frame(Some(41)), None);
        assert_eq!(windows(&[]).of_frame(Some(1)), None);
    }

    #[test]
    fn what_no_output_can_be_of_any_more_is_forgotten() {
        let mut moved = windows(&[(0, Some(A))]);
        for sequence in 1..=31 {
            moved.record(sequence, Some(B));
        }
        assert_eq!(moved.of_frame(None), Some(B));
    }
}
