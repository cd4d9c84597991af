//! The exposure thread, with frames put into its slot and a device made of a closure.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use qsegment::formats::embedded::SensorState;
use qsegment::outputs::exposure::Exposing;
use qsegment::pipeline::Frame;
use qsegment::pipeline::queue::LatestSlot;
use qsegment::source::imx500::exposure::{Controller, Light, Options, Order, Setting};
use qsegment::source::imx500::{CameraError, ColourGains};

/// Longer than any machine needs; only a hang reaches it.
const FOR_EVER: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(33);

/// A frame three stops under, measured at number 97 and come with number 100.
fn dark_frame() -> Frame {
    Frame {
        sequence: 100,
        lag_frames: 3,
        light: Some(Light {
            inside: 0.7,
            colours: [0.12, 0.1, 0.06],
            highlight: 0.2,
            clipped: 0.0,
        }),
        sensor: SensorState {
            exposure_lines: Some(100),
            analogue_gain_code: Some(0),
            frame_length_lines: Some(2637),
            line_length_pixels: Some(9398),
            temperature_celsius: Some(40),
        },
        sensor_steady: true,
        ..Frame::default()
    }
}

struct Started {
    slot: Arc<LatestSlot<Arc<Frame>>>,
    exposing: Exposing,
    orders: Receiver<Order>,
}

fn start(obey: impl Fn(Order) -> Result<Order, CameraError> + Send + 'static) -> Started {
    let slot = Arc::new(LatestSlot::new("exposure"));
    let (sent, orders): (Sender<Order>, _) = mpsc::channel();
    let obey = Box::new(move |order| {
        sent.send(order).unwrap();
        obey(order)
    });
    let controller = Controller::new(Options::default());
    let exposing = Exposing::start(Arc::clone(&slot), INTERVAL, controller, obey).unwrap();
    Started { slot, exposing, orders }
}

#[test]
fn orders_reach_the_device_and_figures_say_what_was_seen() {
    let Started { slot, exposing, orders } = start(Ok);
    slot.put(Arc::new(dark_frame()));
    let setting = orders.recv_timeout(FOR_EVER).unwrap();
    let Order::Setting(Setting { lines, .. }) = setting else { panic!("{setting:?}") };
    assert!(lines > 200 && lines <= 800, "{lines} lines; at most three stops");
    let gains = orders.recv_timeout(FOR_EVER).unwrap();
    let Order::ColourGains(ColourGains { blue, .. }) = gains else { panic!("{gains:?}") };
    assert!(blue > 256, "{blue}");
    slot.close();
    let observer = exposing.observer();
    drop(exposing);
    assert_eq!(orders.try_iter().count(), 0);
    let figures = observer.figures();
    // 100 lines of 12.632 us.
    assert!((figures.state.exposure_ms.unwrap() - 1.2632).abs() < 1e-4, "{figures:?}");
    assert_eq!(figures.state.gain, Some(1.0));
    assert!(!figures.state.exposure_settled && figures.orders_refused == 0, "{figures:?}");
    let json = serde_json::to_value(&figures).unwrap();
    assert_eq!(json["brightness"], 0.1);
}

#[test]
fn refusal_is_counted_and_the_thread_goes_on() {
    let refusal = || CameraError::Unsuitable("the control is gone".to_owned());
    let Started { slot, exposing, orders } = start(move |_| Err(refusal()));
    let observer = exposing.observer();
    slot.put(Arc::new(dark_frame()));
    for _ in 0..2 {
        orders.recv_timeout(FOR_EVER).unwrap();
    }
    // Half a second later no frame was made under what was ordered: it is ordered again.
    slot.put(Arc::new(Frame { sequence: 125, ..dark_frame() }));
    let again = orders.recv_timeout(FOR_EVER).unwrap();
    assert!(matches!(again, Order::Setting(_)), "{again:?}");
    slot.close();
    drop(exposing);
    let figures = observer.figures();
    assert_eq!(figures.orders_refused, 4);
    assert_eq!(figures.last_refusal.as_deref(), Some("the control is gone"));
    assert_eq!(figures.state.orders_not_followed, 1);
    assert_eq!((figures.state.red_gain, figures.state.blue_gain), (1.0, 1.0));
}

#[test]
fn frames_that_were_not_measured_are_left_alone() {
    let Started { slot, exposing, orders } = start(Ok);
    slot.put(Arc::new(Frame { light: None, ..dark_frame() }));
    slot.close();
    drop(exposing);
    assert_eq!(orders.try_iter().count(), 0);
}
