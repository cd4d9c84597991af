//! What the "record" thread does: messages into chunks, chunks into files, and what to do about a full disk.
//!
//! ```text
//!              chunk long enough, or its time is over: fsync
//!                    +---+
//!                    |   v        write fails: cut the file back, say so once
//!   open ---------> recording ------------------------------------> suspended
//!                    ^  ^                                              |
//!    switched on,    |  +------- a new file and a chunk in it ---------+   tried every few seconds
//!    a frame comes   |
//!             ended, not begun <---- switched off, all that was copied is written
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;

use super::file::RecordingFile;
use super::folder::Folder;
use super::messages::{latency, mask, result, saturated, vessels};
use super::{Feed, Lost, Options, Queues, Target, WhenFull};
use crate::formats::recording::{
    Channel, FrameMessage, PictureMessage, PowerMessage, RunFacts, WindowMessage,
};
use crate::outputs::OutputError;
use crate::pipeline::Frame;
use crate::pipeline::queue::Taken;
use crate::source::RawFrame;
use crate::source::clock::{Clock, Timestamp};

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Writing {
    options: Options,
    facts: RunFacts,
    config: String,
    queues: Queues,
    folder: Option<Folder>,
    file: Option<RecordingFile>,
    /// Frames of the chunk that is open.
    open_frames: u64,
    /// Host clock; when the open chunk is closed at the latest.
    chunk_due: Timestamp,
    /// Host clock; when instruments and measurements are asked next.
    ask_due: Timestamp,
    /// When a new file is tried, while there is none.
    retry_at: Timestamp,
    /// From a failure that was told until the next chunk that is on disk.
    suspended: Option<Lost>,
    /// Sensor clock: start of the run's first frame, once one is recorded, and the newest stamp.
    first_start: Option<Timestamp>,
    newest: Timestamp,
    /// Of each instrument, when its last sample was taken.
    power_taken: Vec<Option<Timestamp>>,
    /// Number of the first frame whose measurements are still to be written; none while nothing is recorded.
    unmeasured_from: Option<u64>,
    message: FrameMessage,
    encoded: Vec<u8>,
}

impl Writing {
    pub(super) fn open(
        options: Options,
        facts: RunFacts,
        config: String,
        queues: Queues,
    ) -> Result<Self, OutputError> {
        let refused = |error: io::Error| cannot(&options, &error);
        let folder = match &options.target {
            Target::File(_) => None,
            Target::Folder { path, max_bytes, max_age, .. } => {
                Some(Folder::open(path, *max_bytes, *max_age, &facts).map_err(refused)?)
            }
        };
        let mut writing = Self {
            options: options.clone(),
            facts,
            config,
            queues,
            folder,
            file: None,
            open_frames: 0,
            chunk_due: Timestamp::default(),
            ask_due: Timestamp::default(),
            retry_at: Timestamp::default(),
            suspended: None,
            first_start: None,
            newest: Timestamp::default(),
            power_taken: Vec::new(),
            unmeasured_from: None,
            message: FrameMessage::default(),
            encoded: Vec::new(),
        };
        if writing.options.at_start {
            writing.new_file().map_err(refused)?;
        }
        Ok(writing)
    }

    /// Until the source ends.
    pub(super) fn run(mut self, feed: &Feed) -> Result<(), OutputError> {
        let clock = &feed.clock;
        self.chunk_due = clock.now().plus(self.options.chunk_interval);
        loop {
            match self.next(feed) {
                Taken::Value(raw) => {
                    self.take(raw, clock)?;
                }
                Taken::TimedOut => self.end_if_unwanted(clock)?,
                Taken::Closed => break,
            }
            while let Taken::Value(frame) = feed.published.take_within(Duration::ZERO) {
                self.published(&frame, clock)?;
            }
            self.ask(feed)?;
            self.commit_if_due(clock)?;
        }
        // Decode ends after the source has.
        while let Some(frame) = feed.published.take() {
            self.published(&frame, clock)?;
        }
        self.ask_due = Timestamp::default();
        self.ask(feed)?;
        self.finish(clock)
    }

    /// The next copy. While none are made, published frames are waited for instead, and let go: a run that waits for
    /// everybody must not wait here.
    fn next(&self, feed: &Feed) -> Taken<RawFrame> {
        if self.file.is_some() || self.queues.wanted.is_on() {
            return self.queues.frames.take_within(TICK);
        }
        drop(feed.published.take_within(TICK));
        self.queues.frames.take_within(Duration::ZERO)
    }

    /// Ends the file that nobody wants to go on, when what was copied for it is written.
    fn end_if_unwanted(&mut self, clock: &Clock) -> Result<(), OutputError> {
        if self.queues.wanted.is_on() {
            return Ok(());
        }
        // The next one is begun with the first frame that is wanted again.
        self.retry_at = Timestamp::default();
        self.suspended = None;
        self.unmeasured_from = None;
        if let Some(file) = &self.file {
            let path = file.path().to_owned();
            self.finish(clock)?;
            tracing::info!("the recording {} has ended", path.display());
        }
        Ok(())
    }

    fn take(&mut self, mut raw: RawFrame, clock: &Clock) -> Result<(), OutputError> {
        if self.file.is_none() && !self.queues.wanted.is_on() {
            // It was copied while the file ended.
            drop(self.queues.empty.offer(raw));
            return Ok(());
        }
        if self.first_start.is_none() {
            let first = self.queues.counts().first_start;
            self.first_start = first.or(Some(raw.frame_start));
        }
        self.newest = raw.tensor_at_host;
        self.unmeasured_from.get_or_insert(raw.sequence);
        let time_ns = self.time_ns(raw.tensor_at_host);
        self.encode(&mut raw);
        // There is room for every buffer; refused only when the run ends.
        drop(self.queues.empty.offer(raw));
        if self.ready(clock) {
            self.open_frames += 1;
            self.write(Channel::Metadata, time_ns, clock)?;
        } else {
            let reason = self.suspended.unwrap_or(Lost::WriteFailed);
            self.queues.counts().lose(reason, 1);
        }
        Ok(())
    }

    /// The message lends the buffers of the frame.
    fn encode(&mut self, raw: &mut RawFrame) {
        let message = &mut self.message;
        message.sequence = raw.sequence;
        message.embedded_line_len_bytes = saturated(raw.embedded_line_len_bytes);
        message.frame_start_ns = raw.frame_start.0;
        message.tensor_at_host_ns = raw.tensor_at_host.0;
        message.metadata = std::mem::take(&mut raw.metadata);
        let picture = &mut raw.picture;
        message.picture = (!picture.bytes.is_empty()).then(|| PictureMessage {
            bytes: std::mem::take(&mut picture.bytes),
            width: saturated(picture.width),
            height: saturated(picture.height),
            stride_bytes: saturated(picture.stride_bytes),
            order: picture.order.name().to_owned(),
        });
        let window = raw.window.unwrap_or_default();
        message.window = Some(WindowMessage {
            left: window.left,
            top: window.top,
            width: window.width,
            height: window.height,
        });
        self.encoded.clear();
        message.encode(&mut self.encoded).expect("a Vec takes everything");
        raw.metadata = std::mem::take(&mut message.metadata);
        if let Some(lent) = message.picture.take() {
            raw.picture.bytes = lent.bytes;
        }
    }

    fn published(&mut self, frame: &Arc<Frame>, clock: &Clock) -> Result<(), OutputError> {
        if self.file.is_none() {
            return Ok(());
        }
        let time_ns = self.time_ns(frame.stamps.tensor_at_host);
        self.json(&result(frame));
        self.write(Channel::Result, time_ns, clock)?;
        self.json(&latency(frame));
        self.write(Channel::Latency, time_ns, clock)?;
        self.encoded.clear();
        mask(frame, self.time_ns(frame.stamps.frame_start))
            .encode(&mut self.encoded)
            .expect("a Vec takes everything");
        self.write(Channel::Mask, time_ns, clock)
    }

    /// What does not come with the frames.
    fn ask(&mut self, feed: &Feed) -> Result<(), OutputError> {
        let now = feed.clock.now();
        if now < self.ask_due || self.file.is_none() || self.first_start.is_none() {
            return Ok(());
        }
        self.ask_due = now.plus(ASK_INTERVAL);
        self.power(feed)?;
        self.vessels(feed)
    }

    /// Every new sample of every instrument.
    fn power(&mut self, feed: &Feed) -> Result<(), OutputError> {
        let metered = feed.meters.metered();
        self.power_taken.resize(metered.len(), None);
        for (instrument, metered) in metered.iter().enumerate() {
            let Some(sample) = metered.newest else { continue };
            if self.power_taken[instrument].replace(sample.at) == Some(sample.at) {
                continue;
            }
            self.json(&PowerMessage {
                instrument: metered.info.name.clone(),
                scope: metered.info.scope.name().to_owned(),
                source: metered.info.source.name().to_owned(),
                quality: metered.info.quality.name().to_owned(),
                watts: sample.watts,
                uncertainty_watts: sample.uncertainty_watts,
            });
            let time_ns = self.time_ns(self.newest);
            self.write(Channel::Power, time_ns, &feed.clock)?;
        }
        Ok(())
    }

    /// Of the frame that was measured last, once.
    fn vessels(&mut self, feed: &Feed) -> Result<(), OutputError> {
        let newest = feed.measure.as_ref().and_then(|measure| measure.newest());
        let Some((stamps, figures)) = newest else { return Ok(()) };
        if self.unmeasured_from.is_none_or(|from| figures.sequence < from) {
            return Ok(());
        }
        self.unmeasured_from = Some(figures.sequence + 1);
        self.json(&vessels(&figures));
        let time_ns = self.time_ns(stamps.tensor_at_host);
        self.write(Channel::Vessels, time_ns, &feed.clock)
    }

    fn json(&mut self, message: &impl serde::Serialize) {
        self.encoded.clear();
        serde_json::to_writer(&mut self.encoded, message).expect("keys are text, a Vec takes all");
    }

    /// Writes what was encoded.
    fn write(&mut self, channel: Channel, time_ns: u64, clock: &Clock) -> Result<(), OutputError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        match file.write(channel, time_ns, &self.encoded) {
            Ok(()) => Ok(()),
            Err(error) => self.suspend(&error, clock),
        }
    }

    /// Whether there is a file; tries a new one now and then.
    fn ready(&mut self, clock: &Clock) -> bool {
        if self.file.is_some() {
            return true;
        }
        let now = clock.now();
        if now < self.retry_at {
            return false;
        }
        self.retry_at = now.plus(RETRY_INTERVAL);
        if matches!(self.options.target, Target::File(_)) {
            // Another name was not asked for, and the file is not overwritten.
            return false;
        }
        match self.new_file() {
            Ok(()) => {
                self.chunk_due = now.plus(self.options.chunk_interval);
                true
            }
            Err(error) => {
                tracing::debug!("still no room for a recording: {error}");
                self.queues.wanted.is_not_written(error.to_string());
                false
            }
        }
    }

    fn new_file(&mut self) -> io::Result<()> {
        let path = match (&self.options.target, &mut self.folder) {
            (Target::File(path), _) => path.clone(),
            (Target::Folder { path, .. }, None) => path.clone(),
            (Target::Folder { .. }, Some(folder)) => folder.new_file()?,
        };
        let file = RecordingFile::create(&path, &self.facts, &self.config)?;
        self.queues.wanted.is_written(file.path(), file.len());
        self.file = Some(file);
        self.queues.counts().files += 1;
        self.make_room();
        Ok(())
    }

    fn commit_if_due(&mut self, clock: &Clock) -> Result<(), OutputError> {
        let now = clock.now();
        let Some(file) = &self.file else { return Ok(()) };
        let is_long = file.open_bytes() >= self.options.chunk_bytes;
        if !is_long && (now < self.chunk_due || file.open_bytes() == 0) {
            return Ok(());
        }
        self.chunk_due = now.plus(self.options.chunk_interval);
        self.commit(clock)?;
        self.turn_over(clock)
    }

    /// Closes the chunk and waits for the disk.
    fn commit(&mut self, clock: &Clock) -> Result<(), OutputError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let before = file.len();
        if let Err(error) = file.commit() {
            return self.suspend(&error, clock);
        }
        let (path, grown) = (file.path().display().to_string(), file.len() - before);
        self.queues.wanted.is_written(file.path(), file.len());
        let mut counts = self.queues.counts();
        counts.frames += self.open_frames;
        counts.bytes += grown;
        tracing::debug!(frames = counts.frames, "a chunk of {grown} bytes is on disk");
        drop(counts);
        if self.suspended.take().is_some() {
            tracing::warn!("recording goes on in {path}");
        }
        self.open_frames = 0;
        self.make_room();
        Ok(())
    }

    /// Begins a new file where this one is long enough.
    fn turn_over(&mut self, clock: &Clock) -> Result<(), OutputError> {
        let Target::Folder { file_bytes, .. } = self.options.target else { return Ok(()) };
        if self.file.as_ref().is_none_or(|file| file.len() < file_bytes) {
            return Ok(());
        }
        self.finish(clock)?;
        if self.suspended.is_some() {
            return Ok(());
        }
        match self.new_file() {
            Ok(()) => Ok(()),
            Err(error) => self.suspend(&error, clock),
        }
    }

    /// Closes the file with its index.
    fn finish(&mut self, clock: &Clock) -> Result<(), OutputError> {
        self.commit(clock)?;
        let Some(file) = self.file.take() else { return Ok(()) };
        let before = file.len();
        let path = file.path().to_owned();
        match file.finish() {
            Ok(len) => {
                self.queues.wanted.is_written(&path, len);
                self.queues.counts().bytes += len - before;
                Ok(())
            }
            // Every frame is in it; only the index is not.
            Err(error) => self.suspend(&error, clock),
        }
    }

    /// The file ends with its last whole chunk; what was in the open one is lost.
    fn suspend(&mut self, error: &io::Error, clock: &Clock) -> Result<(), OutputError> {
        let reason = if is_full(error) { Lost::DiskFull } else { Lost::WriteFailed };
        let lost = std::mem::take(&mut self.open_frames);
        self.queues.counts().lose(reason, lost);
        if let Some(file) = self.file.take() {
            file.abandon();
        }
        self.queues.wanted.is_not_written(error.to_string());
        self.retry_at = clock.now().plus(RETRY_INTERVAL);
        let told = self.suspended.replace(reason).is_some();
        if self.options.when_full == WhenFull::End {
            clock.stop_signal().raise();
            return Err(cannot(&self.options, error));
        }
        if !told {
            let next = match self.options.target {
                Target::File(_) => "the file ends with its last whole chunk",
                Target::Folder { .. } => "it goes on in a new file when there is room",
            };
            tracing::warn!("recording stops, the run goes on: {error}; {next}, frames are counted");
        }
        Ok(())
    }

    fn make_room(&mut self) {
        let (Some(folder), Some(file)) = (&mut self.folder, &self.file) else { return };
        match folder.make_room(file.path()) {
            Ok(removed) => self.queues.counts().files_removed += removed,
            Err(error) => tracing::debug!("cannot remove an old recording: {error}"),
        }
    }

    /// The sensor's clock on the calendar: the first frame started when the run did.
    fn time_ns(&self, at: Timestamp) -> u64 {
        let first = self.first_start.unwrap_or(at);
        // The frame that a tensor is of may be older than the first that was recorded.
        let started = self.facts.started_ns.saturating_sub(nanoseconds(first.since(at)));
        started.saturating_add(nanoseconds(at.since(first)))
    }
}

/// Ends the frame path's waiting, whatever happens to the thread.
impl Drop for Writing {
    fn drop(&mut self) {
        self.queues.frames.close();
        self.queues.empty.close();
    }
}

fn cannot(options: &Options, error: &io::Error) -> OutputError {
    let (Target::File(path) | Target::Folder { path, .. }) = &options.target;
    match error.kind() {
        io::ErrorKind::AlreadyExists => OutputError::RecordExists(path.clone()),
        _ => OutputError::Record { path: path.clone(), cause: error.to_string() },
    }
}

/// No room on the disk, none of the quota, or none below the limit on the length of files.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How long the thread waits for a frame before it looks after the rest.
const TICK: Duration = Duration::from_millis(50);
/// As often as frames are measured by default.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// Between two attempts to go on after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
