//! What must come of each buffer, from what the sensor meant to send and what has struck it.
//!
//! The sensor's intention is a twin: the same sensor by the same seed, without faults. Which inference a tensor
//! belongs to is its number there, not a counter modulo 256; what has struck is what the faulty sensor says.
//! Neither is what the pipeline has to go by.

use std::hash::{DefaultHasher, Hasher};

use qsegment::formats::dnn_lines::{DnnHeader, LINE_LEN_BYTES};
use qsegment::formats::reader::Reader;
use qsegment::pipeline::decode::Decoder;
use qsegment::pipeline::{Counters, Frame, Options};
use qsegment::source::simulated::Simulated;
use qsegment::source::simulated::faults::Fault;
use qsegment::source::{FrameSource, RawFrame};

/// A published frame: the buffer with its output, and every byte of its picture and of its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    sequence: u64,
    fingerprint: u64,
}

impl Published {
    pub(crate) fn of(frame: &Frame) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&frame.rgb);
        hasher.write(&frame.probability);
        Self { sequence: frame.sequence, fingerprint: hasher.finish() }
    }
}

/// Works out what must be counted and published.
pub(crate) struct Expected {
    pub(crate) counters: Counters,
    /// Invalid flags whose input waits in vain.
    pub(crate) invalid_seen: u64,
    /// Invalid flags whose input was in a buffer that another fault took.
    pub(crate) invalid_unseen: u64,
    twin: Twin,
    struck: Vec<(&'static str, u64)>,
    /// Inference whose input has come and whose output has not.
    waiting: Option<u64>,
    counter: Counter,
}

impl Expected {
    /// `twin` has the seed of the faulty source.
    pub(crate) fn new(twin: Simulated) -> Self {
        Self {
            counters: Counters::default(),
            invalid_seen: 0,
            invalid_unseen: 0,
            twin: Twin::new(twin),
            struck: Vec::new(),
            waiting: None,
            counter: Counter::default(),
        }
    }

    /// The faulty source has given this buffer, after so many injected faults in all.
    pub(crate) fn arrive(
        &mut self,
        buffer: &RawFrame,
        injected: Vec<(&'static str, u64)>,
    ) -> Option<Published> {
        let before = std::mem::replace(&mut self.struck, injected);
        let strikes = |fault| self::injected(&self.struck, fault) - self::injected(&before, fault);
        let mut carried = self.twin.next();
        let mut lost = 0;
        while carried.sequence < buffer.sequence {
            lost += 1;
            carried = self.twin.next();
        }
        assert_eq!((carried.sequence, lost), (buffer.sequence, strikes(Fault::LostBuffer)));
        let counters = &mut self.counters;
        counters.buffers += 1;
        counters.lost_buffers += lost;
        counters.stalls += strikes(Fault::StalledSource);
        let mut refused = 0;
        for (fault, counter) in [
            (Fault::TruncatedBuffer, &mut counters.truncated_buffers),
            (Fault::CorruptApParams, &mut counters.corrupt_ap_params),
            (Fault::DroppedTensor, &mut counters.no_output_region),
        ] {
            *counter += strikes(fault);
            refused += strikes(fault);
        }
        let is_invalid = strikes(Fault::InvalidFlag) > 0;
        if refused > 0 {
            assert!(refused == 1 && !is_invalid, "one damage a buffer");
            return None;
        }
        self.read(buffer, carried, is_invalid)
    }

    /// A buffer that can be read.
    fn read(&mut self, buffer: &RawFrame, carried: Carried, is_invalid: bool) -> Option<Published> {
        if self.counter.jumps(buffer, &carried) {
            self.counters.counter_jumps += 1;
            self.give_up();
        }
        let Carried { input, mut output, published, .. } = carried;
        if is_invalid {
            let was_seen = input.is_some() || self.waiting == output;
            self.invalid_seen += u64::from(was_seen);
            self.invalid_unseen += u64::from(!was_seen);
            output = None;
        }
        self.counters.inputs += u64::from(input.is_some());
        self.counters.outputs += u64::from(output.is_some());
        let is_pair = match (input, output) {
            (None, None) => false,
            (Some(_), None) => {
                self.give_up();
                self.waiting = input;
                false
            }
            (Some(_), Some(_)) => {
                self.give_up();
                true
            }
            (None, Some(_)) if self.waiting == output => {
                self.waiting = None;
                true
            }
            (None, Some(_)) => {
                self.give_up();
                self.counters.unpaired += 1;
                false
            }
        };
        self.counters.paired += u64::from(is_pair);
        published.filter(|_| is_pair)
    }

    /// Whatever waits will not be answered.
    fn give_up(&mut self) {
        self.counters.unpaired += u64::from(self.waiting.take().is_some());
    }
}

/// How often a fault was injected.
pub(crate) fn injected(faults: &[(&'static str, u64)], fault: Fault) -> u64 {
    faults.iter().find(|(name, _)| *name == fault.name()).map_or(0, |(_, times)| *times)
}

/// How far the frame counter is from the twin's, which tells of a jump.
#[derive(Default)]
struct Counter {
    ahead: Option<u8>,
    before_jump: u8,
    jumped_in: u64,
}

impl Counter {
    /// Whether this buffer is the first that shows a jump. Tensors of frames before it come until
    /// a few frames later, under the old counter.
    fn jumps(&mut self, buffer: &RawFrame, carried: &Carried) -> bool {
        let line = 2 * buffer.embedded_line_len_bytes + LINE_LEN_BYTES;
        let header = DnnHeader::parse(&mut Reader::new(&buffer.metadata[line..])).unwrap();
        let ahead = header.frame_count.wrapping_sub(carried.frame_count);
        let known = *self.ahead.get_or_insert(ahead);
        let is_late = ahead == self.before_jump && carried.sequence <= self.jumped_in + LATEST;
        if ahead == known || is_late {
            return false;
        }
        (self.before_jump, self.jumped_in) = (known, carried.sequence);
        self.ahead = Some(ahead);
        true
    }
}

/// Frames by which a tensor may be late, and some.
const LATEST: u64 = 8;

/// The sensor without faults.
struct Twin {
    source: Simulated,
    decoder: Decoder,
    buffer: RawFrame,
    counters: Counters,
}

/// What the sensor means to send in one buffer. Inferences are numbered; an output is always of the newest.
struct Carried {
    sequence: u64,
    frame_count: u8,
    input: Option<u64>,
    output: Option<u64>,
    /// What comes of the output where nothing is lost.
    published: Option<Published>,
}

impl Twin {
    fn new(source: Simulated) -> Self {
        let decoder = Decoder::new(&Options::default(), &source.info());
        Self { source, decoder, buffer: RawFrame::default(), counters: Counters::default() }
    }

    fn next(&mut self) -> Carried {
        let Self { source, decoder, buffer, counters } = self;
        source.next(buffer).unwrap();
        let before = *counters;
        let decoded = decoder.decode(buffer, counters);
        assert_eq!((decoded.damage, counters.unpaired, counters.counter_jumps), (None, 0, 0));
        let number = Some(counters.inputs);
        let line = 2 * buffer.embedded_line_len_bytes + LINE_LEN_BYTES;
        let header = DnnHeader::parse(&mut Reader::new(&buffer.metadata[line..])).unwrap();
        Carried {
            sequence: buffer.sequence,
            frame_count: header.frame_count,
            input: number.filter(|_| counters.inputs > before.inputs),
            output: number.filter(|_| counters.outputs > before.outputs),
            published: decoded.paired.then(|| Published::of(decoder.frame())),
        }
    }
}
