//! Where the network's tensors lie on the sensor, on the picture and on a display.
//!
//! ```text
//!   sensor array, 4056 x 3040         tensor              picture             display
//!   +---------------------+           +-----+             +---------+         +---+-----+---+
//!   |     +---------+     |  stretch  |     |   stretch   |         | letter- |   |     |   |
//!   |     | window  | ----+---------> |     | ----------> |         | box --> |   |     |   |
//!   |     +---------+     |           +-----+             +---------+         +---+-----+---+
//!   +---------------------+           of the window's all, whatever its aspect    with the window's aspect
//! ```
//!
//! Tensor and picture are two samplings of the same window, so between them there is only a stretch. Their
//! pixels need not be square on the sensor: a window of 4:3 squeezed into a square tensor is shown as 4:3
//! again, by the window's aspect and not by the tensor's.
//!
//! The window counts from the pixel that is read first. Where the read-out is flipped, that is another
//! corner of the array; tensor, picture and display are all turned alike and do not notice. That the
//! driver's window is meant so is an assumption: no sensor was there to look.

use super::{Size, Transform};
use crate::source::imx500::Flips;
use crate::source::inference_window::WHOLE;
use crate::source::simulated::isp::{InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};

/// What the network sees, and how it is turned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    window: InferenceWindow,
    /// Width and height of `window`, which are not zero.
    seen: Size,
    flips: Flips,
}

impl Sight {
    /// The whole sensor where the window's width or height is 0, as the driver has it. None for a window
    /// that leaves the sensor.
    #[must_use]
    pub fn new(window: InferenceWindow, flips: Flips) -> Option<Self> {
        let whole = window.width == 0 || window.height == 0;
        let window = if whole { WHOLE } else { window.resolve().ok()? };
        let side = |side: u32| usize::try_from(side).ok();
        let seen = Size::new(side(window.width)?, side(window.height)?)?;
        Some(Self { window, seen, flips })
    }

    /// Its size on the sensor: whose aspect is the true one.
    #[must_use]
    pub fn seen(&self) -> Size {
        self.seen
    }

    /// From a tensor, or any other picture of the window, to the sensor's array.
    #[must_use]
    pub fn to_sensor(&self, tensor: Size) -> Transform {
        let InferenceWindow { left, top, .. } = self.window;
        let read_out = Transform::stretch(tensor, self.seen)
            .then(Transform::shift(f64::from(left), f64::from(top)));
        read_out.then(Transform::mirror(array(), self.flips.horizontal, self.flips.vertical))
    }

    /// From a tensor to a picture of the same window.
    #[must_use]
    pub fn to_picture(&self, tensor: Size, picture: Size) -> Transform {
        Transform::stretch(tensor, picture)
    }

    /// From a tensor, or any other picture of the window, to a display: as large as fits, with the window's
    /// aspect, in the middle.
    #[must_use]
    pub fn to_display(&self, tensor: Size, display: Size) -> Transform {
        Transform::stretch(tensor, self.seen).then(Transform::letterbox(self.seen, display))
    }
}

fn array() -> Size {
    Size { width: SENSOR_WIDTH as usize, height: SENSOR_HEIGHT as usize }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(width: usize, height: usize) -> Size {
        Size::new(width, height).unwrap()
    }

    fn sight(window: [u32; 4], horizontal: bool, vertical: bool) -> Sight {
        let [left, top, width, height] = window;
        let window = InferenceWindow { left, top, width, height };
        Sight::new(window, Flips { horizontal, vertical }).unwrap()
    }

    #[test]
    fn corners_of_the_tensor_are_those_of_the_window() {
        let middle = sight([508, 0, 3040, 3040], false, false).to_sensor(size(320, 320));
        assert_eq!(middle.apply((0.0, 0.0)), (508.0, 0.0));
        assert_eq!(middle.apply((320.0, 320.0)), (3548.0, 3040.0));
        assert_eq!(middle.apply((160.0, 160.0)), (2028.0, 1520.0), "the middle of both");
    }

    /// A window at the left of the read-out is at the right of an array that is read from the right.
    #[test]
    fn flips_turn_about_the_array_and_not_about_the_window() {
        let tensor = size(100, 100);
        let at = |horizontal, vertical| {
            sight([0, 0, 1000, 500], horizontal, vertical).to_sensor(tensor).apply((0.0, 0.0))
        };
        assert_eq!(at(false, false), (0.0, 0.0));
        assert_eq!(at(true, false), (4056.0, 0.0));
        assert_eq!(at(false, true), (0.0, 3040.0));
        assert_eq!(at(true, true), (4056.0, 3040.0));
    }

    #[test]
    fn zeros_are_the_whole_sensor_and_a_window_beyond_it_is_none() {
        assert_eq!(sight([0; 4], false, false).seen(), size(4056, 3040));
        let beyond = InferenceWindow { left: 4000, top: 0, width: 100, height: 100 };
        assert_eq!(Sight::new(beyond, Flips::default()), None);
    }

    /// 4056 : 3040 in 640 x 480 is 640 wide and 479.7 high, although the tensor is square.
    #[test]
    fn squeezed_window_is_shown_with_its_own_aspect() {
        let shown = sight([0; 4], false, false).to_display(size(320, 320), size(640, 480));
        let (left, top) = shown.apply((0.0, 0.0));
        let (right, bottom) = shown.apply((320.0, 320.0));
        assert!((left, right) == (0.0, 640.0), "{left} {right}");
        assert!((bottom - top - 640.0 * 3040.0 / 4056.0).abs() < 1e-9, "{top} {bottom}");
        assert!((top + bottom - 480.0).abs() < 1e-9);
    }

    fn windows() -> impl Strategy<Value = [u32; 4]> {
        (0_u32..4054, 0_u32..3038).prop_flat_map(|(left, top)| {
            (1..=4056 - left, 1..=3040 - top)
                .prop_map(move |(width, height)| [left, top, width, height])
        })
    }

    fn sizes(across: usize, down: usize) -> impl Strategy<Value = Size> {
        (1..across, 1..down).prop_map(|(width, height)| size(width, height))
    }

    fn is_near(got: (f64, f64), want: (f64, f64)) -> bool {
        (got.0 - want.0).abs() < 1e-6 && (got.1 - want.1).abs() < 1e-6
    }

    proptest! {
        #[test]
        fn every_way_leads_back_and_over_the_others(
            window in windows(),
            horizontal: bool,
            vertical: bool,
            tensor in sizes(1280, 960),
            picture in sizes(2028, 1520),
            display in sizes(4000, 2200),
            part in (0.0_f64..=1.0, 0.0_f64..=1.0),
        ) {
            let sight = sight(window, horizontal, vertical);
            let point = (part.0 * tensor.width() as f64, part.1 * tensor.height() as f64);
            let to_sensor = sight.to_sensor(tensor);
            let to_picture = sight.to_picture(tensor, picture);
            let to_display = sight.to_display(tensor, display);
            for way in [to_sensor, to_picture, to_display] {
                prop_assert!(is_near(way.inverse().apply(way.apply(point)), point), "{way:?}");
            }
            // Over the picture it is the same as straight on.
            let over = to_picture.then(sight.to_sensor(picture));
            prop_assert!(is_near(over.apply(point), to_sensor.apply(point)));
            let over = to_picture.then(sight.to_display(picture, display));
            prop_assert!(is_near(over.apply(point), to_display.apply(point)));
            // From the display by way of the sensor back to the tensor.
            let round = to_display.inverse().then(to_sensor).then(to_sensor.inverse());
            prop_assert!(is_near(round.apply(to_display.apply(point)), point));
        }

        #[test]
        fn sensor_points_lie_in_the_window_and_display_points_on_the_display(
            window in windows(),
            horizontal: bool,
            vertical: bool,
            tensor in sizes(1280, 960),
            display in sizes(4000, 2200),
            part in (0.0_f64..=1.0, 0.0_f64..=1.0),
        ) {
            let sight = sight(window, horizontal, vertical);
            let point = (part.0 * tensor.width() as f64, part.1 * tensor.height() as f64);
            let (x, y) = sight.to_sensor(tensor).apply(point);
            let x = if horizontal { 4056.0 - x } else { x };
            let y = if vertical { 3040.0 - y } else { y };
            let [left, top, width, height] = window.map(f64::from);
            prop_assert!(x > left - 1e-6 && x < left + width + 1e-6, "{x} in {window:?}");
            prop_assert!(y > top - 1e-6 && y < top + height + 1e-6, "{y} in {window:?}");
            let (x, y) = sight.to_display(tensor, display).apply(point);
            prop_assert!(x > -1e-6 && x < display.width() as f64 + 1e-6);
            prop_assert!(y > -1e-6 && y < display.height() as f64 + 1e-6);
        }

        /// A circle on the sensor is a circle on the display.
        #[test]
        fn display_keeps_the_sensors_aspect(
            window in windows(),
            tensor in sizes(1280, 960),
            display in sizes(4000, 2200),
        ) {
            let sight = sight(window, false, true);
            let across = sight.to_display(tensor, display);
            let sensor = sight.to_sensor(tensor);
            let (x, y) = (across.scale_x / sensor.scale_x, across.scale_y / sensor.scale_y);
            prop_assert!((x + y).abs() < 1e-9 * x.abs(), "{x} {y}: flipped, and else the same");
        }
    }
}
