//! How the sensor's frame counter and the receiver's numbering of buffers belong together.
//!
//! ```text
//!   buffer (sequence)          100   101   102   103   104        both advance by one a frame,
//!   counter in its headers       7     8     7    10     9        the counter modulo 256
//!   sequence - counter          93    93    95    93    95        smallest: 93, which is lag 0
//!   lag                          0     0     2     0     2
//! ```
//!
//! The smallest lag ever seen is taken as 0, more than 30 frames as a jump of the counter, after
//! which all is learnt anew. A jump by up to 30 frames cannot be told from lag (back) or from the
//! first small lag (ahead) and is not counted; a pair needs equal counters, so even then nothing
//! wrong is joined.

use std::time::Duration;

use crate::formats::embedded::SensorState;
use crate::source::clock::Timestamp;

/// One second at 30 frames a second. The slowest networks published for this sensor need a few
/// frames.
pub(super) const MAX_LAG_FRAMES: u8 = 30;

/// Learns the difference drawn above.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// `sequence - counter` modulo 256 at lag 0.
    difference: Option<u8>,
    before_jump: Option<BeforeJump>,
}

/// Tensors of frames before a jump still come after it, under the old counter.
#[derive(Debug)]
struct BeforeJump {
    difference: u8,
    /// First buffer under the new counter.
    until: u64,
}

/// Where a buffer's tensors belong.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// So many frames back.
    Lag(u8),
    /// The counter has jumped; taken as lag 0.
    Jump,
}

impl Numbering {
    pub(super) fn place(&mut self, sequence: u64, frame_count: u8) -> Place {
        // The lowest byte: modulo 256.
        let found = sequence.to_le_bytes()[0].wrapping_sub(frame_count);
        let difference = *self.difference.get_or_insert(found);
        let lag = found.wrapping_sub(difference);
        if lag <= MAX_LAG_FRAMES {
            return Place::Lag(lag);
        }
        if let Some(before) = &self.before_jump
            && sequence.saturating_sub(before.until) <= u64::from(MAX_LAG_FRAMES)
            && found.wrapping_sub(before.difference) <= MAX_LAG_FRAMES
        {
            return Place::Lag(found.wrapping_sub(before.difference));
        }
        self.difference = Some(found);
        if lag.wrapping_neg() <= MAX_LAG_FRAMES {
            return Place::Lag(0);
        }
        self.before_jump = Some(BeforeJump { difference, until: sequence });
        Place::Jump
    }
}

/// Start and registers of the latest frames by their buffers' numbers.
#[derive(Debug)]
pub(super) struct FrameStarts {
    interval: Duration,
    known: [Option<Known>; KNOWN_STARTS],
    oldest: usize,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    sequence: u64,
    start: Timestamp,
    registers: SensorState,
}

impl FrameStarts {
    /// `interval` stands in for the time stamps of lost buffers.
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, known: [None; KNOWN_STARTS], oldest: 0 }
    }
    pub(super) fn record(&mut self, sequence: u64, start: Timestamp, registers: SensorState) {
        self.known[self.oldest] = Some(Known { sequence, start, registers });
        self.oldest = (self.oldest + 1) % KNOWN_STARTS;
    }
    /// Start of the frame `lag_frames` before buffer `sequence`, which itself starts at
    /// `this_start`.
    pub(super) fn of_frame(
        &self,
        sequence: u64,
        lag_frames: u8,
        this_start: Timestamp,
    ) -> Timestamp {
        let wanted = sequence.checked_sub(u64::from(lag_frames));
        match wanted.and_then(|wanted| self.known(wanted)) {
            Some(known) => known.start,
            None => {
                let earlier = self.interval.saturating_mul(u32::from(lag_frames));
                let earlier_ns = u64::try_from(earlier.as_nanos()).unwrap_or(u64::MAX);
                Timestamp(this_start.0.saturating_sub(earlier_ns))
            }
        }
    }

    /// Registers of the frame that came with this buffer; none when it was lost.
    pub(super) fn registers(&self, sequence: u64) -> Option<SensorState> {
        self.known(sequence).map(|known| known.registers)
    }

    fn known(&self, sequence: u64) -> Option<&Known> {
        self.known.iter().flatten().find(|known| known.sequence == sequence)
    }
}

/// Those within the largest lag, and the newest one itself.
const KNOWN_STARTS: usize = MAX_LAG_FRAMES as usize + 1;

#[cfg(test)]
mod tests {
    use super::{FrameStarts, Numbering, Place};
    use crate::formats::embedded::SensorState;
    use crate::source::clock::Timestamp;
    use Place::{Jump, Lag};
    use std::time::Duration;

    /// Feeds (sequence, counter) and compares with the places expected.
    fn check(lines: &[(u64, u8, Place)]) {
        let mut numbering = Numbering::default();
        for (sequence, frame_count, want) in lines {
            assert_eq!(numbering.place(*sequence, *frame_count), *want, "buffer {sequence}");
        }
    }

    #[test]
    fn lag_is_what_the_picture_above_says() {
        check(&[
            (100, 7, Lag(0)),
            (101, 8, Lag(0)),
            (102, 7, Lag(2)),
            (103, 10, Lag(0)),
            (104, 9, Lag(2)),
        ]);
    }

    #[test]
    fn counter_wraps_silently() {
        check(&[(254, 253, Lag(0)), (255, 254, Lag(0)), (256, 255, Lag(0)), (257, 0, Lag(0))]);
        check(&[(65_535, 254, Lag(0)), (65_536, 255, Lag(0)), (65_537, 255, Lag(1))]);
    }

    #[test]
    fn smaller_lag_is_learnt() {
        // The first buffer lags by two frames, but nothing says so yet.
        check(&[(10, 8, Lag(0)), (11, 11, Lag(0)), (12, 10, Lag(2)), (13, 12, Lag(1))]);
    }

    #[test]
    fn thirty_frames_are_lag_and_one_more_is_a_jump() {
        check(&[(0, 0, Lag(0)), (40, 10, Lag(30))]);
        check(&[(0, 0, Lag(0)), (40, 9, Jump), (41, 10, Lag(0))]);
    }

    #[test]
    fn thirty_frames_ahead_are_a_smaller_lag_and_one_more_is_a_jump() {
        check(&[(0, 0, Lag(0)), (1, 31, Lag(0)), (2, 32, Lag(0))]);
        check(&[(0, 0, Lag(0)), (1, 32, Jump), (2, 33, Lag(0))]);
    }

    #[test]
    fn jump_is_counted_once_although_late_tensors_follow_it() {
        check(&[
            (0, 0, Lag(0)),
            (1, 101, Jump),
            (2, 0, Lag(2)),
            (3, 103, Lag(0)),
            (4, 102, Lag(2)),
        ]);
    }

    #[test]
    fn old_counter_long_after_a_jump_is_another_jump() {
        check(&[(0, 0, Lag(0)), (1, 101, Jump), (32, 32, Jump), (33, 33, Lag(0))]);
    }

    const INTERVAL: Duration = Duration::from_millis(33);

    #[test]
    fn start_is_that_of_the_frame_not_of_the_buffer() {
        let mut starts = FrameStarts::new(INTERVAL);
        // Uneven, so that nothing but the record can give them.
        for sequence in 0..100 {
            let exposure_lines = u16::try_from(sequence).ok();
            let registers = SensorState { exposure_lines, ..SensorState::default() };
            starts.record(sequence, Timestamp(sequence * sequence), registers);
        }
        for lag in 0..=30 {
            let frame = 99 - u64::from(lag);
            assert_eq!(
                starts.of_frame(99, lag, Timestamp(0)),
                Timestamp(frame * frame),
                "lag {lag}"
            );
            let registers = starts.registers(frame).unwrap();
            assert_eq!(registers.exposure_lines.map(u64::from), Some(frame));
        }
        assert_eq!(starts.registers(68), None, "forgotten");
    }

    #[test]
    fn start_of_a_lost_frame_is_reckoned_from_the_interval() {
        let mut starts = FrameStarts::new(INTERVAL);
        let (this_start, two_before) = (Timestamp(100_000_000), Timestamp(34_000_000));
        starts.record(9, this_start, SensorState::default());
        assert_eq!(starts.of_frame(9, 2, this_start), two_before);
        assert_eq!(
            starts.of_frame(9, 30, this_start),
            Timestamp(0),
            "not before the clock's origin"
        );
    }
}
