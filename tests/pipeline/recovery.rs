//! A simulated sensor that breaks for good, through the whole pipeline: it is recovered as the ladder says, or given
//! up with the reason.

use std::thread;

use qsegment::pipeline::recovery::Bounds;
use qsegment::pipeline::{Options, Pipeline, RunError, Snapshot};
use qsegment::source::SourceError;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::recovery::Remedy;
use qsegment::source::simulated::faults::Fault;
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::{self, Simulated, Timing};

use crate::simulated::network;

/// 400 buffers at full speed; the last frame's number, and how the run ended.
fn run(faults: &[&str], bounds: Bounds) -> (u64, Snapshot, Result<(), RunError>) {
    let options = simulated::Options {
        scene: Scene::Phantom,
        timing: Timing::Off,
        faults: faults.iter().map(|fault| fault.parse().expect("a fault plan")).collect(),
        ..simulated::Options::default()
    };
    let clock = Clock::simulated(StopSignal::default());
    let source = Simulated::new(options, &network(), clock).expect("it can show the phantom");
    let mut pipeline =
        Pipeline::new(Options { max_buffers: Some(400), recovery: bounds, ..Options::default() });
    let report = pipeline.bounded("report", 2);
    let reader = thread::spawn(move || {
        let mut last = 0;
        while let Some(frame) = report.take() {
            last = frame.sequence;
        }
        last
    });
    let running = pipeline.start(Box::new(source), Clock::simulated(StopSignal::default()));
    let observer = running.observer();
    let ended = running.wait().map(drop);
    (reader.join().expect("it only reads"), observer.snapshot(), ended)
}

#[test]
fn each_lasting_fault_is_recovered_by_its_own_remedies() {
    for (fault, steps) in [
        ("lost-network", [(Remedy::Restart, 0), (Remedy::SetNetwork, 1), (Remedy::Reopen, 0)]),
        ("silent-sensor", [(Remedy::Restart, 1), (Remedy::SetNetwork, 0), (Remedy::Reopen, 0)]),
        ("gone-camera", [(Remedy::Restart, 0), (Remedy::SetNetwork, 0), (Remedy::Reopen, 2)]),
    ] {
        let (last, snapshot, ended) = run(&[fault], Bounds::default());
        ended.expect(fault);
        assert_eq!(snapshot.injected_faults, [(fault, 1)]);
        let tried =
            steps.map(|(remedy, _)| (remedy, snapshot.recovery.counts.steps[remedy as usize]));
        assert_eq!(tried, steps, "{fault}");
        assert_eq!(snapshot.recovery.counts.recovered, 1, "{fault}");
        assert_eq!(snapshot.recovery.trying, None, "{fault}");
        assert_eq!(last, 399, "{fault}: tensors come again");
        assert_eq!(snapshot.counters.buffers, 400, "{fault}");
    }
}

#[test]
fn one_after_the_other_is_recovered_too() {
    let faults = ["lost-network:20-20", "silent-sensor:150-150", "gone-camera:250-250"];
    let (last, snapshot, ended) = run(&faults, Bounds::default());
    ended.expect("three faults");
    assert_eq!((snapshot.recovery.counts.recovered, last), (3, 399));
    assert_eq!(snapshot.recovery.counts.steps, [1, 1, 2]);
}

#[test]
fn what_needs_more_steps_than_are_allowed_is_given_up_with_the_reason() {
    let bounds = Bounds { steps: 1, ..Bounds::default() };
    let (_, snapshot, ended) = run(&["gone-camera"], bounds);
    let Err(RunError::Source(error)) = ended else { panic!("{ended:?}") };
    assert_eq!(
        error.to_string(),
        "given up after 1 step of recovery in a row: the simulated sensor has failed, as the fault gone-camera \
         wants"
    );
    assert!(error.may_pass());
    assert_eq!(
        (snapshot.recovery.counts.steps, snapshot.recovery.counts.failed_steps),
        ([0, 0, 1], 1)
    );
}

#[test]
fn nothing_is_tried_where_no_steps_are_allowed_or_nothing_ever_worked() {
    let none = Bounds { steps: 0, ..Bounds::default() };
    for (fault, bounds) in [("silent-sensor", none), ("silent-sensor:0-0", Bounds::default())] {
        let (_, snapshot, ended) = run(&[fault], bounds);
        let Err(RunError::Source(error)) = ended else { panic!("{ended:?}") };
        assert_eq!(error, SourceError::Injected(Fault::SilentSensor));
        assert_eq!(snapshot.recovery.counts.steps, [0; 3]);
    }
}
