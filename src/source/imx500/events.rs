//! What went wrong on the way from the receiver without ending the run, counted, each with what it means
//! and what helps.

/// Something to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The receiver's numbering jumps: it had no buffer to write to.
    SequenceGap,
    /// The receiver says that a buffer's bytes are damaged.
    DamagedBuffer,
    /// A buffer is shorter than what the sensor sends.
    ShortBuffer,
    /// No picture came with the metadata of a frame.
    MissingPicture,
    /// Nothing came for longer than a few frames.
    FrameTimeout,
    /// The driver ended the stream.
    StreamEnded,
    /// The device is no longer there.
    DeviceGone,
}

impl Event {
    const ALL: [Self; 7] = [
        Self::SequenceGap,
        Self::DamagedBuffer,
        Self::ShortBuffer,
        Self::MissingPicture,
        Self::FrameTimeout,
        Self::StreamEnded,
        Self::DeviceGone,
    ];

    /// Its name in the status and the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SequenceGap => "sequence_gap",
            Self::DamagedBuffer => "damaged_buffer",
            Self::ShortBuffer => "short_buffer",
            Self::MissingPicture => "missing_picture",
            Self::FrameTimeout => "frame_timeout",
            Self::StreamEnded => "stream_ended",
            Self::DeviceGone => "device_gone",
        }
    }

    /// What it means, and what helps.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::SequenceGap => {
                "the receiver had no free buffer: the machine is overloaded, or too slow for the pictures; \
                 lower the frame rate"
            }
            Self::DamagedBuffer => {
                "lines were lost between sensor and receiver: seat the camera's cable anew, or take a \
                 shorter one"
            }
            Self::ShortBuffer => {
                "the receiver stopped before the last line: it goes on with the next frame; if it stays, \
                 start again with the network's file checked by `qsegment inspect`"
            }
            Self::MissingPicture => {
                "the tensors are fine, the picture of this frame is not there: lower the frame rate, or \
                 show the input tensor instead"
            }
            Self::FrameTimeout => {
                "the sensor is silent: wait; if nothing comes the stream is started again"
            }
            Self::StreamEnded => "the stream is started again",
            Self::DeviceGone => {
                "seat the camera's cable, or bind its driver again; it is looked for a few times"
            }
        }
    }
}

/// How often each has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Events([u64; Event::ALL.len()]);

impl Events {
    /// Counts it; the first of its kind is logged with its hint.
    pub(super) fn count(&mut self, event: Event) {
        let count = &mut self.0[event as usize];
        *count += 1;
        if *count == 1 {
            tracing::warn!(event = event.name(), "{}", event.hint());
        } else {
            tracing::debug!(event = event.name(), count = *count);
        }
    }

    /// Those that have happened. Allocates nothing as long as none has.
    pub(super) fn counted(&self) -> Vec<(&'static str, u64)> {
        let all = Event::ALL.into_iter().map(|event| (event.name(), self.0[event as usize]));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// Continues the receiver's 32-bit numbers beyond their wrap, and finds gaps.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbering {
    /// The receiver's last number, and ours.
    last: Option<(u32, u64)>,
}

impl Numbering {
    /// The number to go on with, and whether any is missing before it.
    pub(super) fn push(&mut self, sequence: u32) -> (u64, bool) {
        let (number, gap) = match self.last {
            None => (u64::from(sequence), false),
            Some((last, number)) => {
                let step = sequence.wrapping_sub(last);
                // One that stays or goes back is of a receiver that started anew: its frames follow.
                let step = if step == 0 || step > u32::MAX / 2 { 1 } else { step };
                (number + u64::from(step), step > 1)
            }
        };
        self.last = Some((sequence, number));
        (number, gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_happened_is_listed() {
        let mut events = Events::default();
        assert_eq!(events.counted(), []);
        events.count(Event::ShortBuffer);
        events.count(Event::DeviceGone);
        events.count(Event::ShortBuffer);
        assert_eq!(events.counted(), [("short_buffer", 2), ("device_gone", 1)]);
    }

    #[test]
    fn every_event_has_a_place_a_name_and_a_hint_of_its_own() {
        for (place, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(event as usize, place);
            let same = Event::ALL
                .into_iter()
                .filter(|other| other.name() == event.name() || other.hint() == event.hint());
            assert_eq!(same.count(), 1, "{event:?}");
        }
    }

    #[test]
    fn numbers_go_on_beyond_the_wrap_and_show_gaps() {
        let mut numbering = Numbering::default();
        let pushed = [u32::MAX - 1, u32::MAX, 0, 3, 4].map(|sequence| numbering.push(sequence));
        let end = u64::from(u32::MAX);
        let wanted =
            [(end - 1, false), (end, false), (end + 1, false), (end + 4, true), (end + 5, false)];
        assert_eq!(pushed, wanted);
    }

    #[test]
    fn receiver_that_starts_anew_is_no_gap() {
        let mut numbering = Numbering::default();
        let pushed = [7, 8, 0, 2, 2].map(|sequence| numbering.push(sequence));
        assert_eq!(pushed, [(7, false), (8, false), (9, false), (11, true), (12, false)]);
    }
}
