//! The simulated sensor allocates nothing per frame once it is warm: neither in the source nor on the
//! emulator's thread.
#![allow(unsafe_code, reason = "a counting allocator cannot be written without it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use qsegment::emulator::Network;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::RunTime;
use qsegment::source::simulated::{Options, Simulated, Timing};
use qsegment::source::{FrameSource, Next, RawFrame};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn warm_source_allocates_nothing_per_frame() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/qsegment-320.onnx");
    let network = Network::load(&std::fs::read(path).unwrap()).unwrap();
    let network = network.with_input_size(32, 32).unwrap();
    let run_time =
        RunTime { shortest: Duration::from_millis(25), longest: Duration::from_millis(75) };
    let options =
        Options { scene: Scene::Phantom, timing: Timing::Given(run_time), ..Options::default() };
    let clock = Clock::simulated(StopSignal::default());
    let mut source = Simulated::new(options, &network, clock).unwrap();
    let mut frame = RawFrame::default();
    let mut run = |frames| {
        for _ in 0..frames {
            assert_eq!(source.next(&mut frame).unwrap(), Next::Frame);
        }
    };
    // Long enough for every kind of buffer, the longest queue, and all that a drift can need.
    run(300);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    run(300);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed) - before, 0);
}
