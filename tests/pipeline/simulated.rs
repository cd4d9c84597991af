//! The simulated sensor through the whole pipeline: every mask is that of the very picture it is
//! shown with, and every injected fault is counted under its name, as often as it was injected.

use qsegment::emulator::{Engine, Network};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::tensor::QuantParams;
use qsegment::pipeline::vessels::probabilities;
use qsegment::pipeline::{Counters, Frame, Options, Pipeline, Snapshot};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::RunTime;
use qsegment::source::simulated::{self, Simulated, Timing};
use std::thread;
use std::time::Duration;

const BUFFERS: u64 = 300;

pub(crate) fn network() -> Network {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
    let file = std::fs::read(path).expect("it is in the repository");
    let network = Network::load(&file).expect("it loads");
    network.with_input_size(16, 16).expect("16 is a multiple of 8")
}

/// Runs the simulated sensor at full speed and looks at every frame.
fn run(faults: &[&str], mut look: impl FnMut(&Frame) + Send) -> Snapshot {
    let options = simulated::Options {
        scene: Scene::Phantom,
        // As long as the network would take at its full size: up to three frames.
        timing: Timing::Given(RunTime {
            shortest: Duration::from_millis(45),
            longest: Duration::from_millis(75),
        }),
        faults: faults.iter().map(|fault| fault.parse().expect("a fault plan")).collect(),
        ..simulated::Options::default()
    };
    let clock = Clock::simulated(StopSignal::default());
    let source = Simulated::new(options, &network(), clock).expect("it can show the phantom");
    let mut pipeline = Pipeline::new(Options {
        max_buffers: Some(BUFFERS),
        colour_order: ColourOrder::Rgb,
        threshold: 128,
        stale_after: Duration::from_millis(500),
        stall_after: Duration::from_millis(500),
        ..Options::default()
    });
    let report = pipeline.bounded("report", 2);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            while let Some(frame) = report.take() {
                look(&frame);
            }
        });
        let clock = Clock::simulated(StopSignal::default());
        let ended = pipeline.start(Box::new(source), clock).wait();
        reader.join().expect("what it looked at was right");
        ended.expect("faults do not end a run")
    })
}

/// Computes the mask of the picture in the frame, and compares every pixel.
fn lockstep() -> impl FnMut(&Frame) + Send {
    let network = network();
    let output = network.output();
    let (scale, signed) = (output.scale, output.signed);
    let table = probabilities(QuantParams { scale, zero_point: 0, signed });
    let mut engine = Engine::new(&network);
    let mut stored = vec![0; network.output().len_bytes()];
    move |frame| {
        let pixels = frame.width * frame.height;
        let mut planar = vec![0; 3 * pixels];
        for (at, pixel) in frame.rgb.chunks_exact(3).enumerate() {
            for (plane, &value) in pixel.iter().enumerate() {
                planar[plane * pixels + at] = value;
            }
        }
        engine.run(&planar, &mut stored);
        let expected = stored.iter().map(|&byte| table[usize::from(byte)]);
        assert!(expected.eq(frame.probability.iter().copied()), "buffer {}", frame.sequence);
    }
}

#[test]
fn healthy_run_pairs_everything_in_lockstep() {
    let snapshot = run(&[], lockstep());
    let Counters { buffers, inputs, outputs, paired, .. } = snapshot.counters;
    assert_eq!(
        snapshot.counters,
        Counters { buffers, inputs, outputs, paired, ..Counters::default() },
        "nothing else is counted"
    );
    assert_eq!((buffers, paired), (BUFFERS, outputs));
    // The one that runs when the run ends is in flight.
    assert!((outputs..=outputs + 1).contains(&inputs), "{:?}", snapshot.counters);
    // One every 45 to 75 ms, for ten seconds.
    assert!((130..=225).contains(&paired), "{paired} masks");
    assert_eq!(snapshot.behind_real_time, Duration::ZERO);
}

#[test]
fn every_fault_is_counted_under_its_name_and_never_shows_a_wrong_mask() {
    /// The counter that must equal the number of injections.
    type Counted = fn(&Counters) -> u64;
    let faults: [(&str, Counted); 6] = [
        ("dropped-tensor", |c| c.no_output_region),
        ("counter-jump", |c| c.counter_jumps),
        ("truncated-buffer", |c| c.truncated_buffers),
        ("corrupt-ap-params", |c| c.corrupt_ap_params),
        ("stalled-source", |c| c.stalls),
        ("lost-buffer", |c| c.lost_buffers),
    ];
    for (fault, counted) in faults {
        let snapshot = run(&[fault], lockstep());
        assert_eq!(snapshot.injected_faults, [(fault, 7)]);
        assert_eq!(counted(&snapshot.counters), 7, "{fault}: {:?}", snapshot.counters);
        assert!(snapshot.counters.paired > 100, "{fault}: {:?}", snapshot.counters);
    }
}

#[test]
fn invalid_flag_leaves_inputs_unpaired() {
    let counters = run(&["invalid-flag"], lockstep()).counters;
    assert_eq!(counters.unpaired, 7, "{counters:?}");
    assert_eq!(counters.paired, counters.outputs);
}

#[test]
fn wrapping_counter_is_no_fault() {
    let healthy = run(&[], |_| {});
    let wrapped = run(&["counter-wrap"], lockstep());
    assert_eq!(wrapped.counters, healthy.counters);
}

#[test]
fn all_faults_at_once_are_survived_and_end() {
    let faults = ["dropped-tensor", "invalid-flag", "counter-jump", "truncated-buffer"];
    let more = ["corrupt-ap-params", "stalled-source", "lost-buffer"];
    let mut after = 0;
    let mut check = lockstep();
    let snapshot = run(&[&faults[..], &more].concat(), |frame| {
        check(frame);
        after += u64::from(frame.sequence > 130);
    });
    assert!(after > 70, "{after} masks in 170 frames after the last fault");
    assert!(snapshot.last_error.is_some());
}

#[test]
fn same_seed_gives_the_same_counts_twice() {
    let faults = ["truncated-buffer", "counter-jump", "lost-buffer"];
    let [first, second] = [(); 2].map(|()| run(&faults, |_| {}));
    assert_eq!(first.counters, second.counters);
    assert_eq!(first.injected_faults, second.injected_faults);
    assert_eq!(first.stages, second.stages);
    assert_eq!(first.last_error, second.last_error);
}
