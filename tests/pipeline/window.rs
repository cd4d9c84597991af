//! The inference window moved while frames stream: every frame is wholly of the window that it says, and is then what
//! a run with that window from the start would have shown.

use crate::simulated::network;
use qsegment::pipeline::{Frame, Options, Pipeline};
use qsegment::source::aim::Aim;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::scene::Scene;
use qsegment::source::simulated::timing::RunTime;
use qsegment::source::simulated::{self, Simulated, Timing};
use qsegment::source::{FrameSource, Next, RawFrame, SourceError, SourceInfo};
use std::thread;
use std::time::Duration;

const WIDE: InferenceWindow = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
const CLOSE: InferenceWindow = InferenceWindow { left: 1000, top: 800, width: 800, height: 800 };
const BUFFERS: u64 = 120;

/// Asks for windows before it takes certain buffers.
struct Moving {
    source: Simulated,
    aim: Aim,
    moves: Vec<(u64, InferenceWindow)>,
}

impl FrameSource for Moving {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = self.source.next(frame)?;
        for (_, window) in self.moves.iter().filter(|(after, _)| *after == frame.sequence) {
            assert_eq!(self.aim.ask(*window), Ok(*window), "it is taken as it is");
        }
        Ok(next)
    }
}

/// Everything that a run publishes which begins with `window` and moves it after these buffers.
fn run(window: InferenceWindow, moves: &[(u64, InferenceWindow)], faults: &[&str]) -> Vec<Frame> {
    let options = simulated::Options {
        scene: Scene::Phantom,
        // Up to three frames late, so that tensors of the old window are under way when it is moved.
        timing: Timing::Given(RunTime {
            shortest: Duration::from_millis(45),
            longest: Duration::from_millis(75),
        }),
        inference_window: window,
        faults: faults.iter().map(|fault| fault.parse().expect("a fault plan")).collect(),
        ..simulated::Options::default()
    };
    let clock = Clock::simulated(StopSignal::default());
    let source = Simulated::new(options, &network(), clock).expect("it can show the phantom");
    let source = Moving { aim: source.aim(), source, moves: moves.to_vec() };
    let mut pipeline = Pipeline::new(Options { max_buffers: Some(BUFFERS), ..Options::default() });
    let queue = pipeline.bounded("report", 2);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut frames = Vec::new();
            while let Some(frame) = queue.take() {
                frames.push(Frame::clone(&frame));
            }
            frames
        });
        let clock = Clock::simulated(StopSignal::default());
        pipeline.start(Box::new(source), clock).wait().expect("faults do not end a run");
        reader.join().expect("it only reads")
    })
}

/// How many frames are of each window; every one of them equals that of the run with its window from the start.
fn compared(moved: &[Frame], wide: &[Frame], close: &[Frame]) -> (usize, usize) {
    let mut found = (0, 0);
    for frame in moved {
        let (same, count) = match frame.window {
            Some(WIDE) => (wide, &mut found.0),
            Some(CLOSE) => (close, &mut found.1),
            Some(other) => panic!("buffer {}: {other:?}", frame.sequence),
            None => continue,
        };
        let wanted = same.iter().find(|other| other.sequence == frame.sequence);
        let wanted = wanted.expect("tensors come at the same times whatever is seen");
        assert!(frame.rgb == wanted.rgb, "picture in buffer {}", frame.sequence);
        assert!(frame.probability == wanted.probability, "mask in buffer {}", frame.sequence);
        *count += 1;
    }
    found
}

#[test]
fn no_frame_mixes_windows_and_each_is_that_of_a_run_with_its_window() {
    let (wide, close) = (run(WIDE, &[], &[]), run(CLOSE, &[], &[]));
    assert!(wide.iter().all(|frame| frame.window == Some(WIDE)));
    assert!(wide.iter().zip(&close).all(|(wide, close)| wide.rgb != close.rgb), "they differ");
    let moved = run(WIDE, &[(40, CLOSE), (80, WIDE)], &[]);
    assert_eq!(moved.len(), wide.len());
    let found = compared(&moved, &wide, &close);
    assert_eq!(found.0 + found.1, moved.len(), "the simulated sensor always knows");
    assert!(found.0 > 30 && found.1 > 15, "{found:?}");
    // In the order in which they were asked for, and not before.
    let turns: Vec<_> = moved.iter().map(|frame| frame.window).collect();
    assert_eq!(turns.chunk_by(|one, next| one == next).count(), 3);
    let first = moved.iter().find(|frame| frame.window == Some(CLOSE)).expect("it came");
    assert!((41..=46).contains(&first.sequence), "buffer {}", first.sequence);
}

#[test]
fn where_buffers_are_lost_or_the_counter_jumps_a_window_is_right_or_none() {
    let faults = ["lost-buffer:10-110:every=3", "counter-jump:43-43"];
    let (wide, close) = (run(WIDE, &[], &faults), run(CLOSE, &[], &faults));
    let moved = run(WIDE, &[(41, CLOSE)], &faults);
    let found = compared(&moved, &wide, &close);
    assert!(found.0 > 10 && found.1 > 10, "{found:?}");
    let unknown = moved.len() - found.0 - found.1;
    assert!(unknown > 0, "a lost frame between two windows can be of either");
    assert!(moved.last().is_some_and(|frame| frame.window == Some(CLOSE)), "it settles");
}
