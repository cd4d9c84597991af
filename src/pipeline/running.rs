//! The two threads of a running pipeline, how they end, and how they are watched.
//!
//! ```text
//!   ends first                     then
//!   capture: source ended, error,  the queue between them is closed; decode takes what is left
//!   max_buffers, stop signal       in it, closes every queue to the outputs, and ends
//!
//!   decode: panic, not started     every queue is closed and the stop signal raised, so that
//!                                  capture ends too
//! ```
//!
//! Each thread's values close its queues when they are dropped, so this holds for panics as well.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::arrivals::{Arrivals, Arrived};
use super::capture::{Capture, Captured, Policy, SourceState};
use super::decode::Decoder;
use super::frames::FramePool;
use super::latency::{Distribution, Latency, StageHistogram};
use super::queue::{Bounded, LatestSlot};
use super::trace::Passed;
use super::{Counters, Frame, Limits, Options, Snapshot};
use crate::source::clock::{Clock, Timestamp};
use crate::source::{FrameSource, RawFrame, SourceError, SourceInfo};

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source cannot go on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A bug.
    #[error(
        "the {thread} thread panicked: {message}; this is a bug, please report it with this line"
    )]
    Panicked {
        /// Name of the thread.
        thread: &'static str,
        /// What the panic said.
        message: String,
    },
    /// The operating system has no thread for it.
    #[error(
        "cannot start the {thread} thread: {cause}; is a limit on processes or memory reached?"
    )]
    Thread {
        /// Name of the thread.
        thread: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },
}

/// A running pipeline. Dropping it stops and joins its threads.
#[derive(Debug)]
pub struct Running {
    observer: Observer,
    capture: Option<Thread<Result<(), SourceError>>>,
    decode: Option<Thread<()>>,
}

impl Running {
    pub(super) fn start(
        options: &Options,
        limits: Arc<Limits>,
        measures_light: bool,
        latest: Vec<Arc<LatestSlot<Arc<Frame>>>>,
        bounded: Vec<Arc<Bounded<Arc<Frame>>>>,
        source: Box<dyn FrameSource>,
        host_clock: Clock,
    ) -> Self {
        let shared = Arc::new(Shared::new(source.info(), latest, bounded, host_clock));
        let mut decode = Decode::new(options, limits, Arc::clone(&shared));
        if measures_light {
            decode.decoder.measure_light();
        }
        let capture = Capture::new(source, options, Arc::clone(&shared));
        let decode = Thread::spawn("decode", move || decode.run());
        let capture = Thread::spawn("capture", move || capture.run());
        Self { observer: Observer { shared }, capture: Some(capture), decode: Some(decode) }
    }
    /// Where it stands now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.observer.snapshot()
    }
    /// A handle that can take snapshots from other threads (for outputs), also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }
    /// Waits for the end (source ended, `max_buffers` reached, stop signal, error).
    /// All queues are closed then: their readers get the remaining items and then `None`.
    pub fn wait(mut self) -> Result<Snapshot, RunError> {
        let decoded = self.decode.take().map_or(Ok(()), Thread::join);
        let captured = self.capture.take().map_or(Ok(Ok(())), Thread::join);
        // A source that fails is the cause of whatever happened after it.
        captured??;
        decoded?;
        Ok(self.snapshot())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.capture.is_none() && self.decode.is_none() {
            return;
        }
        let shared = &self.observer.shared;
        shared.host_clock.stop_signal().raise();
        // Decode may be waiting for an output that has stopped reading.
        shared.close_outputs();
        // Whoever drops a running pipeline has no use for how it ended; `wait` is for those who do.
        drop(self.capture.take().map(Thread::join));
        drop(self.decode.take().map(Thread::join));
    }
}

/// Takes snapshots; cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    shared: Arc<Shared>,
}

impl Observer {
    /// Where the pipeline stands now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_with(Latency::distributions)
    }
    /// The same without percentiles (`stages` is empty), for which every bucket is copied and walked: for whoever asks
    /// all day long.
    #[must_use]
    pub fn counts(&self) -> Snapshot {
        self.snapshot_with(|_| Vec::new())
    }
    fn snapshot_with(&self, stages: impl FnOnce(&Latency) -> Vec<Distribution>) -> Snapshot {
        let shared = &*self.shared;
        let of_source = lock(&shared.of_source).clone();
        let of_decode = lock(&shared.of_decode);
        let mut queue_drops = vec![
            (shared.captured.name(), shared.captured.dropped()),
            ("frames", of_decode.frames_dropped),
        ];
        let (counters, sensor_span) = (of_decode.counters, of_decode.sensor_span);
        let (last_error, newest_tensor) = (of_decode.last_error.clone(), of_decode.newest_tensor);
        let (stages, buckets) = (stages(&of_decode.latency), of_decode.latency.buckets());
        // Decode waits until here.
        drop(of_decode);
        queue_drops.extend(shared.latest.iter().map(|slot| (slot.name(), slot.dropped())));
        queue_drops.extend(shared.bounded.iter().map(|queue| (queue.name(), queue.dropped())));
        Snapshot {
            source: shared.info.clone(),
            counters,
            injected_faults: of_source.injected_faults,
            device_events: of_source.device_events,
            behind_real_time: of_source.behind_real_time,
            recovery: of_source.recovery,
            stages: stages.iter().map(Distribution::summary).collect(),
            buckets,
            queue_drops,
            sensor_span,
            newest_tensor,
            last_error,
            power: Vec::new(),
            screen: None,
            taken_at: shared.host_clock.now(),
        }
    }
    /// Every count of every stage, for export; some hundred KB.
    #[must_use]
    pub fn histograms(&self) -> Vec<StageHistogram> {
        lock(&self.shared.of_decode).latency.histograms()
    }
    /// The frames published last, one by one; ten seconds of them in real time.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.shared.of_decode).latency.passed()
    }
    /// How far the run is: what costs less than a snapshot.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let of_decode = lock(&self.shared.of_decode);
        let streamed = of_decode.sensor_span.map_or(Duration::ZERO, |(first, last)| {
            last.since(first) + self.shared.info.frame_interval
        });
        let Counters { buffers, outputs, .. } = of_decode.counters;
        drop(of_decode);
        let trying = lock(&self.shared.of_source).recovery.trying;
        let recovering = trying.map(|(_, since)| self.shared.host_clock.now().since(since));
        Progress { buffers, outputs, streamed, recovering }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Buffers taken from the source.
    pub buffers: u64,
    /// Valid output tensors.
    pub outputs: u64,
    /// Sensor time that the buffers cover: each stands for one frame interval.
    pub streamed: Duration,
    /// How long a step of recovery has been going on; none while all is well.
    pub recovering: Option<Duration>,
}

/// What both threads and all observers see.
#[derive(Debug)]
pub(super) struct Shared {
    info: SourceInfo,
    /// Filled buffers, capture to decode.
    pub(super) captured: Bounded<Captured>,
    /// The same buffers on their way back.
    pub(super) empty: Bounded<RawFrame>,
    latest: Vec<Arc<LatestSlot<Arc<Frame>>>>,
    bounded: Vec<Arc<Bounded<Arc<Frame>>>>,
    pub(super) host_clock: Clock,
    pub(super) of_source: Mutex<SourceState>,
    pub(super) of_decode: Mutex<DecodeState>,
}

impl Shared {
    fn new(
        info: SourceInfo,
        latest: Vec<Arc<LatestSlot<Arc<Frame>>>>,
        bounded: Vec<Arc<Bounded<Arc<Frame>>>>,
        host_clock: Clock,
    ) -> Self {
        let empty = Bounded::new("empty", ALL_BUFFERS);
        for _ in 0..ALL_BUFFERS {
            empty.offer(RawFrame::default()).expect("it was made to hold them all");
        }
        let of_decode = DecodeState {
            counters: Counters::default(),
            latency: Latency::new(info.quality, host_clock.quality()),
            sensor_span: None,
            frames_dropped: 0,
            newest_tensor: None,
            last_error: None,
        };
        Self {
            info,
            captured: Bounded::new("capture", CAPTURED_BUFFERS),
            empty,
            latest,
            bounded,
            host_clock,
            of_source: Mutex::default(),
            of_decode: Mutex::new(of_decode),
        }
    }
    fn close_outputs(&self) {
        self.latest.iter().for_each(|slot| slot.close());
        self.bounded.iter().for_each(|queue| queue.close());
    }
}

/// What decode reports once a buffer.
#[derive(Debug)]
pub(super) struct DecodeState {
    pub(super) counters: Counters,
    latency: Latency,
    sensor_span: Option<(Timestamp, Timestamp)>,
    frames_dropped: u64,
    /// Host clock.
    newest_tensor: Option<Timestamp>,
    last_error: Option<String>,
}

/// The "decode" thread: owns the decoder and the frames.
struct Decode {
    decoder: Decoder,
    arrivals: Arrivals,
    limits: Arc<Limits>,
    frames: FramePool,
    counters: Counters,
    policy: Policy,
    /// False until the end: a decode that panics, or never starts, must not leave capture running.
    finished: bool,
    shared: Arc<Shared>,
}

impl Decode {
    fn new(options: &Options, limits: Arc<Limits>, shared: Arc<Shared>) -> Self {
        let queued: usize = shared.bounded.iter().map(|queue| queue.capacity()).sum();
        let outputs = shared.latest.len() + shared.bounded.len();
        Self {
            decoder: Decoder::new(options, &shared.info),
            arrivals: Arrivals::default(),
            limits,
            frames: FramePool::new(1 + queued + outputs * FRAMES_HELD_BY_AN_OUTPUT),
            counters: Counters::default(),
            policy: Policy::of(options),
            finished: false,
            shared,
        }
    }

    fn run(mut self) {
        while let Some((mut captured, dropped)) = self.shared.captured.take_counted() {
            if self.policy == Policy::NewestWins {
                // What is displaced later than this buffer was put is still older than it.
                captured.dropped_before = dropped;
            }
            self.take(&mut captured);
            // Refused only when the run ends, and then nobody needs it.
            drop(self.shared.empty.offer(captured.raw));
        }
        self.arrivals.end(self.shared.captured.dropped(), &mut self.counters);
        lock(&self.shared.of_decode).counters = self.counters;
        self.finished = true;
    }

    fn take(&mut self, captured: &mut Captured) {
        let Captured { raw, received, dropped_before } = captured;
        let (sequence, tensor_at_host) = (raw.sequence, raw.tensor_at_host);
        let arrived = Arrived { sequence, tensor_at_host, dropped_before: *dropped_before };
        self.arrivals.push(arrived, &self.limits, &mut self.counters);
        self.decoder.set_threshold(self.limits.threshold());

        self.decoder.hold_picture(raw);
        let outputs_before = self.counters.outputs;
        let newer_waits = self.policy == Policy::NewestWins && !self.shared.captured.is_empty();
        let decoded = if newer_waits {
            self.decoder.pass_over(raw, &mut self.counters)
        } else {
            self.decoder.decode(raw, &mut self.counters)
        };
        let mut published = None;
        if decoded.paired {
            let frame = self.decoder.frame();
            frame.stamps.received = *received;
            frame.stamps.mask_ready = self.shared.host_clock.done(*received);
            if let Some(frame) = self.frames.share(frame) {
                self.counters.paired += 1;
                self.arrivals.mask_published(frame.stamps.frame_start);
                published = Some(frame);
            }
        }

        let mut state = lock(&self.shared.of_decode);
        state.counters = self.counters;
        state.sensor_span = self.arrivals.span();
        state.frames_dropped = self.frames.dropped();
        if self.counters.outputs > outputs_before {
            state.newest_tensor = Some(*received);
        }
        if let Some(frame) = &published {
            state.latency.record(frame, self.counters);
        }
        if let Some(damage) = &decoded.damage {
            state.last_error = Some(format!("buffer {sequence}: {damage}"));
        }
        drop(state);
        if let Some(frame) = published {
            self.publish(&frame);
        }
    }

    fn publish(&self, frame: &Arc<Frame>) {
        for slot in &self.shared.latest {
            slot.put(Arc::clone(frame));
        }
        for queue in &self.shared.bounded {
            let frame = Arc::clone(frame);
            // A refused frame is counted by its queue.
            let waits = self.policy == Policy::Wait && queue.is_waited_for();
            drop(if waits { queue.put(frame) } else { queue.offer(frame) });
        }
    }
}

impl Drop for Decode {
    fn drop(&mut self) {
        self.shared.captured.close();
        self.shared.empty.close();
        self.shared.close_outputs();
        if !self.finished {
            self.shared.host_clock.stop_signal().raise();
        }
    }
}

/// A named thread that could perhaps not be started.
#[derive(Debug)]
struct Thread<T> {
    name: &'static str,
    handle: io::Result<JoinHandle<T>>,
}

impl<T: Send + 'static> Thread<T> {
    /// When it cannot be started, `body` is dropped, and with it what it would have closed at its
    /// end.
    fn spawn(name: &'static str, body: impl FnOnce() -> T + Send + 'static) -> Self {
        Self { name, handle: thread::Builder::new().name(name.to_owned()).spawn(body) }
    }
    fn join(self) -> Result<T, RunError> {
        let thread = self.name;
        let handle = self.handle.map_err(|cause| RunError::Thread { thread, cause })?;
        handle.join().map_err(|panic| RunError::Panicked { thread, message: message(&*panic) })
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or("no message".to_owned())
}

/// A panic elsewhere must not keep anyone from seeing how far the run got.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Buffers that wait for decode. Four frames are 133 ms at 30 a second; what waits longer shows an
/// old picture.
const CAPTURED_BUFFERS: usize = 4;
/// Those that wait, one in each thread.
const ALL_BUFFERS: usize = CAPTURED_BUFFERS + 2;
/// One in a slot, one being drawn, one being sent, and one that is kept as the last.
const FRAMES_HELD_BY_AN_OUTPUT: usize = 4;

#[cfg(test)]
mod tests {
    use super::{Decode, Limits, Options, RawFrame, RunError, Shared, Thread};
    use crate::formats::embedded::LinePacking;
    use crate::pipeline::queue::{Bounded, LatestSlot, Taken};
    use crate::source::clock::{Clock, StopSignal};
    use crate::source::{Quality, SourceInfo};
    use std::sync::Arc;
    use std::time::Duration;

    fn decode(stop: &StopSignal) -> (Decode, Arc<Shared>) {
        let info = SourceInfo {
            name: "prepared",
            quality: Quality::Simulated,
            frame_interval: Duration::from_millis(33),
            packing: LinePacking::Pi5,
        };
        let options = Options { stale_after: Duration::from_secs(1), ..Options::default() };
        let (latest, bounded) =
            (vec![Arc::new(LatestSlot::new("page"))], vec![Arc::new(Bounded::new("report", 1))]);
        let clock = Clock::simulated(stop.clone());
        let shared = Arc::new(Shared::new(info, latest, bounded, clock));
        let Options { threshold, stale_after, stall_after, .. } = options;
        let limits = Arc::new(Limits::new(threshold, stale_after, stall_after));
        (Decode::new(&options, limits, Arc::clone(&shared)), shared)
    }

    #[test]
    fn decode_that_never_finishes_stops_capture_and_ends_the_outputs() {
        let stop = StopSignal::default();
        let (decode, shared) = decode(&stop);
        drop(decode);
        assert!(stop.is_raised());
        assert_eq!(shared.latest[0].take(Duration::ZERO), Taken::Closed);
        assert_eq!(shared.bounded[0].take(), None);
        assert!(shared.empty.offer(RawFrame::default()).is_err());
    }

    #[test]
    fn decode_that_finishes_leaves_the_stop_signal_alone() {
        let stop = StopSignal::default();
        let (decode, shared) = decode(&stop);
        shared.captured.close();
        decode.run();
        assert!(!stop.is_raised());
        assert_eq!(shared.bounded[0].take(), None);
    }

    #[test]
    fn panic_becomes_a_sentence_with_the_thread_and_its_message() {
        let owned = Thread::spawn("decode", || panic!("line {}", 7)).join().unwrap_err();
        let fixed = Thread::spawn("decode", || panic!("no line")).join().unwrap_err();
        for (error, want) in [(owned, "line 7"), (fixed, "no line")] {
            let RunError::Panicked { thread: "decode", message } = error else {
                panic!("{error:?}")
            };
            assert_eq!(message, want);
        }
    }
}
