//! What the receiver makes of each frame of the simulated sensor: lost frames are a jump of its numbers, a
//! stall is silence, a cut frame is counted as short.
//!
//! ```text
//!   frames of the source     0    1         4    5 ......... 6
//!   fed                      0    1   2 lost 2   3   30 intervals of silence, 4
//! ```

use std::time::Duration;

use super::feed::{Delivery, Fed};
use crate::formats::dnn_lines::LINE_LEN_BYTES;
use crate::source::RawFrame;
use crate::source::clock::Timestamp;

/// Follows the frames that are fed into a virtual camera.
#[derive(Debug)]
pub struct Deliveries {
    frame_interval: Duration,
    last: Option<(u64, Timestamp)>,
    longest_len_bytes: usize,
    frame_count: u8,
}

impl Deliveries {
    /// Of a source whose frames come in this interval.
    #[must_use]
    pub fn new(frame_interval: Duration) -> Self {
        Self { frame_interval, last: None, longest_len_bytes: 0, frame_count: 0 }
    }

    /// The next frame, with what happened before it.
    pub fn push<'f>(&mut self, frame: &'f RawFrame) -> Fed<'f> {
        let (lost_before, silent_before) = match self.last {
            None => (frame.sequence, 0),
            Some((sequence, start)) => {
                let steps = frame.sequence.saturating_sub(sequence).max(1);
                let intervals = self.intervals(frame.frame_start.since(start));
                (steps - 1, intervals.saturating_sub(steps))
            }
        };
        self.last = Some((frame.sequence, frame.frame_start));
        let whole = frame.metadata.len() >= self.longest_len_bytes;
        self.longest_len_bytes = self.longest_len_bytes.max(frame.metadata.len());
        self.frame_count = frame_count(frame).unwrap_or(self.frame_count);
        Fed {
            metadata: &frame.metadata,
            picture: &[],
            frame_count: self.frame_count,
            lost_before: u32::try_from(lost_before).unwrap_or(u32::MAX),
            silent_before: u32::try_from(silent_before).unwrap_or(u32::MAX),
            delivery: if whole { Delivery::Full } else { Delivery::Counted },
        }
    }

    fn intervals(&self, time: Duration) -> u64 {
        let nanos = self.frame_interval.as_nanos().max(1);
        u64::try_from((time.as_nanos() + nanos / 2) / nanos).unwrap_or(u64::MAX)
    }
}

/// Counter in the header of the input region; none where the frame ends before it.
fn frame_count(frame: &RawFrame) -> Option<u8> {
    let input_region = 2 * frame.embedded_line_len_bytes + LINE_LEN_BYTES;
    frame.metadata.get(input_region + FRAME_COUNT_AT).copied()
}

/// In a DNN header (imx500_tensor_parser.h).
const FRAME_COUNT_AT: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(sequence: u64, interval: u64, len: usize) -> RawFrame {
        let mut metadata = vec![0; len];
        if let Some(count) = metadata.get_mut(2 * 10 + LINE_LEN_BYTES + 1) {
            *count = 0x20 + u8::try_from(sequence).unwrap();
        }
        RawFrame {
            sequence,
            metadata,
            embedded_line_len_bytes: 10,
            frame_start: Timestamp(1_000_000 * (7 + 33 * interval)),
            ..RawFrame::default()
        }
    }

    #[test]
    fn gaps_stalls_and_cuts_are_told_apart() {
        let mut deliveries = Deliveries::new(Duration::from_millis(33));
        let mut pushed = |sequence, interval, len| {
            let frame = frame(sequence, interval, len);
            let fed = deliveries.push(&frame);
            (fed.frame_count, fed.lost_before, fed.silent_before, fed.delivery)
        };
        let len = 20 + 3 * LINE_LEN_BYTES;
        assert_eq!(pushed(1, 1, len), (0x21, 1, 0, Delivery::Full), "the very first was lost");
        assert_eq!(pushed(2, 2, len), (0x22, 0, 0, Delivery::Full));
        assert_eq!(pushed(5, 5, len), (0x25, 2, 0, Delivery::Full), "two are lost");
        assert_eq!(pushed(6, 36, len), (0x26, 0, 30, Delivery::Full), "a stall of 30");
        assert_eq!(pushed(8, 40, 30), (0x26, 1, 2, Delivery::Counted), "a cut one has no counter");
        assert_eq!(pushed(9, 41, len), (0x29, 0, 0, Delivery::Full));
    }
}
