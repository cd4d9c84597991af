//! A recording with one tensor a second: one of the simulated sensor, with all its times stretched.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qsegment::outputs::record::{self, Options, Recorder, Target, Waits, WhenFull};
use qsegment::pipeline::metering::Metering;
use qsegment::pipeline::{self, Pipeline};
use qsegment::source::clock::{Clock, StopSignal, Timestamp};
use qsegment::source::replay::Recording;
use qsegment::source::{FrameSource, Next, RawFrame, SourceError, SourceInfo};

use crate::camera::{CONFIG, PROGRAM};

/// So many seconds of it.
pub(crate) fn slow_recording(folder: &Path, seconds: u32) -> PathBuf {
    let (fast, slow) = (folder.join("fast.mcap"), folder.join("slow.mcap"));
    let frames = seconds.to_string();
    let made = Command::new(PROGRAM)
        .args(["--config", CONFIG, "record", "-o", fast.to_str().unwrap(), "--pace", "max"])
        .args(["--no-web", "--input-size", "64x64", "--frames", &frames])
        // A tensor with every frame.
        .env("QSEGMENT_SOURCE_TIMING", "off")
        .env("QSEGMENT_SOURCE_KIND", "simulated")
        .env("QSEGMENT_POWER_SOURCE", "none")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let recording = Recording::open(&fast).unwrap();
    let mut facts = recording.facts().clone();
    facts.frame_interval_ns = 1_000_000_000;
    facts.stale_after_ms = 2500;
    facts.stall_after_ms = 5000;
    let options = Options {
        target: Target::File(slow.clone()),
        chunk_bytes: 1 << 20,
        chunk_interval: Duration::from_secs(60),
        pictures: false,
        when_full: WhenFull::End,
        at_start: true,
    };
    let recorder = Recorder::open(options, facts, String::new(), Waits::ForTheDisk).unwrap();
    let clock = Clock::simulated(StopSignal::default());
    let source = Slowed { of: Box::new(recording.play(clock.clone())), first: None, frames: 0 };
    let source = recorder.tap(Box::new(source));
    let mut pipeline = Pipeline::new(pipeline::Options::default());
    let published = recorder.published(&mut pipeline);
    let meters = Metering::new(SECOND, clock.clone()).meters();
    let running = pipeline.start(source, clock.clone());
    let recording =
        recorder.start(record::Feed { published, meters, measure: None, clock }).unwrap();
    running.wait().unwrap();
    recording.end().unwrap();
    slow
}

/// A frame a second, each as late at the host as it was.
struct Slowed {
    of: Box<dyn FrameSource>,
    first: Option<Timestamp>,
    frames: u32,
}

impl FrameSource for Slowed {
    fn info(&self) -> SourceInfo {
        SourceInfo { frame_interval: SECOND, ..self.of.info() }
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = self.of.next(frame)?;
        if next == Next::Frame {
            let late = frame.tensor_at_host.since(frame.frame_start);
            let first = *self.first.get_or_insert(frame.frame_start);
            frame.frame_start = first.plus(SECOND * self.frames);
            frame.tensor_at_host = frame.frame_start.plus(late);
            self.frames += 1;
        }
        Ok(next)
    }
}

const SECOND: Duration = Duration::from_secs(1);
