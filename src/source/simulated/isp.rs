//! The in-sensor ISP: from what the lens throws on the sensor to the bytes the network sees.
//!
//! ```text
//!   full sensor, 4056 x 3040 pixels
//!   +-------+-----------------------+-------+
//!   |       |  +-----------+        |       |   middle square, 3040 x 3040: the scene's longer side
//!   | black |  | inference |        | black |   fills it, a shorter side leaves black on both sides
//!   |       |  | window    | scene  |       |
//!   |       |  +-----------+        |       |   inference window: what the network sees, averaged by
//!   +-------+-----------------------+-------+   area down to the network's input size
//!   0      508                     3548   4056
//!
//!   area average -> white-balance gain per colour -> plane order RGB or BGR -> quantise
//! ```
//!
//! The quantised byte is the pixel itself, `byte ^ 0x80` for a signed input; the input's scale plays no
//! part (picamera2 reads it so). Not modelled: Bayer mosaic, noise, black level, lens shading, gamma. A picture
//! has all of them behind it already.

use std::str::FromStr;

use super::area::{AreaResize, View, to_byte};
use super::picture::Picture;
use crate::formats::input_tensor::ColourOrder;
use crate::source::SourceError;

/// The crop of the full sensor that feeds the network, in full-sensor pixels. Width or height 0 means the
/// whole scene (a camera would take its whole sensor then).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InferenceWindow {
    /// Pixels right of the sensor's left edge.
    pub left: u32,
    /// Pixels below its upper edge.
    pub top: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl InferenceWindow {
    /// Width or height 0 replaced by the whole scene; refuses a window that leaves the sensor.
    pub fn resolve(self) -> Result<Self, SourceError> {
        if self.width == 0 || self.height == 0 {
            return Ok(Self { left: SCENE_LEFT, top: 0, width: SCENE_SIDE, height: SCENE_SIDE });
        }
        let right = u64::from(self.left) + u64::from(self.width);
        let bottom = u64::from(self.top) + u64::from(self.height);
        if right > u64::from(SENSOR_WIDTH) || bottom > u64::from(SENSOR_HEIGHT) {
            return Err(SourceError::Setting(format!(
                "inference window {},{},{},{} ends at ({right}, {bottom}); the sensor has \
                 {SENSOR_WIDTH}x{SENSOR_HEIGHT} pixels: make it smaller",
                self.left, self.top, self.width, self.height
            )));
        }
        Ok(self)
    }

    /// Width or height 0 replaced by the whole sensor, as its driver has it.
    #[must_use]
    pub fn on_sensor(self) -> Self {
        if self.width == 0 || self.height == 0 {
            return Self { left: 0, top: 0, width: SENSOR_WIDTH, height: SENSOR_HEIGHT };
        }
        self
    }

    /// Where a resolved window lies in a picture, moved by `drift` times its own width and height.
    #[must_use]
    pub fn view(self, picture: &Picture, drift: (f64, f64)) -> View {
        let (across, down) = (picture.width() as f64, picture.height() as f64);
        let pictures_per_sensor_pixel = across.max(down) / f64::from(SCENE_SIDE);
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let right_of_centre =
            f64::from(self.left) + drift.0 * width - f64::from(SENSOR_WIDTH) / 2.0;
        let below_centre = f64::from(self.top) + drift.1 * height - f64::from(SENSOR_HEIGHT) / 2.0;
        View {
            left: across / 2.0 + right_of_centre * pictures_per_sensor_pixel,
            top: down / 2.0 + below_centre * pictures_per_sensor_pixel,
            width: width * pictures_per_sensor_pixel,
            height: height * pictures_per_sensor_pixel,
        }
    }
}

/// `left,top,width,height`, as the driver's control has them.
impl FromStr for InferenceWindow {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = || {
            SourceError::Setting(format!(
                "inference window \"{text}\": give left,top,width,height in full-sensor pixels, \
                 such as 1268,760,1520,1520; 0,0,0,0 is the whole scene"
            ))
        };
        let numbers = text
            .split(',')
            .map(|number| number.trim().parse().map_err(|_| wrong()))
            .collect::<Result<Vec<u32>, _>>()?;
        let &[left, top, width, height] = numbers.as_slice() else { return Err(wrong()) };
        Self { left, top, width, height }.resolve()?;
        Ok(Self { left, top, width, height })
    }
}

/// White-balance gains, as the host would set them with NOTIFY_GAINS; 1.0 leaves a colour as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gains {
    /// Red.
    pub red: f32,
    /// Green.
    pub green: f32,
    /// Blue.
    pub blue: f32,
}

impl Default for Gains {
    fn default() -> Self {
        Self { red: 1.0, green: 1.0, blue: 1.0 }
    }
}

/// How pixels become stored bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoding {
    /// Pixels a row of the network's input.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Stored bytes are two's complement.
    pub signed: bool,
    /// Which colour is plane 0.
    pub order: ColourOrder,
    /// White balance.
    pub gains: Gains,
}

/// The ISP with its buffers.
#[derive(Debug)]
pub struct Isp {
    encoding: Encoding,
    resize: AreaResize,
}

impl Isp {
    /// An ISP for one network's input.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, resize: AreaResize::default() }
    }

    /// Fills `planes` (resized to `3 * height * width`) with what the network sees: planar, row-major.
    pub fn look(&mut self, picture: &Picture, view: View, planes: &mut Vec<u8>) {
        let Encoding { width, height, signed, order, gains } = self.encoding;
        let plane = width * height;
        planes.resize(3 * plane, 0);
        let flip = if signed { 0x80 } else { 0 };
        self.resize.resize(picture, view, (width, height), |x, y, [red, green, blue]| {
            let red = to_byte(red * gains.red) ^ flip;
            let green = to_byte(green * gains.green) ^ flip;
            let blue = to_byte(blue * gains.blue) ^ flip;
            let (first, last) = match order {
                ColourOrder::Rgb => (red, blue),
                ColourOrder::Bgr => (blue, red),
            };
            let at = y * width + x;
            planes[at] = first;
            planes[plane + at] = green;
            planes[2 * plane + at] = last;
        });
    }
}

/// Pixels across the full sensor (crop rectangle of the driver's modes).
pub const SENSOR_WIDTH: u32 = 4056;
/// Pixels down the full sensor.
pub const SENSOR_HEIGHT: u32 = 3040;
/// Side of the middle square that the scene fills.
pub const SCENE_SIDE: u32 = 3040;
const SCENE_LEFT: u32 = (SENSOR_WIDTH - SCENE_SIDE) / 2;

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE_2X1: Encoding = Encoding {
        width: 2,
        height: 1,
        signed: false,
        order: ColourOrder::Rgb,
        gains: Gains { red: 1.0, green: 1.0, blue: 1.0 },
    };

    /// Two pixels across: (10, 20, 30) and (200, 100, 50).
    fn two_pixels() -> Picture {
        Picture::new(2, 1, vec![10, 20, 30, 200, 100, 50]).unwrap()
    }

    fn seen(encoding: Encoding) -> Vec<u8> {
        let picture = two_pixels();
        let mut planes = Vec::new();
        Isp::new(encoding).look(&picture, picture.whole(), &mut planes);
        planes
    }

    #[test]
    fn unsigned_input_byte_is_the_pixel() {
        assert_eq!(seen(WHOLE_2X1), [10, 200, 20, 100, 30, 50]);
    }

    #[test]
    fn signed_input_byte_has_its_top_bit_flipped() {
        let got = seen(Encoding { signed: true, ..WHOLE_2X1 });
        assert_eq!(got, [0x8a, 0x48, 0x94, 0xe4, 0x9e, 0xb2]);
    }

    #[test]
    fn bgr_puts_blue_first() {
        let got = seen(Encoding { order: ColourOrder::Bgr, ..WHOLE_2X1 });
        assert_eq!(got, [30, 50, 20, 100, 10, 200]);
    }

    #[test]
    fn gains_scale_round_and_saturate() {
        let gains = Gains { red: 1.5, green: 0.25, blue: 2.05 };
        // 15, 300 -> 255; 5, 25; 61.5 -> 62, 102.5 -> 103
        assert_eq!(seen(Encoding { gains, ..WHOLE_2X1 }), [15, 255, 5, 25, 62, 103]);
    }

    #[test]
    fn zero_window_is_the_whole_scene_with_black_on_the_shorter_sides() {
        let window = InferenceWindow::default().resolve().unwrap();
        let view = window.view(&two_pixels(), (0.0, 0.0));
        assert_eq!(view, View { left: 0.0, top: -0.5, width: 2.0, height: 2.0 });
    }

    #[test]
    fn window_in_sensor_pixels_lands_on_the_picture() {
        let square = Picture::new(4, 4, vec![0; 48]).unwrap();
        // The scene's upper left quarter: 4 picture pixels over 3040 sensor pixels.
        let window = InferenceWindow { left: 508, top: 0, width: 1520, height: 1520 };
        let view = window.resolve().unwrap().view(&square, (0.0, 0.0));
        assert_eq!(view, View { left: 0.0, top: 0.0, width: 2.0, height: 2.0 });
        // Drifting by a tenth of its width and back by a fifth of its height.
        let view = window.view(&square, (0.1, -0.2));
        assert!((view.left - 0.2).abs() < 1e-9 && (view.top + 0.4).abs() < 1e-9, "{view:?}");
        // The sensor's left edge lies left of the scene.
        let window = InferenceWindow { left: 0, top: 0, width: 508, height: 3040 };
        assert!(window.view(&square, (0.0, 0.0)).left < -0.66);
    }

    #[test]
    fn refuses_a_window_beyond_the_sensor() {
        let window = InferenceWindow { left: 4000, top: 0, width: 100, height: 100 };
        assert_eq!(
            window.resolve().unwrap_err().to_string(),
            "inference window 4000,0,100,100 ends at (4100, 100); the sensor has 4056x3040 pixels: \
             make it smaller"
        );
        let window = InferenceWindow { left: u32::MAX, top: 0, width: u32::MAX, height: 1 };
        assert!(window.resolve().is_err());
    }

    #[test]
    fn window_is_read_from_four_numbers() {
        let window = InferenceWindow { left: 1268, top: 760, width: 1520, height: 1520 };
        assert_eq!("1268,760, 1520,1520".parse::<InferenceWindow>().unwrap(), window);
        for text in ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,1,1", "4056,0,1,1"] {
            assert!(text.parse::<InferenceWindow>().is_err(), "{text}");
        }
    }
}
