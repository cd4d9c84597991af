//! Whole runs on prepared buffers: what is counted, who waits for whom, and that every run ends.

use crate::buffers::{Brings, FRAME_INTERVAL, Sensor, info};
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::pipeline::latency::Stage;
use qsegment::pipeline::queue::{Bounded, Taken};
use qsegment::pipeline::{Counters, Frame, Options, Pipeline, RunError, Snapshot};
use qsegment::source::clock::{Clock, StopSignal, Timestamp, Waited};
use qsegment::source::{FrameSource, Next, Quality, RawFrame, SourceError, SourceInfo};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longer than any machine needs; only a hang reaches it.
const FOR_EVER: Duration = Duration::from_secs(60);

fn lossless() -> Options {
    Options {
        max_buffers: None,
        colour_order: ColourOrder::Rgb,
        threshold: 128,
        stale_after: Duration::from_millis(500),
        stall_after: Duration::from_millis(100),
        ..Options::default()
    }
}

fn as_a_camera() -> Options {
    Options { drop_when_behind: true, ..lossless() }
}

fn host_clock() -> Clock {
    Clock::simulated(StopSignal::default())
}

/// Hands out prepared buffers, one after the other.
struct Prepared {
    buffers: std::vec::IntoIter<RawFrame>,
}

impl Prepared {
    fn new(buffers: impl IntoIterator<Item = RawFrame>) -> Self {
        Self { buffers: buffers.into_iter().collect::<Vec<_>>().into_iter() }
    }
    /// `count` buffers of a network that needs two frames.
    fn slow(count: u64) -> Self {
        let sensor = sensor();
        Self::new((0..count).map(|sequence| sensor.slow(sequence)))
    }
}

impl FrameSource for Prepared {
    fn info(&self) -> SourceInfo {
        info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let Some(buffer) = self.buffers.next() else {
            return Ok(Next::Ended);
        };
        frame.clone_from(&buffer);
        Ok(Next::Frame)
    }
}

/// What goes wrong at the n-th call of `next`.
#[derive(Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

/// Breaks the source it wraps.
struct Faulty<S> {
    source: S,
    fault: Fault,
    calls_left: u64,
}

impl<S: FrameSource> FrameSource for Faulty<S> {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        match (self.calls_left.checked_sub(1), self.fault) {
            (Some(left), _) => {
                self.calls_left = left;
                self.source.next(frame)
            }
            (None, Fault::Error) => Err(SourceError::Scene("cable out".to_owned())),
            (None, Fault::Panic) => panic!("index out of cable"),
        }
    }
    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        vec![("cable", u64::from(self.calls_left == 0))]
    }
    fn behind_real_time(&self) -> Duration {
        Duration::from_secs(7)
    }
}

/// Says when it is asked, and then waits for the end of time.
struct Silent {
    asked: mpsc::Sender<()>,
    clock: Clock,
}

impl FrameSource for Silent {
    fn info(&self) -> SourceInfo {
        info()
    }
    fn next(&mut self, _: &mut RawFrame) -> Result<Next, SourceError> {
        self.asked.send(()).expect("the test listens");
        assert_eq!(self.clock.wait_until(Timestamp(u64::MAX)), Waited::Stopped);
        Ok(Next::Ended)
    }
}

/// Hands out a buffer whenever it is permitted to.
struct Permitted {
    source: Prepared,
    permits: mpsc::Receiver<()>,
}

impl FrameSource for Permitted {
    fn info(&self) -> SourceInfo {
        info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        match self.permits.recv() {
            Ok(()) => self.source.next(frame),
            Err(_) => Ok(Next::Ended),
        }
    }
}

fn sensor() -> Sensor {
    Sensor::new(16, 12)
}

/// Reads a queue to its end in a thread of its own.
fn read_all(queue: Arc<Bounded<Arc<Frame>>>) -> thread::JoinHandle<Vec<u64>> {
    thread::spawn(move || std::iter::from_fn(|| queue.take()).map(|frame| frame.sequence).collect())
}

fn drops(snapshot: &Snapshot, name: &str) -> u64 {
    let found = snapshot.queue_drops.iter().find(|(queue, _)| *queue == name);
    found.unwrap_or_else(|| panic!("no queue {name}")).1
}

#[test]
fn lossless_run_counts_everything_and_loses_nothing() {
    let mut pipeline = Pipeline::new(lossless());
    let page = pipeline.latest("page");
    let report = read_all(pipeline.bounded("report", 1));
    let running = pipeline.start(Box::new(Prepared::slow(300)), host_clock());
    let observer = running.observer();
    let snapshot = running.wait().unwrap();

    let want =
        Counters { buffers: 300, inputs: 100, outputs: 100, paired: 100, ..Counters::default() };
    assert_eq!(snapshot.counters, want);
    assert_eq!(report.join().unwrap(), (0..100).map(|n| 3 * n + 2).collect::<Vec<_>>());
    assert_eq!(
        snapshot.queue_drops,
        [("capture", 0), ("frames", 0), ("page", 99), ("report", 0)],
        "nobody read the page"
    );
    let Taken::Value(frame) = page.take(FOR_EVER) else { panic!("the last frame is in the slot") };
    assert_eq!(frame.sequence, 299);
    assert_eq!(page.take(FOR_EVER), Taken::Closed);

    // Read-out of 30 ms after two frames of 33 ms; the host's clock stood still.
    let stages: Vec<_> = snapshot.stages.iter().map(|s| (s.stage, s.count, s.p50, s.max)).collect();
    let sensor_part = 2 * FRAME_INTERVAL + Duration::from_millis(30);
    let (network, dsp) = (Duration::from_millis(52), Duration::from_micros(900));
    assert_eq!(
        stages,
        [
            (Stage::ExposureToFrameStart, 0, Duration::ZERO, Duration::ZERO),
            (Stage::SensorToTensor, 100, sensor_part, sensor_part),
            (Stage::NetworkRunTime, 100, network, network),
            (Stage::DspRunTime, 100, dsp, dsp),
            (Stage::TensorToMask, 100, Duration::ZERO, Duration::ZERO),
            (Stage::SensorToMask, 100, sensor_part, sensor_part),
        ]
    );
    assert_eq!(snapshot.stages[0].quality, Quality::Simulated);
    // The trace has the very frames.
    let passed = observer.passed();
    assert_eq!(passed.len(), 100);
    assert_eq!(passed.last().map(|passed| (passed.sequence, passed.counters)), Some((299, want)));
    let (first, last) = snapshot.sensor_span.unwrap();
    assert_eq!(last.since(first), FRAME_INTERVAL * 299);
    assert_eq!(snapshot.last_error, None);
    assert_eq!(observer.snapshot().counters, want, "observers outlive the run");
}

#[test]
fn input_that_still_waits_at_the_end_is_not_unpaired() {
    let running = Pipeline::new(lossless()).start(Box::new(Prepared::slow(4)), host_clock());
    let counters = running.wait().unwrap().counters;
    assert_eq!((counters.inputs, counters.paired, counters.unpaired), (2, 1, 0));
}

#[test]
fn run_ends_after_the_buffers_asked_for() {
    for max_buffers in [0, 1, 17] {
        let options = Options { max_buffers: Some(max_buffers), ..lossless() };
        let running = Pipeline::new(options).start(Box::new(Prepared::slow(300)), host_clock());
        assert_eq!(running.wait().unwrap().counters.buffers, max_buffers);
    }
}

#[test]
fn gaps_stalls_and_stale_masks_are_counted() {
    let sensor = sensor();
    // A mask of buffer 0; buffers 1 and 2 lost on the way; from 3 on no tensors, for 20 frames;
    // then one more.
    let both = |sequence: u64| sensor.buffer(sequence, sequence.to_le_bytes()[0], Brings::Both);
    let none = |sequence: u64| sensor.buffer(sequence, sequence.to_le_bytes()[0], Brings::Nothing);
    let mut buffers = vec![both(0)];
    buffers.extend((3..23).map(none));
    buffers.extend([both(23), none(24)]);
    let counters = run(lossless(), buffers).counters;
    assert_eq!((counters.buffers, counters.lost_buffers, counters.stalls), (23, 2, 0));
    // At the arrival of buffer n the mask is n * 33 + 30 ms old: over 500 ms from 15 on, until 23
    // has arrived.
    assert_eq!(counters.stale, 23 - 15 + 1);

    let mut late = both(1);
    late.tensor_at_host = late.tensor_at_host.plus(Duration::from_millis(68));
    let counters = run(lossless(), vec![both(0), late]).counters;
    assert_eq!(counters.stalls, 1, "101 ms between two buffers");
}

fn run(options: Options, buffers: Vec<RawFrame>) -> Snapshot {
    let pipeline = Pipeline::new(options);
    pipeline
        .start(Box::new(Prepared::new(buffers)), host_clock())
        .wait()
        .expect("no source here fails")
}

/// Everything that can be damaged, in one run.
fn damaged_buffers() -> Vec<RawFrame> {
    let sensor = sensor();
    let mut buffers: Vec<_> = (0..120).map(|sequence| sensor.slow(sequence)).collect();
    buffers[10].metadata.truncate(300);
    buffers[20].metadata[Sensor::line_at(sensor.output_line()) + 8] = 9;
    buffers[30].metadata[Sensor::line_at(1) + 12] ^= 0xff;
    buffers[40].metadata[Sensor::line_at(1) + 8] = 9;
    for buffer in &mut buffers[60..] {
        buffer.metadata[Sensor::line_at(1) + 1] ^= 0x80;
        buffer.metadata[Sensor::line_at(sensor.output_line()) + 1] ^= 0x80;
    }
    buffers.remove(50);
    buffers
}

#[test]
fn damage_is_counted_by_reason_and_the_run_goes_on() {
    let snapshot = run(lossless(), damaged_buffers());
    let counters = snapshot.counters;
    let by_reason = [
        counters.truncated_buffers,
        counters.no_output_region,
        counters.corrupt_ap_params,
        counters.malformed_buffers,
        counters.counter_jumps,
        counters.lost_buffers,
    ];
    assert_eq!(by_reason, [1; 6], "{counters:?}");
    // Of 40 pairs three lost their output (buffers 20 and 50) or their input (buffer 30).
    assert_eq!((counters.paired, counters.unpaired), (37, 3));
    assert_eq!(
        snapshot.last_error.as_deref(),
        Some(
            "buffer 40: malformed buffer: tensor_type of the input at byte 0x0a08: got 9, want 0 (input)"
        )
    );
}

#[test]
fn same_buffers_give_the_same_counts() {
    let runs = [(); 3].map(|()| run(lossless(), damaged_buffers()));
    for again in &runs[1..] {
        assert_eq!(again.counters, runs[0].counters);
        assert_eq!(again.stages, runs[0].stages);
        assert_eq!(again.sensor_span, runs[0].sensor_span);
        assert_eq!(again.last_error, runs[0].last_error);
    }
}

#[test]
fn every_buffer_of_a_camera_is_decoded_or_counted_as_dropped() {
    // How many are dropped depends on who runs when; that they are accounted for does not.
    let sensor = sensor();
    let buffers = (0..2000).map(|n: u64| sensor.buffer(n, n.to_le_bytes()[0], Brings::Both));
    let snapshot = run(as_a_camera(), buffers.collect());
    let counters = snapshot.counters;
    assert_eq!(counters.buffers, 2000);
    assert_eq!(counters.outputs + drops(&snapshot, "capture"), 2000);
    assert_eq!((counters.lost_buffers, counters.counter_jumps), (0, 0), "{counters:?}");
}

#[test]
fn slow_output_never_slows_decode() {
    let sensor = sensor();
    let buffers = (0..200).map(|n: u64| sensor.buffer(n, n.to_le_bytes()[0], Brings::Both));
    let (permit, permits) = mpsc::channel();
    let source = Permitted { source: Prepared::new(buffers), permits };
    let mut pipeline = Pipeline::new(as_a_camera());
    let stuck = pipeline.bounded("stuck", 2);
    let page = pipeline.latest("page");
    let running = pipeline.start(Box::new(source), host_clock());
    for sequence in 0..200 {
        permit.send(()).unwrap();
        // Would wait for ever if decode waited for the other output.
        let Taken::Value(frame) = page.take(FOR_EVER) else { panic!("frame {sequence} is due") };
        assert_eq!(frame.sequence, sequence);
    }
    drop(permit);
    let snapshot = running.wait().unwrap();
    assert_eq!(snapshot.counters.paired, 200);
    assert_eq!((drops(&snapshot, "stuck"), drops(&snapshot, "page")), (198, 0));
    let kept: Vec<_> = std::iter::from_fn(|| stuck.take()).map(|frame| frame.sequence).collect();
    assert_eq!(kept, [0, 1]);
}

#[test]
fn output_that_keeps_every_frame_costs_only_frames() {
    let sensor = sensor();
    let buffers = (0..50).map(|n: u64| sensor.buffer(n, n.to_le_bytes()[0], Brings::Both));
    let mut pipeline = Pipeline::new(lossless());
    let hoard = pipeline.bounded("hoard", 4);
    let reader = thread::spawn(move || std::iter::from_fn(|| hoard.take()).collect::<Vec<_>>());
    let snapshot = pipeline.start(Box::new(Prepared::new(buffers)), host_clock()).wait().unwrap();
    let kept = reader.join().unwrap();
    assert_eq!(kept.len() as u64, snapshot.counters.paired);
    assert_eq!(snapshot.counters.paired + drops(&snapshot, "frames"), 50);
    assert!(drops(&snapshot, "frames") > 0, "memory is bounded");
    assert!(kept.is_sorted_by_key(|frame| frame.sequence));
}

#[test]
fn source_error_at_any_call_ends_the_run_with_that_error() {
    for n in 0..20 {
        for options in [lossless(), as_a_camera()] {
            let mut pipeline = Pipeline::new(options);
            let report = read_all(pipeline.bounded("report", 1));
            let source = Faulty { source: Prepared::slow(300), fault: Fault::Error, calls_left: n };
            let running = pipeline.start(Box::new(source), host_clock());
            let observer = running.observer();
            let error = running.wait().unwrap_err();
            assert_eq!(error.to_string(), "cable out");
            assert!(matches!(error, RunError::Source(SourceError::Scene(_))), "{error:?}");
            let snapshot = observer.snapshot();
            assert_eq!(snapshot.counters.buffers, n, "those before the error count");
            assert_eq!(snapshot.injected_faults, [("cable", 1)]);
            assert_eq!(snapshot.behind_real_time, Duration::from_secs(7));
            report.join().unwrap();
        }
    }
}

#[test]
fn panic_in_the_source_is_a_sentence_and_no_hang() {
    for n in 0..4 {
        let mut pipeline = Pipeline::new(lossless());
        let report = read_all(pipeline.bounded("report", 1));
        let source = Faulty { source: Prepared::slow(300), fault: Fault::Panic, calls_left: n };
        let error = pipeline.start(Box::new(source), host_clock()).wait().unwrap_err();
        let sentence = error.to_string();
        assert!(
            sentence.starts_with("the capture thread panicked: index out of cable"),
            "{sentence}"
        );
        report.join().unwrap();
    }
}

#[test]
fn stop_signal_ends_a_source_that_waits() {
    let stop = StopSignal::default();
    let clock = Clock::monotonic(stop.clone());
    let (asked, asks) = mpsc::channel();
    let mut pipeline = Pipeline::new(as_a_camera());
    let report = read_all(pipeline.bounded("report", 1));
    let running = pipeline.start(Box::new(Silent { asked, clock: clock.clone() }), clock);
    asks.recv().unwrap();
    stop.raise();
    assert_eq!(running.wait().unwrap().counters, Counters::default());
    assert!(report.join().unwrap().is_empty());
}

#[test]
fn dropping_the_run_ends_it() {
    let clock = Clock::monotonic(StopSignal::default());
    let (asked, asks) = mpsc::channel();
    let mut pipeline = Pipeline::new(as_a_camera());
    let page = pipeline.latest("page");
    let running = pipeline.start(Box::new(Silent { asked, clock: clock.clone() }), clock);
    asks.recv().unwrap();
    drop(running);
    assert_eq!(page.take(FOR_EVER), Taken::Closed);
}

#[test]
fn dropping_the_run_ends_a_decode_that_waits_for_an_output() {
    let mut pipeline = Pipeline::new(lossless());
    let unread = pipeline.bounded("unread", 1);
    let page = pipeline.latest("page");
    let running = pipeline.start(Box::new(Prepared::slow(300)), host_clock());
    // The second frame is in the slot: decode is about to wait for room in the queue, or does so
    // already.
    while !matches!(page.take(FOR_EVER), Taken::Value(frame) if frame.sequence == 5) {}
    drop(running);
    assert_eq!(unread.take().map(|frame| frame.sequence), Some(2));
    assert_eq!(unread.take().map(|frame| frame.sequence), None);
}

#[test]
fn output_that_leaves_closes_its_queue_and_the_run_goes_on() {
    let mut pipeline = Pipeline::new(lossless());
    let left = pipeline.bounded("left", 1);
    left.close();
    let running = pipeline.start(Box::new(Prepared::slow(300)), host_clock());
    let snapshot = running.wait().unwrap();
    assert_eq!((snapshot.counters.paired, drops(&snapshot, "left")), (100, 100));
}
