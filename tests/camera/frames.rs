//! Frames, pictures, restarts, descriptors, stop.

use std::thread;
use std::time::Duration;

use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{CameraError, ColourGains, Flips, Imx500};
use qsegment::source::recovery::Remedy;
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::timing::Mode;
use qsegment::source::{BayerOrder, FrameSource, Next, Quality, RawFrame};

use crate::bench::{Bench, DNN_LINES, Parameter, buffer, descriptors};

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
    // An emulated CPU may be too slow for 30 pictures a second.
    let _hold = Parameter::set("hold", "1");
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
        camera.recover(Remedy::SetNetwork).unwrap();
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
fn window_is_moved_between_frames_and_kept_by_a_restart() {
    const WIDE: InferenceWindow = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };
    const CLOSE: InferenceWindow =
        InferenceWindow { left: 1000, top: 800, width: 800, height: 800 };
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|options| options.inference_window = WIDE);
    let aim = camera.aim(Some((320, 320)));
    let fed = bench.feed(1_000_000);
    let mut frame = RawFrame::default();
    camera.next(&mut frame).unwrap();
    assert_eq!(frame.window, Some(WIDE));
    assert_eq!(aim.ask(CLOSE), Ok(CLOSE));
    let mut windows = Vec::new();
    while frame.window != Some(CLOSE) {
        camera.next(&mut frame).unwrap();
        windows.push(frame.window);
    }
    assert!(windows.contains(&None), "between both nobody can tell");
    assert_eq!(aim.aimed().refused, None);
    drop(fed);
    camera.recover(Remedy::Restart).unwrap();
    let fed = bench.feed(1_000_000);
    camera.next(&mut frame).unwrap();
    assert_eq!(frame.window, Some(CLOSE));
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
    let sensor = camera.sensor();
    let fed = bench.feed(1_000_000);
    camera.next(&mut RawFrame::default()).unwrap();
    let range = sensor.exposure_range().unwrap();
    assert_eq!(range.minimum, 8);
    assert_eq!(sensor.set_exposure_lines(1234), Ok(1234));
    assert_eq!(sensor.set_exposure_lines(4), Ok(8), "clamped by the driver");
    assert_eq!(sensor.set_analogue_gain_code(2000), Ok(978), "clamped by the driver");
    let gains = ColourGains { red: 500, blue: 5000, green_red: 300, green_blue: 200 };
    assert_eq!(sensor.set_colour_gains(gains), Ok(ColourGains { blue: 4095, ..gains }));
    sensor.set_inference_window(InferenceWindow::default()).unwrap();
    let wide = InferenceWindow { left: 0, top: 0, width: 4040, height: 3040 };
    assert!(matches!(sensor.set_inference_window(wide), Err(CameraError::Unsuitable(_))));
    drop(camera);
    fed.end();
}
