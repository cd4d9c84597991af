//! Which inference window: by pixels, or by what is to happen to the sensor's aspect.
//!
//! ```text
//!   sensor, 4056 x 3040        stretch               fill                  fit
//!   +------------------+       +------------------+  +---+----------+---+  the whole sensor too, but
//!   |      ( o )       |       |##################|  |   |##########|   |  nothing may be squeezed, and
//!   |                  |       |##################|  |   |##########|   |  the sensor pads nothing: only
//!   +------------------+       +------------------+  +---+----------+---+  for a network of its aspect
//!                              all is seen, circles  circles stay round,
//!                              become ellipses       the edges are lost
//! ```
//!
//! The driver's control takes four numbers of at most [`MOST_COLUMNS`], to which the kernel would silently
//! cut more; the whole sensor is written as zeros. So a window of its whole width but not of its whole
//! height cannot be expressed, and `fill` takes the widest that can. What it makes is even, since the sensor
//! has a colour every second pixel.

use std::fmt;
use std::str::FromStr;

use super::SourceError;
use super::simulated::isp::{InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};

/// What of the sensor the network is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowChoice {
    /// These pixels.
    Pixels(InferenceWindow),
    /// The whole sensor, squeezed into the network's input.
    Stretch,
    /// The largest window of the network's aspect, in the middle.
    Fill,
    /// The whole sensor, undistorted.
    Fit,
}

impl WindowChoice {
    /// The window for a network with an input of so many pixels.
    ///
    /// # Errors
    /// `Fit` for a network that has not the sensor's aspect.
    pub fn for_input(self, width: usize, height: usize) -> Result<InferenceWindow, SourceError> {
        match self {
            Self::Pixels(window) => Ok(window),
            Self::Stretch => Ok(WHOLE),
            Self::Fill if has_aspect_of_sensor(width, height) => Ok(WHOLE),
            Self::Fill => Ok(largest(width, height)),
            Self::Fit if has_aspect_of_sensor(width, height) => Ok(WHOLE),
            Self::Fit => Err(SourceError::Setting(format!(
                "inference window \"fit\": the network's input of {width}x{height} has not the sensor's \
                 aspect ({SENSOR_WIDTH}x{SENSOR_HEIGHT}), and the sensor cannot pad; use \"fill\" (nothing is \
                 distorted, edges are lost) or \"stretch\" (all is seen, squeezed)"
            ))),
        }
    }

    /// Refuses what no network makes right.
    ///
    /// # Errors
    /// Pixels that leave the sensor.
    pub fn check(self) -> Result<(), SourceError> {
        match self {
            Self::Pixels(window) => window.resolve().map(drop),
            Self::Stretch | Self::Fill | Self::Fit => Ok(()),
        }
    }
}

impl Default for WindowChoice {
    fn default() -> Self {
        Self::Pixels(InferenceWindow::default())
    }
}

/// A word, or `left,top,width,height`.
impl FromStr for WindowChoice {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "stretch" => Ok(Self::Stretch),
            "fill" => Ok(Self::Fill),
            "fit" => Ok(Self::Fit),
            pixels if pixels.contains(',') => pixels.parse().map(Self::Pixels),
            word => Err(SourceError::Setting(format!(
                "inference window \"{word}\": give stretch, fill, fit, or left,top,width,height in \
                 full-sensor pixels"
            ))),
        }
    }
}

impl fmt::Display for WindowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(InferenceWindow { left, top, width, height }) => {
                write!(f, "{left},{top},{width},{height}")
            }
            Self::Stretch => f.write_str("stretch"),
            Self::Fill => f.write_str("fill"),
            Self::Fit => f.write_str("fit"),
        }
    }
}

/// Whether one side follows from the other by the sensor's aspect, rounded.
fn has_aspect_of_sensor(width: usize, height: usize) -> bool {
    let (sensor_width, sensor_height) = (f64::from(SENSOR_WIDTH), f64::from(SENSOR_HEIGHT));
    let (width, height) = (width as f64, height as f64);
    height == (width * sensor_height / sensor_width).round()
        || width == (height * sensor_width / sensor_height).round()
}

fn largest(width: usize, height: usize) -> InferenceWindow {
    let aspect = width.max(1) as f64 / height.max(1) as f64;
    let across = (f64::from(SENSOR_HEIGHT) * aspect).min(f64::from(MOST_COLUMNS));
    let (width, height) = (even(across, MOST_COLUMNS), even(across / aspect, SENSOR_HEIGHT));
    let middle = |side: u32, sensor: u32| (sensor - side) / 4 * 2;
    InferenceWindow {
        left: middle(width, SENSOR_WIDTH),
        top: middle(height, SENSOR_HEIGHT),
        width,
        height,
    }
}

/// The nearest even number from 2 to `most`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and it is clamped"
)]
pub(super) fn even(side: f64, most: u32) -> u32 {
    ((side / 2.0).round() as u32 * 2).clamp(2, most)
}

pub(crate) const WHOLE: InferenceWindow =
    InferenceWindow { left: 0, top: 0, width: SENSOR_WIDTH, height: SENSOR_HEIGHT };

/// Maximum of the driver's control, for each of its four numbers (`imx500.c` of raspberrypi/linux 7a8b5ff).
pub const MOST_COLUMNS: u32 = 4032;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(left: u32, top: u32, width: u32, height: u32) -> InferenceWindow {
        InferenceWindow { left, top, width, height }
    }

    #[test]
    fn fill_is_the_largest_of_the_aspect_in_the_middle() {
        let fill = |width, height| WindowChoice::Fill.for_input(width, height).unwrap();
        assert_eq!(fill(320, 320), window(508, 0, 3040, 3040));
        // Narrower: 3040 * 240 / 320.
        assert_eq!(fill(240, 320), window(888, 0, 2280, 3040));
        // Wider than the sensor: 4032 * 9 / 16; the 4056 columns of the sensor cannot be written.
        assert_eq!(fill(640, 360), window(12, 386, 4032, 2268));
        // The sensor's own aspect: 320 * 3040 / 4056 = 239.8.
        assert_eq!(fill(320, 240), WHOLE);
        assert_eq!(fill(1, 10_000), window(2026, 0, 2, 3040));
    }

    #[test]
    fn stretch_is_the_whole_sensor_for_every_network() {
        assert_eq!(WindowChoice::Stretch.for_input(320, 320), Ok(WHOLE));
    }

    #[test]
    fn fit_is_for_networks_of_the_sensors_aspect_only() {
        assert_eq!(WindowChoice::Fit.for_input(320, 240), Ok(WHOLE));
        assert_eq!(WindowChoice::Fit.for_input(4056, 3040), Ok(WHOLE));
        let refused = WindowChoice::Fit.for_input(320, 320).unwrap_err().to_string();
        assert!(refused.contains("320x320") && refused.contains("use \"fill\""), "{refused}");
    }

    #[test]
    fn choice_is_read_from_a_word_or_four_numbers() {
        for (text, choice) in [
            ("stretch", WindowChoice::Stretch),
            ("fill", WindowChoice::Fill),
            ("fit", WindowChoice::Fit),
            ("508,0,3040,3040", WindowChoice::Pixels(window(508, 0, 3040, 3040))),
        ] {
            assert_eq!(text.parse(), Ok(choice));
            assert_eq!(choice.to_string(), text);
        }
        let said = "full".parse::<WindowChoice>().unwrap_err().to_string();
        assert!(said.contains("\"full\": give stretch, fill, fit"), "{said}");
        assert!("4000,0,100,100".parse::<WindowChoice>().is_err(), "beyond the sensor");
    }

    proptest! {
        #[test]
        fn fill_can_be_written_and_distorts_nothing(width in 8_usize..1280, height in 8_usize..960) {
            let filled = WindowChoice::Fill.for_input(width, height).unwrap();
            prop_assert_eq!(filled.resolve(), Ok(filled));
            if filled != WHOLE {
                prop_assert!([filled.left, filled.top, filled.width, filled.height]
                    .iter()
                    .all(|number| number % 2 == 0 && *number <= MOST_COLUMNS));
                prop_assert!(filled.width == MOST_COLUMNS || filled.height == SENSOR_HEIGHT);
            }
            // Within what was rounded: a pixel of the sensor for an even number, or half one of the input.
            let aspect = width as f64 / height as f64;
            let (across, down) = (f64::from(filled.width), f64::from(filled.height));
            let off = (across - down * aspect).abs().min((down - across / aspect).abs());
            let whole_off = 0.5 * (across / width as f64).max(down / height as f64);
            prop_assert!(off <= if filled == WHOLE { whole_off } else { 1.0 }, "{filled:?}: {off}");
            let centre = f64::from(filled.left) + f64::from(filled.width) / 2.0;
            prop_assert!((centre - f64::from(SENSOR_WIDTH) / 2.0).abs() <= 1.0);
        }
    }
}
