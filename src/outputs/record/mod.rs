//! Records a run: every buffer as the source gave it, and what came of it, into MCAP files.
//!
//! ```text
//!   capture                                   "record" thread
//!   source -- tap.rs copies --> [ 32 ] ----->  writing.rs --> file.rs --> chunk, fsync
//!                  ^                 |             ^  |
//!                  +--- empty -------+             |  +--> folder.rs: new file, oldest file away
//!   decode ------- Arc<Frame> ---> [ 16 ] ---------+
//!   meters: power, measure: vessels --- asked -----+
//! ```
//!
//! The frame path never waits for the disk: what the thread is too slow for is not recorded, and counted as
//! `record_too_slow`. Only a run that waits for everybody (`--pace max`) waits here too, and then nothing is lost.
//!
//! A recording can be begun and ended while the run goes on (`switch.rs`): each is a file, or more, of its own.
//!
//! A full disk ends the file at its last whole chunk. The run goes on; frames are counted as
//! `record_disk_full` until a new file can be written. The layout of the file is in `formats/recording`.

mod file;
mod folder;
mod messages;
mod staged;
mod switch;
mod tap;
mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;

use super::{OutputError, measure};
use crate::formats::recording::RunFacts;
use crate::pipeline::metering::Meters;
use crate::pipeline::queue::Bounded;
use crate::pipeline::{Frame, Pipeline};
use crate::source::clock::{Clock, Timestamp};
use crate::source::{FrameSource, RawFrame};
use switch::Wanted;
use tap::Tap;
use writing::Writing;

pub use switch::{Switch, SwitchFigures};

/// Where recordings go, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// One file, or a folder of them.
    pub target: Target,
    /// A chunk is closed when it holds this much, before compression.
    pub chunk_bytes: usize,
    /// Or after this time: what a crash can lose.
    pub chunk_interval: Duration,
    /// Whether raw pictures are recorded too.
    pub pictures: bool,
    /// What a full disk does.
    pub when_full: WhenFull,
    /// Whether recording begins with the run; into a folder, [`Switch`] begins and ends it later.
    pub at_start: bool,
}

/// Where recordings go.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// One file, however long.
    File(PathBuf),
    /// A ring of files: the oldest make room.
    Folder {
        /// Made if it is not there.
        path: PathBuf,
        /// A new file is begun when this one holds so much.
        file_bytes: u64,
        /// Of all files of the ring together.
        max_bytes: Option<u64>,
        /// Files that were last written longer ago than this go.
        max_age: Option<Duration>,
    },
}

/// What a full disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The run goes on, and recording with it as soon as there is room.
    GoOn,
    /// It ends the run.
    End,
}

/// What a recording has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordingFigures {
    /// The file or folder.
    pub path: String,
    /// Frames that are safely on disk.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files begun.
    pub files: u64,
    /// Files that made room.
    pub files_removed: u64,
    /// Frames that are not recorded, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// The first file is open; nothing is recorded yet.
#[derive(Debug)]
pub struct Recorder {
    options: Options,
    waits: Waits,
    queues: Queues,
    writing: Writing,
}

/// Whether the frame path waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Never: what the disk is too slow for is dropped and counted.
    Never,
    /// It waits, so that nothing is lost: where time is simulated.
    ForTheDisk,
}

/// What the recorder needs of the running pipeline.
pub struct Feed {
    /// Published frames.
    pub published: Arc<Bounded<Arc<Frame>>>,
    /// What the instruments for power say.
    pub meters: Meters,
    /// What the measure thread finds, where one runs.
    pub measure: Option<measure::Observer>,
    /// Real time.
    pub clock: Clock,
}

/// Decode must not wait for a thread that has ended.
impl Drop for Feed {
    fn drop(&mut self) {
        self.published.close();
    }
}

impl Recorder {
    /// Opens the first file, or only looks at the folder where nothing is recorded at first, so that what cannot be
    /// recorded is known before the run.
    ///
    /// # Errors
    /// When the file or the folder cannot be written.
    pub fn open(
        options: Options,
        facts: RunFacts,
        config: String,
        waits: Waits,
    ) -> Result<Self, OutputError> {
        let queues = Queues::new(options.at_start);
        let writing = Writing::open(options.clone(), facts, config, queues.clone())?;
        Ok(Self { options, waits, queues, writing })
    }

    /// A source that hands on every frame and gives a copy to the recorder.
    #[must_use]
    pub fn tap(&self, source: Box<dyn FrameSource>) -> Box<dyn FrameSource> {
        let pictures = self.options.pictures;
        Box::new(Tap::new(source, self.queues.clone(), self.waits, pictures))
    }

    /// Begins and ends recordings, where they go into a folder.
    #[must_use]
    pub fn switch(&self) -> Switch {
        match self.options.target {
            Target::Folder { .. } => Switch::of(Arc::clone(&self.queues.wanted)),
            Target::File(_) => Switch::none(
                "record.path names one file, which is recorded from start to end; name a folder to begin and end \
                 recordings",
            ),
        }
    }

    /// The queue of published frames for [`Feed`].
    #[must_use]
    pub fn published(&self, pipeline: &mut Pipeline) -> Arc<Bounded<Arc<Frame>>> {
        match self.waits {
            Waits::Never => pipeline.offered("record-published", PUBLISHED_LEN),
            Waits::ForTheDisk => pipeline.bounded("record-published", PUBLISHED_LEN),
        }
    }

    /// Starts the "record" thread. It ends when the source does.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self, feed: Feed) -> Result<Recording, OutputError> {
        let observer = Observer { path: self.path(), queues: self.queues.clone() };
        let writing = self.writing;
        let handle = thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || {
                let feed = feed;
                writing.run(&feed)
            })
            .map_err(|error| OutputError::RecordThread(error.to_string()))?;
        Ok(Recording { observer, handle })
    }

    fn path(&self) -> String {
        match &self.options.target {
            Target::File(path) | Target::Folder { path, .. } => path.display().to_string(),
        }
    }
}

/// A run that is being recorded.
#[derive(Debug)]
pub struct Recording {
    observer: Observer,
    handle: JoinHandle<Result<(), OutputError>>,
}

impl Recording {
    /// Says how far it is, also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Waits until everything is written. The source must have been dropped.
    ///
    /// # Errors
    /// Why recording has ended the run.
    pub fn end(self) -> Result<(), OutputError> {
        let panicked = |_| OutputError::RecordPanicked;
        self.handle.join().map_err(panicked)?
    }
}

/// Says how far a recording is; cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    path: String,
    queues: Queues,
}

impl Observer {
    /// Where it stands.
    #[must_use]
    pub fn figures(&self) -> RecordingFigures {
        let counts = *self.queues.counts();
        RecordingFigures {
            path: self.path.clone(),
            frames: counts.frames,
            bytes: counts.bytes,
            files: counts.files,
            files_removed: counts.files_removed,
            dropped: counts.dropped().into(),
        }
    }

    /// Frames that are not recorded, by reason.
    #[must_use]
    pub fn dropped(&self) -> [(&'static str, u64); 3] {
        self.queues.counts().dropped()
    }
}

/// What tap and thread share.
#[derive(Debug, Clone)]
struct Queues {
    /// Copies that wait to be written.
    frames: Arc<Bounded<RawFrame>>,
    /// Their buffers on the way back.
    empty: Arc<Bounded<RawFrame>>,
    wanted: Arc<Wanted>,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// Start of the run's first frame, recorded or not; sensor clock.
    first_start: Option<Timestamp>,
    frames: u64,
    bytes: u64,
    files: u64,
    files_removed: u64,
    too_slow: u64,
    disk_full: u64,
    write_failed: u64,
}

/// Why frames of a chunk are not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    DiskFull,
    WriteFailed,
}

impl Counts {
    fn lose(&mut self, reason: Lost, frames: u64) {
        match reason {
            Lost::DiskFull => self.disk_full += frames,
            Lost::WriteFailed => self.write_failed += frames,
        }
    }
    fn dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("record_too_slow", self.too_slow),
            ("record_disk_full", self.disk_full),
            ("record_write_failed", self.write_failed),
        ]
    }
}

impl Queues {
    fn new(at_start: bool) -> Self {
        let empty = Bounded::new("record-empty", QUEUE_LEN);
        for _ in 0..QUEUE_LEN {
            empty.offer(RawFrame::default()).expect("it was made to hold them all");
        }
        Self {
            frames: Arc::new(Bounded::new("record", QUEUE_LEN)),
            empty: Arc::new(empty),
            wanted: Arc::new(Wanted::new(at_start)),
            counts: Arc::default(),
        }
    }

    /// A panic elsewhere must not keep anyone from seeing how far it got.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Buffers that may wait for the disk: a second at 30 frames a second, for an SD card that tidies up. Their
/// memory, 2 MB each with the network `accurate`, is taken when it is first needed.
const QUEUE_LEN: usize = 32;

/// Published frames that may wait for the disk. More than can be under way between two buffers, so that
/// decode never waits for a thread that waits for capture.
const PUBLISHED_LEN: usize = 16;
