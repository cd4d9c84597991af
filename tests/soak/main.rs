//! The pipeline for a long time under random faults, as fast as it can: nothing leaks, nothing stands still,
//! every fault is counted once, and every frame that a fault spared is published, to the last bit.
//!
//! ```text
//!                   +-- simulated, faults --> capture, decode --+--> checked   each frame against what is expected
//!   Watched --------+                                           +--> slot      a reader slower than the frames
//!   (capture)       +-- its healthy twin ----> expected.rs      +--> offered   the same
//! ```
//!
//! | fault             | counted as                                                                           |
//! |-------------------|--------------------------------------------------------------------------------------|
//! | dropped-tensor    | `no_output_region`, each once                                                        |
//! | invalid-flag      | `unpaired`, each once: the input that was seen waits in vain. If that input was in a |
//! |                   | buffer that another fault took, nobody can know of either: those are counted here    |
//! | counter-jump      | `counter_jumps`, each once; an input that waits then is `unpaired`, and its output   |
//! | counter-wrap      | nothing: harmless                                                                    |
//! | truncated-buffer  | `truncated_buffers`, each once                                                       |
//! | corrupt-ap-params | `corrupt_ap_params`, each once                                                       |
//! | stalled-source    | `stalls`, each once                                                                  |
//! | lost-buffer       | `lost_buffers`, each once                                                            |
//!
//! What a lost or refused buffer carried is gone, and the half of a pair that came without it is `unpaired`.
//! A lost buffer is never damaged too, and one buffer has one damage: the sensor's faults wait for their turn.
//!
//! 20,000 buffers in `cargo test`; as many as `QSEGMENT_SOAK_FRAMES` says where that is set:
//!
//! ```sh
//! QSEGMENT_SOAK_FRAMES=1000000 cargo test --locked --release --test soak -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]
#![allow(clippy::print_stdout, reason = "rate, duration and memory are what a long run is for")]

mod expected;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use expected::{Expected, Published};
use memory::Memory;
use qsegment::emulator::Network;
use qsegment::pipeline::queue::{Bounded, LatestSlot, Taken};
use qsegment::pipeline::{Counters, Frame, Options, Pipeline, Snapshot};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::faults::{Fault, FaultPlan, Spacing};
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::RunTime;
use qsegment::source::simulated::{self, Simulated, Timing};
use qsegment::source::{FrameSource, Next, RawFrame, SourceError, SourceInfo};

#[test]
fn nothing_leaks_or_stands_still_and_every_fault_is_counted_once() {
    let frames = std::env::var("QSEGMENT_SOAK_FRAMES").map_or(20_000, |n| n.parse().unwrap());
    assert!(
        frames >= 10_000,
        "QSEGMENT_SOAK_FRAMES={frames}: it takes 10000 to warm up and to tell"
    );
    let progress = Arc::new(AtomicU64::new(0));
    let (done, ended) = channel();
    let soaking = {
        let progress = Arc::clone(&progress);
        thread::spawn(move || done.send(Box::new(soak(frames, progress))))
    };
    let soaked = watch(&ended, &progress);
    soaking.join().unwrap().unwrap();
    soaked.check(frames);
}

/// Fails when nothing has moved for a minute, which no machine is too slow for.
fn watch(ended: &Receiver<Box<Soaked>>, progress: &AtomicU64) -> Box<Soaked> {
    let mut seen = 0;
    loop {
        match ended.recv_timeout(Duration::from_secs(60)) {
            Ok(soaked) => return soaked,
            Err(RecvTimeoutError::Disconnected) => panic!("it failed; its own words are above"),
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.load(Ordering::Relaxed);
                assert_ne!(now, seen, "deadlock: no buffer was taken for a minute after {now}");
                seen = now;
            }
        }
    }
}

/// What came of it.
struct Soaked {
    snapshot: Snapshot,
    expected: Expected,
    checked: Checked,
    slot: Slow,
    offered: Slow,
    took: Duration,
}

fn soak(frames: u64, progress: Arc<AtomicU64>) -> Soaked {
    let folder = tempfile::tempdir().unwrap();
    let scene = folder.path().join("scene.pgm");
    std::fs::write(&scene, small_scene()).unwrap();
    let network = network();
    let healthy = simulated::Options {
        scene: Scene::Path(scene),
        seed: 20,
        // Every kind of buffer: from both tensors of its own frame to an output three frames late.
        timing: Timing::Given(RunTime {
            shortest: Duration::from_millis(5),
            longest: Duration::from_millis(75),
        }),
        ..simulated::Options::default()
    };
    let struck = simulated::Options { faults: faults(frames), ..healthy.clone() };
    let simulate = |options| {
        Simulated::new(options, &network, Clock::simulated(StopSignal::default())).unwrap()
    };
    let (expects, wanted) = sync_channel(64);
    let (knows, known) = channel();
    let watched = Watched {
        source: simulate(struck),
        expected: Some(Expected::new(simulate(healthy))),
        expects,
        knows,
        progress,
    };

    let mut pipeline = Pipeline::new(Options { max_buffers: Some(frames), ..Options::default() });
    pipeline.measure_light();
    let checked = check(pipeline.bounded("checked", 4), wanted, frames);
    let slot = slow_on_slot(pipeline.latest("slot"));
    let offered = slow_on_queue(pipeline.offered("offered", 2));
    let clock = Clock::monotonic(StopSignal::default());
    let began = clock.now();
    let snapshot = pipeline.start(Box::new(watched), clock.clone()).wait().unwrap();
    let took = clock.now().since(began);
    Soaked {
        snapshot,
        expected: known.recv().unwrap(),
        checked: checked.join().unwrap(),
        slot: slot.join().unwrap(),
        offered: offered.join().unwrap(),
        took,
    }
}

/// All of them at random, about one in 14 buffers, and at the end time for the last to be over.
fn faults(frames: u64) -> Vec<FaultPlan> {
    let random = |(fault, every)| FaultPlan {
        fault,
        from_frame: 60,
        to_frame: frames - 200,
        spacing: Spacing::Random(every),
    };
    let plans = [
        (Fault::DroppedTensor, 97),
        (Fault::InvalidFlag, 89),
        (Fault::CounterJump, 151),
        (Fault::CounterWrap, 1),
        (Fault::TruncatedBuffer, 83),
        (Fault::CorruptApParams, 79),
        (Fault::StalledSource, 211),
        (Fault::LostBuffer, 73),
    ];
    plans.map(random).into()
}

/// A few thousand pixels with something to see, so that the time goes into the pipeline.
fn small_scene() -> Vec<u8> {
    let (width, height) = (96_u32, 72_u32);
    let mut file = format!("P5 {width} {height} 255\n").into_bytes();
    file.extend((0..width * height).map(|at| {
        let (x, y) = (at % width, at / width);
        ((x * y / 7) ^ (x * 5) ^ (y * 3)).to_le_bytes()[0]
    }));
    file
}

fn network() -> Network {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    Network::load(&std::fs::read(path).unwrap()).unwrap().with_input_size(48, 48).unwrap()
}

/// The faulty source; works out beside it what must come of each buffer.
struct Watched {
    source: Simulated,
    /// `None` once it was handed over.
    expected: Option<Expected>,
    expects: SyncSender<Published>,
    knows: std::sync::mpsc::Sender<Expected>,
    progress: Arc<AtomicU64>,
}

impl FrameSource for Watched {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }
    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        self.source.injected_faults()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = self.source.next(frame)?;
        self.progress.fetch_add(1, Ordering::Relaxed);
        let expected = self.expected.as_mut().unwrap();
        if let Some(published) = expected.arrive(frame, self.source.injected_faults()) {
            self.expects.send(published).unwrap();
        }
        Ok(next)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let expected = self.expected.take().unwrap();
        // Nobody listens where something else has failed already.
        drop(self.knows.send(expected));
    }
}

/// What the reader that misses nothing has found.
#[derive(Default)]
struct Checked {
    frames: u64,
    /// First frame that is not the one expected, and the one expected.
    wrong: Option<(Published, Option<Published>)>,
    /// Expected, but never published.
    missing: u64,
    /// Buffers from one published frame to the next, at most.
    longest_gap: u64,
    memory: Memory,
}

fn check(
    queue: Arc<Bounded<Arc<Frame>>>,
    wanted: Receiver<Published>,
    frames: u64,
) -> JoinHandle<Checked> {
    thread::spawn(move || {
        let mut checked = Checked::default();
        let mut last = None;
        let sample_every = frames / 100;
        let mut next_sample = WARM_UP;
        while let Some(frame) = queue.take() {
            let published = Published::of(&frame);
            let expected = wanted.recv().ok();
            if expected != Some(published) && checked.wrong.is_none() {
                checked.wrong = Some((published, expected));
            }
            checked.frames += 1;
            let gap = last.map_or(0, |last| frame.sequence - last);
            checked.longest_gap = checked.longest_gap.max(gap);
            last = Some(frame.sequence);
            if frame.sequence >= next_sample {
                checked.memory.sample();
                next_sample += sample_every;
            }
        }
        checked.missing = wanted.try_iter().count() as u64;
        checked
    })
}

/// Taken by a reader that is slower than the frames.
#[derive(Debug, Default)]
struct Slow {
    taken: u64,
    dropped: u64,
}

fn slow_on_slot(slot: Arc<LatestSlot<Arc<Frame>>>) -> JoinHandle<Slow> {
    thread::spawn(move || {
        let mut taken = 0;
        loop {
            match slot.take(Duration::from_secs(1)) {
                Taken::Value(frame) => {
                    thread::sleep(SLOW);
                    taken += u64::from(!frame.rgb.is_empty());
                }
                Taken::TimedOut => {}
                Taken::Closed => return Slow { taken, dropped: slot.dropped() },
            }
        }
    })
}

fn slow_on_queue(queue: Arc<Bounded<Arc<Frame>>>) -> JoinHandle<Slow> {
    thread::spawn(move || {
        let mut taken = 0;
        while let Some(frame) = queue.take() {
            thread::sleep(SLOW);
            taken += u64::from(!frame.rgb.is_empty());
        }
        Slow { taken, dropped: queue.dropped() }
    })
}

impl Soaked {
    fn check(&self, frames: u64) {
        let Self { snapshot, expected, checked, slot, offered, took } = self;
        self.tell(frames);
        let counters = snapshot.counters;
        // What is stale follows from stamps, not from faults; every stall makes at least one buffer so.
        let wanted = Counters { stale: counters.stale, ..expected.counters };
        assert_eq!(counters, wanted);
        assert!(counters.stale >= counters.stalls, "{counters:?}");
        for (fault, counted) in [
            (Fault::DroppedTensor, counters.no_output_region),
            (Fault::InvalidFlag, expected.invalid_seen + expected.invalid_unseen),
            (Fault::CounterJump, counters.counter_jumps),
            (Fault::CounterWrap, 1),
            (Fault::TruncatedBuffer, counters.truncated_buffers),
            (Fault::CorruptApParams, counters.corrupt_ap_params),
            (Fault::StalledSource, counters.stalls),
            (Fault::LostBuffer, counters.lost_buffers),
        ] {
            assert_eq!(expected::injected(&snapshot.injected_faults, fault), counted, "{fault}");
            assert!(counted > 0, "{fault}");
        }
        assert_eq!(checked.wrong, None, "a frame, and what should have come");
        assert_eq!((checked.missing, checked.frames), (0, counters.paired));
        // A second at the sensor's rate; several faults in a row included.
        assert!(checked.longest_gap <= 30, "{} buffers without a frame", checked.longest_gap);
        for slow in [slot, offered] {
            assert_eq!(slow.taken + slow.dropped, counters.paired, "{slow:?}");
        }
        let dropped = |name| snapshot.queue_drops.iter().find(|queue| queue.0 == name).unwrap().1;
        assert_eq!((dropped("capture"), dropped("frames"), dropped("checked")), (0, 0, 0));
        assert!(!took.is_zero());
        checked.memory.check();
    }

    fn tell(&self, frames: u64) {
        let Self { snapshot, expected, checked, slot, offered, took } = self;
        let seconds = took.as_secs_f64();
        println!("{frames} buffers in {seconds:.1} s: {:.0} a second", frames as f64 / seconds);
        let faults = &snapshot.injected_faults;
        let all: u64 = faults.iter().map(|(_, times)| times).sum();
        println!("{all} faults: {faults:?}");
        let Counters { paired, unpaired, stale, .. } = snapshot.counters;
        println!(
            "{paired} published, {unpaired} unpaired, {stale} stale; of the invalid flags {} each left an \
             input unpaired, and {} met an output whose input another fault had taken",
            expected.invalid_seen, expected.invalid_unseen
        );
        println!("at most {} buffers from one published frame to the next", checked.longest_gap);
        println!("slow readers: slot {slot:?}, offered {offered:?}");
        println!("{}", checked.memory);
    }
}

/// Buffers until every queue, histogram and ring was full once.
const WARM_UP: u64 = 5_000;
/// Longer than a frame takes here.
const SLOW: Duration = Duration::from_millis(3);
