//! A recording as a source: the sensor's own bytes and stamps, buffer after buffer, as they were received.
//!
//! ```text
//!   file --reader.rs--> whole chunks --> buffers --> clock: wait for its time --> RawFrame
//!                          |
//!                          a chunk that is cut or damaged ends the recording before it
//! ```
//!
//! Stamps are those that were recorded. The clock only decides how fast they are walked through: a monotonic
//! one waits for as long as lay between them, a virtual one does not.
//!
//! A recording that was cut, by a crash, a power failure or a full disk, ends with its last whole chunk and is
//! counted as `recording_cut`. One that is damaged further in ends there too, but with an error.

mod reader;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::clock::{Clock, Timestamp, Waited};
use super::simulated::isp::InferenceWindow;
use super::{
    BayerOrder, FrameSource, Next, Quality, RawFrame, RawPicture, SourceError, SourceInfo,
};
use crate::formats::recording::{
    FactsError, FrameMessage, PictureMessage, RunFacts, WindowMessage,
};
use reader::{Ending, Reader};

/// Why a recording cannot be played: file, byte, cause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be opened or read.
    #[error("cannot read the recording {file}: {cause}; is the path right?")]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Another kind of file.
    #[error("{file} is no MCAP file: it does not begin with the bytes 89 4d 43 41 50 30 0d 0a")]
    NotMcap {
        /// Which.
        file: PathBuf,
    },
    /// Another program's MCAP file, or one that was cut before anything was in it.
    #[error(
        "{file} has no metadata record \"qsegment\" before its first chunk, so it is no recording of qsegment"
    )]
    NoFacts {
        /// Which.
        file: PathBuf,
    },
    /// A record that makes no sense.
    #[error("{file}: {cause}")]
    Facts {
        /// Which.
        file: PathBuf,
        /// Key, got, want.
        cause: FactsError,
    },
    /// Nothing to play.
    #[error("{file} has no whole chunk with a frame; it was cut before the first one was written")]
    NoFrames {
        /// Which.
        file: PathBuf,
    },
    /// Bytes in the middle of it make no sense.
    #[error(
        "{file} is damaged at byte {offset} of {len}: {cause}; the frames before were played, what follows is lost"
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// Where the record begins that cannot be read.
        offset: u64,
        /// Length of the file.
        len: u64,
        /// What is wrong.
        cause: String,
    },
}

/// A recording that was opened and can be played.
#[derive(Debug)]
pub struct Recording {
    reader: Reader,
    facts: RunFacts,
    quality: Quality,
    first: FrameMessage,
}

impl Recording {
    /// Opens it and reads up to its first frame.
    ///
    /// # Errors
    /// When it is no recording of qsegment, or has no frame.
    pub fn open(file: &Path) -> Result<Self, ReplayError> {
        let mut reader = Reader::open(file)?;
        let first = reader.next_frame()?;
        let facts = reader.facts()?;
        let quality = match facts.quality.as_str() {
            "measured" => Quality::Measured,
            "simulated" => Quality::Simulated,
            other => {
                let (got, want) = (other.to_owned(), "measured or simulated");
                let cause = FactsError::Value { key: "quality", got, want };
                return Err(ReplayError::Facts { file: file.to_owned(), cause });
            }
        };
        let first = first.ok_or_else(|| ReplayError::NoFrames { file: file.to_owned() })?;
        Ok(Self { reader, facts, quality, first })
    }

    /// What holds for all of it.
    #[must_use]
    pub fn facts(&self) -> &RunFacts {
        &self.facts
    }

    /// Plays it from its first frame, at the pace of this clock.
    #[must_use]
    pub fn play(self, clock: Clock) -> Replay {
        let Self { reader, facts, quality, first } = self;
        let info = SourceInfo {
            name: "replay",
            quality,
            // Zero makes no sense, and a clock that stands still would wait for ever between two frames.
            frame_interval: Duration::from_nanos(facts.frame_interval_ns.max(1)),
            packing: facts.packing,
        };
        let first_start = Timestamp(first.frame_start_ns);
        let window = window_of(&facts);
        Replay {
            window,
            reader,
            info,
            next: Some(first),
            first_start,
            began: None,
            clock,
            behind: Duration::ZERO,
        }
    }
}

/// A recording that is played.
#[derive(Debug)]
pub struct Replay {
    reader: Reader,
    info: SourceInfo,
    /// Of frames that do not say.
    window: InferenceWindow,
    /// The first frame, until it was played.
    next: Option<FrameMessage>,
    /// Start of the first frame, sensor clock.
    first_start: Timestamp,
    /// When that was played, on `clock`.
    began: Option<Timestamp>,
    clock: Clock,
    behind: Duration,
}

impl Replay {
    /// Waits for as long after the first frame as it was when it was recorded.
    fn keep_time(&mut self, at: Timestamp) -> Waited {
        let began = *self.began.get_or_insert_with(|| self.clock.now());
        let due = began.plus(at.since(self.first_start)).plus(self.behind);
        let late = self.clock.now().since(due);
        if late.is_zero() {
            return self.clock.wait_until(due);
        }
        self.behind += late;
        if self.clock.stop_signal().is_raised() { Waited::Stopped } else { Waited::Reached }
    }
}

impl FrameSource for Replay {
    fn info(&self) -> SourceInfo {
        self.info.clone()
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = match self.next.take() {
            Some(first) => Some(first),
            None => self.reader.next_frame()?,
        };
        let Some(message) = next else { return Ok(Next::Ended) };
        fill(frame, message, self.window);
        match self.keep_time(frame.tensor_at_host) {
            Waited::Reached => Ok(Next::Frame),
            Waited::Stopped => Ok(Next::Ended),
        }
    }

    fn behind_real_time(&self) -> Duration {
        self.behind
    }

    fn device_events(&self) -> Vec<(&'static str, u64)> {
        match self.reader.ending() {
            Some(Ending::Cut) => vec![("recording_cut", 1)],
            _ => Vec::new(),
        }
    }
}

/// What of the sensor a recording shows that says nothing else.
#[must_use]
pub fn window_of(facts: &RunFacts) -> InferenceWindow {
    let [left, top, width, height] = facts.inference_window;
    let window = InferenceWindow { left, top, width, height };
    // The simulated sensor's whole scene is a square.
    let resolved = (facts.source == "simulated").then(|| window.resolve().ok()).flatten();
    resolved.unwrap_or_else(|| window.on_sensor())
}

fn fill(frame: &mut RawFrame, message: FrameMessage, window: InferenceWindow) {
    frame.sequence = message.sequence;
    frame.metadata = message.metadata;
    frame.embedded_line_len_bytes = len(message.embedded_line_len_bytes);
    frame.frame_start = Timestamp(message.frame_start_ns);
    frame.tensor_at_host = Timestamp(message.tensor_at_host_ns);
    frame.picture = message.picture.map(picture).unwrap_or_default();
    frame.window = match message.window {
        None => Some(window),
        Some(WindowMessage { width: 0, height: 0, .. }) => None,
        Some(WindowMessage { left, top, width, height }) => {
            Some(InferenceWindow { left, top, width, height })
        }
    };
}

fn picture(message: PictureMessage) -> RawPicture {
    let PictureMessage { bytes, width, height, stride_bytes, order } = message;
    RawPicture {
        bytes,
        width: len(width),
        height: len(height),
        stride_bytes: len(stride_bytes),
        order: BayerOrder::named(&order).unwrap_or_default(),
    }
}

/// Where a size has not 32 bits, it is longer than any buffer and refused as such.
fn len(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
