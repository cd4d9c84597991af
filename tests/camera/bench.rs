//! The one virtual camera that all tests share, and its feeding.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use qsegment::source::clock::{Clock, StopSignal, Waited};
use qsegment::source::imx500::{self, Delivery, Fed, Feed, Imx500, ReceiverKind};
use qsegment::source::simulated::timing::Mode;

/// DNN lines of the network that is given.
pub(crate) const DNN_LINES: usize = 7;

/// The one camera that all tests share.
pub(crate) struct Bench {
    files: PathBuf,
    receiver: ReceiverKind,
}

impl Bench {
    #[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
    pub(crate) fn new() -> Option<Self> {
        let files = std::env::var_os("QSEGMENT_VM_FILES").map(PathBuf::from);
        if files.is_none() {
            eprintln!("SKIPPED: QSEGMENT_VM_FILES names no files for a virtual camera");
        }
        let mut bench = Self { files: files?, receiver: ReceiverKind::Rp1Cfe };
        bench.receiver = bench.open(|_| {}).receiver();
        Some(bench)
    }

    /// One of the files that tests/camera_files.rs makes.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    /// Bytes of a frame.
    pub(crate) fn len_bytes(&self, mode: Mode) -> usize {
        let embedded_line = match (mode, self.receiver) {
            (Mode::Binned, ReceiverKind::Rp1Cfe) => 2535,
            (Mode::Binned, ReceiverKind::Unicam) => 2544,
            (Mode::Full, ReceiverKind::Rp1Cfe) => 5070,
            (Mode::Full, ReceiverKind::Unicam) => 5072,
        };
        2 * embedded_line + DNN_LINES * 2560
    }

    pub(crate) fn options(&self) -> imx500::Options {
        imx500::Options { network: Some(self.file("network.rpk")), ..imx500::Options::default() }
    }

    pub(crate) fn open(&self, change: impl FnOnce(&mut imx500::Options)) -> Imx500 {
        let mut options = self.options();
        change(&mut options);
        let clock = Clock::monotonic(StopSignal::default());
        match Imx500::open(options, clock, Box::new(|_| {})) {
            Ok(camera) => camera,
            Err(error) => panic!("{error}"),
        }
    }

    /// Feeds this many buffers from a thread of its own.
    pub(crate) fn feed(&self, count: u64) -> Feeding {
        self.feed_in(Mode::Binned, count)
    }

    pub(crate) fn feed_in(&self, mode: Mode, count: u64) -> Feeding {
        let len = self.len_bytes(mode);
        let stop = StopSignal::default();
        let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
        let thread = {
            let stop = stop.clone();
            // Another test's buffers must not be left in the driver: the node is closed at the end.
            thread::spawn(move || {
                for number in 0..count {
                    let metadata = buffer(number, len);
                    if feed.put(&fed(&metadata), &stop).unwrap() == Waited::Stopped {
                        return;
                    }
                }
                feed.flush(&stop).unwrap();
            })
        };
        Feeding { stop, thread: Some(thread) }
    }
}

/// Dropping it stops the feeding, so that a test that fails leaves the node to the next.
pub(crate) struct Feeding {
    stop: StopSignal,
    thread: Option<JoinHandle<()>>,
}

impl Feeding {
    pub(crate) fn end(mut self) {
        self.stop.raise();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            // The test has failed already.
            let _ = thread.join();
        }
    }
}

/// A parameter of the driver, set until it is dropped.
pub(crate) struct Parameter {
    path: PathBuf,
    before: String,
}

impl Parameter {
    pub(crate) fn set(name: &str, value: impl ToString) -> Self {
        let path = Path::new("/sys/module/virtual_imx500/parameters").join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, value.to_string()).unwrap();
        Self { path, before }
    }

    /// Of one that is set when the module is loaded.
    pub(crate) fn get(name: &str) -> String {
        let path = Path::new("/sys/module/virtual_imx500/parameters").join(name);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

impl Drop for Parameter {
    fn drop(&mut self) {
        std::fs::write(&self.path, self.before.trim()).unwrap();
    }
}

/// A frame without a picture of its own.
pub(crate) fn fed(metadata: &[u8]) -> Fed<'_> {
    Fed {
        metadata,
        picture: &[],
        frame_count: 0,
        lost_before: 0,
        silent_before: 0,
        delivery: Delivery::Full,
    }
}

/// Bytes that differ from buffer to buffer and from place to place.
pub(crate) fn buffer(number: u64, len: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) const FEED_LEN_BYTES: u32 = 1 << 20;
