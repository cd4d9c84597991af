//! The camera against real kernel interfaces: frames, pictures, restarts, descriptors, stop, loss.
//!
//! Needs a virtual camera (tests/vm), which these tests also feed. `QSEGMENT_CAMERA_NETWORK` names the
//! network file to give it, whose tensors take 7 DNN lines; without it everything here is skipped, aloud.
//! The tests share the one camera: run with `--test-threads=1`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qsegment::source::clock::{Clock, StopSignal, Waited};
use qsegment::source::imx500::{self, CameraError, ColourGains, Feed, Flips, Imx500, ReceiverKind};
use qsegment::source::imx500::{UploadReport, Uploaded};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::timing::Mode;
use qsegment::source::{BayerOrder, FrameSource, Next, Quality, RawFrame, SourceError};

/// DNN lines of the network that is given.
const DNN_LINES: usize = 7;

#[test]
fn thousand_frames_arrive_bit_for_bit_in_order() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(1000);
    let mut frame = RawFrame::default();
    let mut last_start = None;
    for number in 0..1000 {
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame), "frame {number}");
        assert_eq!(frame.sequence, number);
        assert!(frame.metadata == buffer(number, frame.metadata.len()), "frame {number} differs");
        assert_eq!(frame.metadata.len(), 2 * frame.embedded_line_len_bytes + DNN_LINES * 2560);
        assert!(frame.frame_start <= frame.tensor_at_host);
        assert!(last_start <= Some(frame.frame_start));
        last_start = Some(frame.frame_start);
    }
    assert_eq!(camera.device_events(), []);
    assert_eq!(camera.info().quality, Quality::Measured);
    drop(camera);
    fed.end();
}

#[test]
fn copying_a_warm_frame_reuses_its_memory() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(60);
    let mut frame = RawFrame::default();
    camera.next(&mut frame).unwrap();
    let memory = (frame.metadata.as_ptr(), frame.metadata.capacity());
    for _ in 0..50 {
        camera.next(&mut frame).unwrap();
        assert_eq!((frame.metadata.as_ptr(), frame.metadata.capacity()), memory);
    }
    drop(camera);
    fed.end();
}

#[test]
fn picture_comes_with_the_metadata_of_its_number() {
    let Some(bench) = Bench::new() else { return };
    for (mode, size, flips, order) in [
        (Mode::Binned, (2028, 1520), Flips::default(), BayerOrder::Rggb),
        (Mode::Full, (4056, 3040), Flips { horizontal: true, vertical: true }, BayerOrder::Bggr),
    ] {
        let mut camera = bench.open(|options| {
            options.picture = true;
            options.mode = mode;
            options.flips = flips;
        });
        let fed = bench.feed_in(mode, 30);
        let mut frame = RawFrame::default();
        for _ in 0..20 {
            assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
            let picture = &frame.picture;
            assert_eq!((picture.width, picture.height), size);
            assert_eq!(picture.order, order);
            assert!(picture.stride_bytes >= size.0 * 10 / 8);
            assert_eq!(picture.bytes.len(), picture.stride_bytes * picture.height);
            // The virtual camera's picture begins with its number.
            assert_eq!(u64::from(picture.bytes[0]), frame.sequence % 256);
        }
        assert_eq!(camera.device_events(), []);
        drop(camera);
        fed.end();
    }
}

#[test]
fn thirty_restarts_leave_no_descriptor_and_go_on_numbering() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(1_000_000);
    let mut frame = RawFrame::default();
    let mut open = None;
    let mut last = None;
    for _ in 0..30 {
        for _ in 0..3 {
            assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
            assert!(Some(frame.sequence) > last, "{} after {last:?}", frame.sequence);
            last = Some(frame.sequence);
        }
        let now = descriptors();
        assert_eq!(*open.get_or_insert(now), now);
        camera.restart().unwrap();
    }
    drop(camera);
    fed.end();
}

#[test]
fn thirty_cameras_opened_and_dropped_leave_no_descriptor() {
    let Some(bench) = Bench::new() else { return };
    drop(bench.open(|_| {}));
    let before = descriptors();
    for started in 0..30 {
        let fed = bench.feed(1_000_000);
        let mut camera = bench.open(|_| {});
        if started % 2 == 0 {
            camera.next(&mut RawFrame::default()).unwrap();
        }
        drop(camera);
        fed.end();
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn stop_signal_ends_the_wait_for_a_frame_that_never_comes() {
    let Some(bench) = Bench::new() else { return };
    let stop = StopSignal::default();
    let clock = Clock::monotonic(stop.clone());
    let mut camera =
        Imx500::open(bench.options(), clock, Box::new(|_| {})).expect("the camera is free");
    let waiting = thread::spawn(move || camera.next(&mut RawFrame::default()));
    thread::sleep(Duration::from_millis(500));
    stop.raise();
    assert_eq!(waiting.join().unwrap(), Ok(Next::Ended));
}

#[test]
fn stop_signal_raised_before_the_start_uploads_nothing() {
    let Some(bench) = Bench::new() else { return };
    let stop = StopSignal::default();
    let mut camera = Imx500::open(
        bench.options(),
        Clock::monotonic(stop.clone()),
        Box::new(|report| panic!("{report:?}")),
    )
    .expect("the camera is free");
    stop.raise();
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Ended));
}

#[test]
fn silence_is_counted_and_given_up_after_its_limit() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|options| options.silence_limit = Duration::from_secs(2));
    let error = camera.next(&mut RawFrame::default()).unwrap_err();
    assert_eq!(error, SourceError::Camera(CameraError::Silent { seconds: 2 }));
    assert_eq!(camera.device_events(), [("frame_timeout", 2)]);
    // It can go on after a restart.
    camera.restart().unwrap();
    let fed = bench.feed(5);
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame));
    drop(camera);
    fed.end();
}

#[test]
fn upload_is_reported_to_its_end() {
    let Some(bench) = Bench::new() else { return };
    let (told, reports) = std::sync::mpsc::channel();
    let mut camera = Imx500::open(
        bench.options(),
        Clock::monotonic(StopSignal::default()),
        Box::new(move |report| told.send(report).unwrap()),
    )
    .expect("the camera is free");
    let fed = bench.feed(5);
    camera.next(&mut RawFrame::default()).unwrap();
    drop(camera);
    fed.end();
    let reports: Vec<UploadReport> = reports.iter().collect();
    let (last, before) = reports.split_last().expect("the end at least");
    let UploadReport::Done(Uploaded { cached: Some(_), .. }) = last else { panic!("{last:?}") };
    assert!(before.iter().all(|report| matches!(report, UploadReport::Progress(_))));
}

#[test]
fn second_user_is_told_who_is_the_first() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(1_000_000);
    camera.next(&mut RawFrame::default()).unwrap();
    let clock = Clock::monotonic(StopSignal::default());
    let Err(error) = Imx500::open(bench.options(), clock, Box::new(|_| {})) else {
        panic!("two users of one camera")
    };
    let CameraError::Busy { doing, .. } = &error else { panic!("{error}") };
    assert_eq!(doing, "give the network to the driver", "it is grabbed while the camera streams");
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame), "the first goes on");
    drop(camera);
    fed.end();
}

#[test]
fn controls_are_set_while_it_streams() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|options| {
        options.frame_rate = Some(15.0);
        options.inference_window = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
    });
    // 744e6 / 9398 / 15 = 5277.7 lines
    assert_eq!(camera.info().frame_interval, Duration::from_nanos(5278 * 9398 * 1000 / 744));
    let sensor = camera.sensor().unwrap();
    let fed = bench.feed(1_000_000);
    camera.next(&mut RawFrame::default()).unwrap();
    let range = sensor.exposure_range().unwrap();
    assert_eq!(range.minimum, 8);
    assert_eq!(sensor.set_exposure_lines(1234), Ok(1234));
    assert_eq!(sensor.set_exposure_lines(4), Ok(8), "clamped by the driver");
    assert_eq!(sensor.set_analogue_gain_code(2000), Ok(978), "clamped by the driver");
    sensor
        .set_colour_gains(ColourGains { red: 500, blue: 5000, ..ColourGains::default() })
        .unwrap();
    sensor.set_inference_window(InferenceWindow::default()).unwrap();
    let wide = InferenceWindow { left: 0, top: 0, width: 4040, height: 3040 };
    assert!(matches!(sensor.set_inference_window(wide), Err(CameraError::Unsuitable(_))));
    drop(camera);
    fed.end();
}

#[test]
fn short_buffer_is_counted_and_handed_on() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let stop = StopSignal::default();
    let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
    let feeding = {
        let stop = stop.clone();
        let whole = bench.len_bytes(Mode::Binned);
        thread::spawn(move || {
            for len in [whole, whole - 2560, whole] {
                feed.put(&buffer(0, len), &stop).unwrap();
            }
            feed.flush(&stop).unwrap();
        })
    };
    let mut frame = RawFrame::default();
    let lens: Vec<usize> = (0..3)
        .map(|_| {
            camera.next(&mut frame).unwrap();
            frame.metadata.len()
        })
        .collect();
    assert_eq!((lens[0], lens[1]), (lens[2], lens[0] - 2560));
    assert_eq!(camera.device_events(), [("short_buffer", 1)]);
    stop.raise();
    feeding.join().unwrap();
}

/// The one camera that all tests share.
struct Bench {
    network: PathBuf,
    receiver: ReceiverKind,
}

impl Bench {
    #[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
    fn new() -> Option<Self> {
        let network = std::env::var_os("QSEGMENT_CAMERA_NETWORK").map(PathBuf::from);
        if network.is_none() {
            eprintln!("SKIPPED: QSEGMENT_CAMERA_NETWORK names no network for a virtual camera");
        }
        let mut bench = Self { network: network?, receiver: ReceiverKind::Rp1Cfe };
        bench.receiver = bench.open(|_| {}).receiver();
        Some(bench)
    }

    /// Bytes of a frame.
    fn len_bytes(&self, mode: Mode) -> usize {
        let embedded_line = match (mode, self.receiver) {
            (Mode::Binned, ReceiverKind::Rp1Cfe) => 2535,
            (Mode::Binned, ReceiverKind::Unicam) => 2544,
            (Mode::Full, ReceiverKind::Rp1Cfe) => 5070,
            (Mode::Full, ReceiverKind::Unicam) => 5072,
        };
        2 * embedded_line + DNN_LINES * 2560
    }

    fn options(&self) -> imx500::Options {
        imx500::Options { network: Some(self.network.clone()), ..imx500::Options::default() }
    }

    fn open(&self, change: impl FnOnce(&mut imx500::Options)) -> Imx500 {
        let mut options = self.options();
        change(&mut options);
        let clock = Clock::monotonic(StopSignal::default());
        match Imx500::open(options, clock, Box::new(|_| {})) {
            Ok(camera) => camera,
            Err(error) => panic!("{error}"),
        }
    }

    /// Feeds this many buffers from a thread of its own.
    fn feed(&self, count: u64) -> Feeding {
        self.feed_in(Mode::Binned, count)
    }

    fn feed_in(&self, mode: Mode, count: u64) -> Feeding {
        let len = self.len_bytes(mode);
        let stop = StopSignal::default();
        let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
        let thread = {
            let stop = stop.clone();
            // Another test's buffers must not be left in the driver: the node is closed at the end.
            thread::spawn(move || {
                for number in 0..count {
                    if feed.put(&buffer(number, len), &stop).unwrap() == Waited::Stopped {
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
struct Feeding {
    stop: StopSignal,
    thread: Option<JoinHandle<()>>,
}

impl Feeding {
    fn end(mut self) {
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

/// Bytes that differ from buffer to buffer and from place to place.
fn buffer(number: u64, len: usize) -> Vec<u8> {
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

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

const FEED_LEN_BYTES: u32 = 1 << 20;
