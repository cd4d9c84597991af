//! What goes wrong between sensor and host while it streams.

use std::thread;
use std::time::Duration;

use qsegment::source::clock::StopSignal;
use qsegment::source::imx500::{CameraError, Delivery, Fed, Feed};
use qsegment::source::recovery::Remedy;
use qsegment::source::simulated::timing::Mode;
use qsegment::source::{FrameSource, Next, RawFrame, SourceError};

use crate::bench::{Bench, FEED_LEN_BYTES, Parameter, buffer, descriptors, fed};

#[test]
fn silence_is_counted_and_given_up_after_its_limit() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|options| options.silence_limit = Duration::from_secs(2));
    let error = camera.next(&mut RawFrame::default()).unwrap_err();
    assert!(matches!(error, SourceError::Camera(CameraError::Silent { seconds: 2.. })), "{error}");
    assert!(matches!(camera.device_events()[..], [("frame_timeout", 1..)]));
    // It can go on after a restart.
    camera.recover(Remedy::SetNetwork).unwrap();
    let fed = bench.feed(5);
    assert_eq!(camera.next(&mut RawFrame::default()), Ok(Next::Frame));
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
                let metadata = buffer(0, len);
                feed.put(&Fed { delivery: Delivery::Counted, ..fed(&metadata) }, &stop).unwrap();
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

#[test]
fn lost_and_damaged_frames_are_counted_and_the_next_one_follows() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let whole = bench.len_bytes(Mode::Binned);
    let feeding = feed_frames(vec![
        (buffer(0, whole), 0, Delivery::Full),
        (buffer(1, whole), 3, Delivery::Full),
        (buffer(2, whole), 0, Delivery::Damaged),
        (buffer(3, whole), 0, Delivery::Full),
    ]);
    let mut frame = RawFrame::default();
    let mut got = Vec::new();
    for number in [0, 1, 3] {
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
        assert!(frame.metadata == buffer(number, whole), "frame {number} differs");
        got.push(frame.sequence);
    }
    assert_eq!(got, [0, 4, 6], "three were lost, one was damaged");
    assert_eq!(camera.device_events(), [("sequence_gap", 2), ("damaged_buffer", 1)]);
    drop(camera);
    feeding.join().unwrap();
}

#[test]
fn picture_that_does_not_come_is_counted_and_its_metadata_handed_on() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|options| options.picture = true);
    let whole = bench.len_bytes(Mode::Binned);
    let feeding = feed_frames(vec![
        (buffer(0, whole), 0, Delivery::Full),
        (buffer(1, whole), 0, Delivery::WithoutPicture),
        (buffer(2, whole), 0, Delivery::Full),
    ]);
    let mut frame = RawFrame::default();
    let pictures: Vec<bool> = (0..3)
        .map(|_| {
            assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
            !frame.picture.bytes.is_empty()
        })
        .collect();
    assert_eq!(pictures, [true, false, true]);
    assert_eq!(camera.device_events(), [("missing_picture", 1)]);
    drop(camera);
    feeding.join().unwrap();
}

#[test]
fn ended_stream_is_told_and_started_again() {
    let Some(bench) = Bench::new() else { return };
    let mut camera = bench.open(|_| {});
    let whole = bench.len_bytes(Mode::Binned);
    let feeding = feed_frames(vec![
        (buffer(0, whole), 0, Delivery::Full),
        (buffer(1, whole), 0, Delivery::StreamEnds),
    ]);
    let mut frame = RawFrame::default();
    assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
    let error = camera.next(&mut frame).unwrap_err();
    assert!(matches!(&error, SourceError::Camera(CameraError::StreamEnded { .. })), "{error}");
    assert_eq!(camera.device_events(), [("stream_ended", 1)]);
    feeding.join().unwrap();
    camera.recover(Remedy::SetNetwork).unwrap();
    let fed = bench.feed(3);
    assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
    drop(camera);
    fed.end();
}

#[test]
fn network_that_the_driver_lost_while_idle_is_given_again() {
    let Some(bench) = Bench::new() else { return };
    let _impatient = Parameter::set("autosuspend_ms", 50);
    let mut camera = bench.open(|_| {});
    let fed = bench.feed(1_000_000);
    let mut frame = RawFrame::default();
    for _ in 0..3 {
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
        camera.recover(Remedy::SetNetwork).unwrap();
        // The driver powers off meanwhile, and forgets the network that was just given to it.
        thread::sleep(Duration::from_millis(2500));
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
        // Without a network the driver's control of the sensor's id would be inactive.
        if Parameter::get("age") != "1" {
            assert!(camera.sensor().device_id().unwrap().is_some(), "no network runs");
        }
    }
    drop(camera);
    fed.end();
}

#[test]
fn camera_that_is_unbound_mid_stream_is_gone_and_comes_back() {
    let Some(bench) = Bench::new() else { return };
    let receiver = Parameter::get("receiver");
    let device = format!("{receiver}.0");
    for (driver, device) in [
        ("/sys/bus/i2c/drivers/imx500".to_owned(), "10-001a".to_owned()),
        (format!("/sys/bus/platform/drivers/{receiver}"), device),
    ] {
        let open_before = descriptors();
        let mut camera = bench.open(|_| {});
        let whole = bench.len_bytes(Mode::Binned);
        let feeding = feed_frames(vec![(buffer(0, whole), 0, Delivery::Full)]);
        let mut frame = RawFrame::default();
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
        feeding.join().unwrap();
        std::fs::write(format!("{driver}/unbind"), &device).unwrap();
        let error = camera.next(&mut frame).unwrap_err();
        let gone = matches!(
            &error,
            SourceError::Camera(CameraError::Gone { .. } | CameraError::StreamEnded { .. })
        );
        assert!(gone, "{error}");
        assert_eq!(camera.device_events().len(), 1, "{:?}", camera.device_events());
        let again = camera.recover(Remedy::SetNetwork).unwrap_err();
        let gone = matches!(
            &again,
            SourceError::Camera(CameraError::Gone { .. } | CameraError::Refused { .. })
        );
        assert!(gone, "{again}");
        drop(camera);
        let absent = qsegment::source::imx500::present(None).unwrap_err();
        assert!(absent.is_absence(), "{absent}");

        std::fs::write(format!("{driver}/bind"), &device).unwrap();
        let mut camera = bench.open(|_| {});
        let fed = bench.feed(3);
        assert_eq!(camera.next(&mut frame), Ok(Next::Frame));
        drop(camera);
        fed.end();
        assert_eq!(descriptors(), open_before);
    }
}

/// Feeds these frames: bytes, how many were lost before, and what becomes of it.
fn feed_frames(frames: Vec<(Vec<u8>, u32, Delivery)>) -> thread::JoinHandle<()> {
    let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
    thread::spawn(move || {
        let stop = StopSignal::default();
        for (metadata, lost_before, delivery) in frames {
            feed.put(&Fed { lost_before, delivery, ..fed(&metadata) }, &stop).unwrap();
        }
        feed.flush(&stop).unwrap();
    })
}
