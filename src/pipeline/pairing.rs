//! Joins a late output with the input it came from.
//!
//! A network slower than the frame rate answers some frames later. The sensor then sends the input
//! tensor when the network has begun on it and the output tensor in a later buffer, both under the
//! counter of the frame the network saw:
//!
//! ```text
//!                         input: keep it
//!        +-------+ -------------------------> +------+
//!        | empty |                            | kept |
//!        +-------+ <------------------------- +------+
//!                    output of the same frame: pair
//!
//!   buffer brings          while empty             while an input is kept
//!   ---------------------  ----------------------  -----------------------------------------
//!   input                  keep it                 keep it instead; the kept one is unpaired
//!   output, same frame     -                       pair with the kept one; empty
//!   output, newer frame    output unpaired         both unpaired; empty
//!   output, older frame    output unpaired         output unpaired; still kept
//!   input and output       pair of this buffer     pair of this buffer; the kept one is unpaired
//!   neither                -                       -
//! ```
//!
//! Where the counter jumps, a kept input is unpaired first; the rest is as while empty. An input
//! that is sent again under the same counter takes the place of its first copy; nothing is
//! unpaired.
//!
//! The order is libcamera's lock-step rule (`imx500_tensor_parser`, 26bfadc), which joins whatever
//! it kept with whatever comes. Here the counters must be equal too: after a lost buffer its rule
//! would put a mask on the wrong picture. That both headers carry the counter of the frame the
//! network saw is how libcamera reads them; there was no silicon to confirm it.

use std::time::Duration;

use super::Counters;
use super::numbering::{FrameStarts, MAX_LAG_FRAMES, Numbering, Place};
use crate::formats::embedded::SensorState;
use crate::source::clock::Timestamp;

/// What the network saw: interleaved RGB, `width * height * 3` bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Interleaved RGB, row-major.
    pub rgb: Vec<u8>,
}

/// What pairing has to know of one buffer.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Number the receiver gave the buffer.
    pub sequence: u64,
    /// Counter in its headers.
    pub frame_count: u8,
    /// Start of the frame with which the buffer came, sensor clock.
    pub frame_start: Timestamp,
    /// Registers of that same frame.
    pub registers: SensorState,
    /// The input tensor, if valid. Keeping it swaps its memory with that of an older one.
    pub input: Option<&'a mut Picture>,
    /// Whether there is a valid output tensor.
    pub output_valid: bool,
}

/// The picture to which the arrival's output tensor belongs.
#[derive(Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// What the network saw. The caller may swap its memory for other memory.
    pub picture: &'a mut Picture,
    /// Number of the buffer with which the frame the network saw came; none right after a jump of the
    /// counter, when no counter belongs to any number yet.
    pub seen_in: Option<u64>,
    /// Start of the frame the network saw, sensor clock.
    pub frame_start: Timestamp,
    /// How many frames later than its picture the output arrived.
    pub lag_frames: u32,
    /// Registers of the frame the network saw; nothing where its buffer was lost, or where the counter has
    /// just jumped.
    pub registers: SensorState,
    /// Whether exposure and gain of the frame before it were the same, as far as is known.
    pub steady: bool,
}

/// The state machine drawn above.
#[derive(Debug)]
pub struct Pairing {
    kept: Option<Kept>,
    /// The kept input's picture; while none is kept, memory for the next one.
    picture: Picture,
    numbering: Numbering,
    starts: FrameStarts,
}

impl Pairing {
    /// `frame_interval` stands in for the time stamps of lost buffers.
    #[must_use]
    pub fn new(frame_interval: Duration) -> Self {
        Self {
            kept: None,
            picture: Picture::default(),
            numbering: Numbering::default(),
            starts: FrameStarts::new(frame_interval),
        }
    }

    /// Takes the next buffer; gives the pair if an output tensor completes one. Counts into
    /// `unpaired` and `counter_jumps`. An input that still waits at the end of a run is in flight,
    /// not unpaired.
    pub fn push<'a>(
        &'a mut self,
        arrival: Arrival<'a>,
        counters: &mut Counters,
    ) -> Option<Pair<'a>> {
        let Arrival { sequence, frame_count, frame_start, registers, input, output_valid } =
            arrival;
        self.starts.record(sequence, frame_start, registers);
        let (lag_frames, seen_in) = match self.numbering.place(sequence, frame_count) {
            Place::Lag(lag_frames) => (lag_frames, sequence.checked_sub(lag_frames.into())),
            Place::Jump => {
                counters.counter_jumps += 1;
                counters.unpaired += u64::from(self.kept.take().is_some());
                (0, None)
            }
        };
        let picture = match (input, output_valid) {
            (Some(input), true) => {
                self.supersede(sequence, frame_count, counters);
                input
            }
            (Some(input), false) => {
                self.supersede(sequence, frame_count, counters);
                self.kept = Some(Kept { sequence, frame_count });
                std::mem::swap(&mut self.picture, input);
                return None;
            }
            (None, true) => {
                self.answer(sequence, frame_count, counters)?;
                &mut self.picture
            }
            (None, false) => return None,
        };
        let frame_start = self.starts.of_frame(sequence, lag_frames, frame_start);
        let registers = seen_in.and_then(|seen| self.starts.registers(seen)).unwrap_or_default();
        let before = seen_in.and_then(|seen| self.starts.registers(seen.checked_sub(1)?));
        let steady = before.is_none_or(|before| before.has_exposure_of(&registers));
        let lag_frames = u32::from(lag_frames);
        Some(Pair { picture, seen_in, frame_start, lag_frames, registers, steady })
    }

    /// A newer input takes the kept one's place: the network is done with that one, and its output
    /// never came.
    fn supersede(&mut self, sequence: u64, frame_count: u8, counters: &mut Counters) {
        let lost = self.kept.take().is_some_and(|kept| !kept.is_frame(sequence, frame_count));
        counters.unpaired += u64::from(lost);
    }

    /// Whether an output that came alone answers the kept input.
    fn answer(&mut self, sequence: u64, frame_count: u8, counters: &mut Counters) -> Option<()> {
        let Some(kept) = self.kept else {
            counters.unpaired += 1;
            return None;
        };
        if kept.is_frame(sequence, frame_count) {
            self.kept = None;
            return Some(());
        }
        counters.unpaired += 1;
        // Modulo 256 a difference below 128 is a newer frame. Outputs come in order: the kept one's
        // was lost.
        if frame_count.wrapping_sub(kept.frame_count) < 128 {
            self.kept = None;
            counters.unpaired += 1;
        }
        None
    }
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    sequence: u64,
    frame_count: u8,
}

impl Kept {
    /// The counter comes round every 256 frames, so an equal one means the same frame only for a
    /// while.
    fn is_frame(self, sequence: u64, frame_count: u8) -> bool {
        self.frame_count == frame_count
            && sequence.saturating_sub(self.sequence) <= u64::from(MAX_LAG_FRAMES)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arrival, Pairing, Picture};
    use crate::formats::embedded::SensorState;
    use crate::pipeline::Counters;
    use crate::source::clock::Timestamp;
    use std::time::Duration;

    const INTERVAL: Duration = Duration::from_millis(33);

    /// What a buffer brings.
    #[derive(Clone, Copy)]
    enum Brings {
        Nothing,
        Input,
        Output,
        Both,
    }
    use Brings::{Both, Input, Nothing, Output};

    /// One line of a table: sequence, frame_count, what comes; then what is expected: the frame
    /// whose picture is paired and its lag, and the unpaired so far.
    type Line = (u64, u8, Brings, Option<(u8, u32)>, u64);

    fn start_of(sequence: u64) -> Timestamp {
        Timestamp::default()
            .plus(Duration::from_secs(1) + INTERVAL * u32::try_from(sequence).unwrap())
    }

    /// Every fourth frame has another exposure than the one before it.
    fn registers_of(sequence: u64) -> SensorState {
        let exposure_lines = u16::try_from(sequence / 4).ok();
        SensorState { exposure_lines, ..SensorState::default() }
    }

    /// Runs a table; the pictures carry their frame's counter as their only pixel.
    fn check(lines: &[Line]) -> Counters {
        let mut pairing = Pairing::new(INTERVAL);
        let mut counters = Counters::default();
        let mut known = Vec::new();
        for (number, &(sequence, frame_count, brings, want, unpaired)) in lines.iter().enumerate() {
            known.push(sequence);
            let mut picture = Picture { width: 1, height: 1, rgb: vec![frame_count; 3] };
            let input = matches!(brings, Input | Both).then_some(&mut picture);
            let output_valid = matches!(brings, Output | Both);
            let frame_start = start_of(sequence);
            let registers = registers_of(sequence);
            let arrival =
                Arrival { sequence, frame_count, frame_start, registers, input, output_valid };
            let pair = pairing.push(arrival, &mut counters);
            let got = pair.as_ref().map(|pair| (pair.picture.rgb[0], pair.lag_frames));
            assert_eq!(got, want, "line {number}");
            if let Some(pair) = &pair {
                let seen = start_of(sequence - u64::from(pair.lag_frames));
                assert_eq!(pair.frame_start, seen, "line {number}");
                let seen = sequence - u64::from(pair.lag_frames);
                if known.contains(&seen) {
                    assert_eq!(pair.registers, registers_of(seen), "line {number}");
                }
                let changed = known.contains(&(seen.wrapping_sub(1))) && seen.is_multiple_of(4);
                assert_eq!(pair.steady, !changed, "line {number}");
            }
            assert_eq!(counters.unpaired, unpaired, "unpaired after line {number}");
        }
        counters
    }

    #[test]
    fn fast_network_pairs_within_each_buffer() {
        let counters = check(&[
            (100, 0, Both, Some((0, 0)), 0),
            (101, 1, Both, Some((1, 0)), 0),
            (102, 2, Both, Some((2, 0)), 0),
        ]);
        assert_eq!(counters.counter_jumps, 0);
    }

    #[test]
    fn slow_network_pairs_with_the_kept_input() {
        check(&[
            (0, 0, Nothing, None, 0),
            (1, 1, Input, None, 0),
            (2, 2, Nothing, None, 0),
            (3, 1, Output, Some((1, 2)), 0),
            (4, 4, Input, None, 0),
            (5, 4, Output, Some((4, 1)), 0),
            // Finished before its input was sent: both at once, late.
            (6, 5, Both, Some((5, 1)), 0),
        ]);
    }

    #[test]
    fn superseded_input_is_unpaired() {
        check(&[
            (0, 0, Input, None, 0),
            (1, 1, Input, None, 1),
            (2, 1, Output, Some((1, 1)), 1),
            (3, 3, Input, None, 1),
            (4, 4, Both, Some((4, 0)), 2),
        ]);
    }

    #[test]
    fn repeated_input_replaces_itself() {
        check(&[
            (0, 0, Input, None, 0),
            (1, 0, Input, None, 0),
            (2, 0, Output, Some((0, 2)), 0),
            (3, 3, Input, None, 0),
            (4, 3, Both, Some((3, 1)), 0),
        ]);
    }

    #[test]
    fn output_without_input_is_unpaired() {
        check(&[
            (0, 0, Output, None, 1),
            (1, 1, Input, None, 1),
            (2, 1, Output, Some((1, 1)), 1),
            (3, 1, Output, None, 2),
        ]);
    }

    #[test]
    fn lost_buffer_never_joins_two_frames() {
        // Buffers 2 (output of frame 0) and 3 (input of frame 3) are lost.
        check(&[
            (0, 0, Input, None, 0),
            (4, 3, Output, None, 2),
            (5, 5, Input, None, 2),
            (6, 5, Output, Some((5, 1)), 2),
        ]);
    }

    #[test]
    fn output_of_an_older_frame_leaves_the_kept_input() {
        check(&[
            (0, 0, Nothing, None, 0),
            (5, 5, Input, None, 0),
            (6, 4, Output, None, 1),
            (7, 5, Output, Some((5, 2)), 1),
        ]);
    }

    #[test]
    fn jump_drops_the_kept_input_and_is_learnt_anew() {
        let counters = check(&[
            (0, 0, Input, None, 0),
            (1, 0, Output, Some((0, 1)), 0),
            (2, 2, Input, None, 0),
            (3, 103, Output, None, 2),
            (4, 104, Input, None, 2),
            (5, 104, Output, Some((104, 1)), 2),
        ]);
        assert_eq!(counters.counter_jumps, 1);
    }

    #[test]
    fn output_from_before_a_jump_is_late_and_no_second_jump() {
        let counters = check(&[
            (0, 0, Nothing, None, 0),
            (1, 1, Input, None, 0),
            (2, 102, Nothing, None, 1),
            (3, 1, Output, None, 2),
            (4, 104, Input, None, 2),
            (5, 104, Output, Some((104, 1)), 2),
        ]);
        assert_eq!(counters.counter_jumps, 1);
    }

    #[test]
    fn counter_that_wraps_still_pairs() {
        let counters = check(&[
            (255, 255, Input, None, 0),
            (256, 0, Nothing, None, 0),
            (257, 255, Output, Some((255, 2)), 0),
            (258, 1, Both, Some((1, 1)), 0),
        ]);
        assert_eq!(counters.counter_jumps, 0);
    }

    #[test]
    fn kept_input_is_forgotten_before_the_counter_comes_round() {
        let mut lines = vec![(0, 0, Input, None, 0)];
        lines.extend((1..=255).map(|n| (u64::from(n), n, Nothing, None, 0)));
        lines.push((256, 0, Output, None, 2));
        check(&lines);
    }

    #[test]
    fn keeping_swaps_memory_instead_of_copying() {
        let mut pairing = Pairing::new(INTERVAL);
        let mut counters = Counters::default();
        let mut picture = Picture { width: 1, height: 1, rgb: vec![9; 3] };
        let address = picture.rgb.as_ptr();
        let frame_start = start_of(0);
        let input = Arrival {
            sequence: 0,
            frame_count: 0,
            frame_start,
            registers: SensorState::default(),
            input: Some(&mut picture),
            output_valid: false,
        };
        assert_eq!(pairing.push(input, &mut counters), None);
        let output = Arrival {
            sequence: 1,
            frame_count: 0,
            frame_start,
            registers: SensorState::default(),
            input: None,
            output_valid: true,
        };
        let pair = pairing.push(output, &mut counters).unwrap();
        assert_eq!(pair.picture.rgb.as_ptr(), address);
    }
}
