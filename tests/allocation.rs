//! Once warm, nothing on a frame's way allocates. Counted by the allocator itself, over all
//! threads, between two calls of the source.
//!
//! One test only: another one's allocations would be counted too.

// An allocator that counts can only be written as an unsafe trait; it hands every call on to the
// system's.
#![allow(unsafe_code)]

#[path = "pipeline/buffers.rs"]
#[allow(dead_code, reason = "the tests of the pipeline use more of the prepared buffers")]
mod buffers;

use buffers::{Brings, Sensor};
use qsegment::emulator::Network;
use qsegment::pipeline::host::{Host, Inference, Sees};
use qsegment::pipeline::{Options, Pipeline, ShownPicture};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::RunTime;
use qsegment::source::simulated::{self, Simulated, Timing};
use qsegment::source::{BayerOrder, FrameSource, Next, RawFrame, SourceError, SourceInfo};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract of
// `GlobalAlloc`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: `memory` came from `System` through this allocator, with this layout.
        unsafe { System.realloc(memory, layout, new_size) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for `realloc`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The simulated sensor moves over its scene and its network takes now one frame, now three: long
/// enough for every kind of buffer and the longest queue.
const WARM_UP: u64 = 300;
const COUNTED: u64 = 300;

const RAW_WIDTH: usize = 648;
const RAW_HEIGHT: usize = 486;
const RAW_STRIDE_BYTES: usize = 816;

/// Reads the allocator's count before the first and after the last of the counted buffers, and
/// ends.
struct Watched<S> {
    source: S,
    taken: u64,
    /// Allocations when the warm-up was over, and `COUNTED` buffers later.
    allocations: Arc<[AtomicU64; 2]>,
}

impl<S: FrameSource> FrameSource for Watched<S> {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let so_far = ALLOCATIONS.load(Ordering::SeqCst);
        if self.taken == WARM_UP {
            self.allocations[0].store(so_far, Ordering::SeqCst);
        }
        if self.taken == WARM_UP + COUNTED {
            self.allocations[1].store(so_far, Ordering::SeqCst);
            return Ok(Next::Ended);
        }
        self.taken += 1;
        self.source.next(frame)
    }
}

/// Repeats prepared buffers, in which it changes only the counters; allocates nothing itself.
struct Repeated {
    prepared: [RawFrame; 4],
    /// Where the counters of the two headers lie.
    counters_at: [usize; 2],
    sequence: u64,
}

impl Repeated {
    /// Every way through pairing: kept, idle, late output, both at once.
    fn new(sensor: &Sensor) -> Self {
        let prepared = [Brings::Input, Brings::Nothing, Brings::Output, Brings::Both]
            .map(|brings| sensor.buffer(0, 0, brings));
        let counters_at = [1, sensor.output_line()].map(|line| Sensor::line_at(line) + 1);
        Self { prepared, counters_at, sequence: 0 }
    }
}

impl FrameSource for Repeated {
    fn info(&self) -> SourceInfo {
        buffers::info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let step = self.sequence % 4;
        let prepared = &self.prepared[usize::try_from(step).expect("it is below 4")];
        frame.metadata.clear();
        frame.metadata.extend_from_slice(&prepared.metadata);
        // The late output, step 2, is of the frame at step 0.
        let seen = if step == 2 { self.sequence - 2 } else { self.sequence };
        for at in self.counters_at {
            frame.metadata[at] = seen.to_le_bytes()[0];
        }
        frame.sequence = self.sequence;
        frame.embedded_line_len_bytes = prepared.embedded_line_len_bytes;
        frame.frame_start = buffers::start_of(self.sequence);
        frame.tensor_at_host = frame.frame_start.plus(buffers::READ_OUT);
        let picture = &mut frame.picture;
        picture.bytes.clear();
        picture.bytes.resize(RAW_STRIDE_BYTES * RAW_HEIGHT, 0x5a);
        (picture.width, picture.height) = (RAW_WIDTH, RAW_HEIGHT);
        (picture.stride_bytes, picture.order) = (RAW_STRIDE_BYTES, BayerOrder::Rggb);
        self.sequence += 1;
        Ok(Next::Frame)
    }
}

#[test]
fn nothing_is_allocated_per_frame() {
    let prepared = Repeated::new(&Sensor::new(320, 320));
    let as_seen = Options::default();
    assert_eq!(allocations_of_a_warm_run(prepared, as_seen), 0, "capture, decode, pairing");

    let prepared = Repeated::new(&Sensor::new(320, 320));
    let raw = Options { picture: ShownPicture::Raw, ..Options::default() };
    assert_eq!(allocations_of_a_warm_run(prepared, raw), 0, "raw pictures held and developed");

    for sees in [Sees::InputTensor, Sees::Picture] {
        let network = network().with_input_size(32, 32).unwrap();
        let inference = Inference::Host(Host::new(network, sees).unwrap());
        let options = Options { inference, ..Options::default() };
        let prepared = Repeated::new(&Sensor::new(32, 32));
        assert_eq!(allocations_of_a_warm_run(prepared, options), 0, "on the host: {sees:?}");
    }

    let network = network().with_input_size(32, 32).unwrap();
    let run_time =
        RunTime { shortest: Duration::from_millis(25), longest: Duration::from_millis(75) };
    let timing = Timing::Given(run_time);
    let options =
        simulated::Options { scene: Scene::Phantom, timing, ..simulated::Options::default() };
    let clock = Clock::simulated(StopSignal::default());
    let simulated = Simulated::new(options, &network, clock).unwrap();
    let as_seen = Options::default();
    let allocated = allocations_of_a_warm_run(simulated, as_seen);
    // Source and emulator meet in two channels of the standard library, each of whose ends allocates twice when it
    // has to wait for the first time, which may be late where the emulator is fast.
    assert!(allocated <= 4, "simulated sensor, emulator and all: {allocated}");
}

fn network() -> Network {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let file = std::fs::read(path).expect("the shipped network is in the repository");
    Network::load(&file).expect("it loads")
}

fn allocations_of_a_warm_run(source: impl FrameSource + 'static, options: Options) -> u64 {
    let allocations = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let source = Watched { source, taken: 0, allocations: Arc::clone(&allocations) };
    // Nothing is dropped, so that every run has the same frames under way, and every frame counts.
    let mut pipeline = Pipeline::new(Options {
        stale_after: Duration::from_secs(1),
        drop_when_behind: false,
        ..options
    });
    // As with every camera.
    pipeline.measure_light();
    let page = pipeline.latest("page");
    let running = pipeline.start(Box::new(source), Clock::monotonic(StopSignal::default()));
    let counters = running.wait().expect("no source here fails").counters;
    assert_eq!((counters.buffers, counters.unpaired), (WARM_UP + COUNTED, 0));
    assert_eq!(counters.missing_pictures, 0);
    assert_eq!(counters.paired, counters.outputs);
    assert!(page.dropped() > COUNTED / 3, "frames were published all the while");

    let [warm, end] = [0, 1].map(|at: usize| allocations[at].load(Ordering::SeqCst));
    assert!(warm > 0, "the allocator counts");
    end - warm
}
