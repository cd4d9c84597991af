//! What a sensor's picture suffers and a data set's does not, on purpose and by degrees.
//!
//! What moves vessels moves the truth along.

use std::io::Cursor;

use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::{RgbImage, imageops};
use qsegment::source::simulated::picture::Picture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dataset::Example;

/// One way to spoil a picture, at one strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Degradation {
    /// Nothing is done.
    None,
    /// Gaussian, sigma in pixels of the picture.
    Blur(f32),
    /// Gaussian, standard deviation in levels of 255, independent in every byte.
    Noise(f32),
    /// Factor on all colours, clipped at white.
    Exposure(f32),
    /// Factor on blue, and its inverse on red.
    Cast(f32),
    /// Quality, 1 to 100.
    Jpeg(u8),
    /// Degrees, about the middle; black comes in at the corners.
    Rotation(f32),
    /// Side of what the network sees over the picture's: below 1 a part of it, above 1 with black round it.
    Window(f32),
}

/// Every strength that is tried, in the order of the table.
pub(super) const LADDER: [(&str, &str, &[Degradation]); 7] = {
    use Degradation::{Blur, Cast, Exposure, Jpeg, Noise, Rotation, Window};
    [
        ("blur", "sigma, pixels", &[Blur(1.0), Blur(2.0), Blur(3.0), Blur(4.0), Blur(6.0)]),
        (
            "noise",
            "standard deviation, levels of 255",
            &[Noise(2.0), Noise(5.0), Noise(10.0), Noise(20.0), Noise(40.0)],
        ),
        (
            "exposure",
            "factor",
            &[Exposure(0.25), Exposure(0.5), Exposure(0.71), Exposure(1.41), Exposure(2.0)],
        ),
        (
            "colour cast",
            "factor on blue, inverse on red",
            &[Cast(0.5), Cast(0.71), Cast(1.41), Cast(2.0), Cast(4.0)],
        ),
        ("JPEG", "quality", &[Jpeg(90), Jpeg(50), Jpeg(30), Jpeg(20), Jpeg(10)]),
        (
            "rotation",
            "degrees",
            &[Rotation(5.0), Rotation(15.0), Rotation(45.0), Rotation(90.0), Rotation(180.0)],
        ),
        (
            "inference window",
            "its side over the picture's",
            &[Window(0.25), Window(0.5), Window(0.75), Window(1.5), Window(2.0)],
        ),
    ]
};

impl Degradation {
    /// In the unit of [`LADDER`].
    pub(super) fn strength(self) -> f32 {
        match self {
            Self::None => 0.0,
            Self::Jpeg(quality) => f32::from(quality),
            Self::Blur(value)
            | Self::Noise(value)
            | Self::Exposure(value)
            | Self::Cast(value)
            | Self::Rotation(value)
            | Self::Window(value) => value,
        }
    }

    pub(super) fn of(self, example: &Example) -> anyhow::Result<Example> {
        let Example { picture, truth, field, .. } = example;
        let (width, height) = (picture.width(), picture.height());
        let bytes = || picture.rgb().to_vec();
        let image = || {
            let side = |side| u32::try_from(side).context("a side of more than 2^32 pixels");
            RgbImage::from_raw(side(width)?, side(height)?, bytes()).context("three bytes a pixel")
        };
        let recoloured = |rgb: Vec<u8>| -> anyhow::Result<Example> {
            let picture = Picture::new(width, height, rgb)?;
            Ok(Example { picture, truth: truth.clone(), second: None, field: field.clone() })
        };
        match self {
            Self::None => recoloured(bytes()),
            Self::Blur(sigma) => recoloured(imageops::blur(&image()?, sigma).into_raw()),
            Self::Noise(deviation) => recoloured(noisy(picture.rgb(), deviation)),
            Self::Exposure(factor) => recoloured(times(picture.rgb(), [factor; 3])),
            Self::Cast(blue) => recoloured(times(picture.rgb(), [1.0 / blue, 1.0, blue])),
            Self::Jpeg(quality) => {
                let mut file = Vec::new();
                JpegEncoder::new_with_quality(&mut file, quality).encode_image(&image()?)?;
                let decoded = image::load(Cursor::new(file), image::ImageFormat::Jpeg)?;
                recoloured(decoded.into_rgb8().into_raw())
            }
            Self::Rotation(degrees) => Seen::turned(width, height, degrees).of(example),
            Self::Window(share) => Seen::window(width, height, share).of(example),
        }
    }
}

fn times(rgb: &[u8], factors: [f32; 3]) -> Vec<u8> {
    let factors = factors.into_iter().cycle();
    rgb.iter().zip(factors).map(|(&byte, factor)| to_byte(f32::from(byte) * factor)).collect()
}

/// The same noise in every run.
fn noisy(rgb: &[u8], deviation: f32) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut gaussian = || {
        // Box and Muller; 1 - u is never 0.
        let (u, v): (f32, f32) = (rng.random(), rng.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    };
    rgb.iter().map(|&byte| to_byte(f32::from(byte) + deviation * gaussian())).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates at 0 and 255, which is what a sensor does"
)]
fn to_byte(value: f32) -> u8 {
    value.round() as u8
}

/// Another view of the same eye: where each pixel of it lies in the picture.
struct Seen {
    width: usize,
    height: usize,
    /// Picture pixels right and down, for one pixel to the right; down is at a right angle to it.
    step: (f64, f64),
    /// Of the middle, in both.
    middle: (f64, f64),
}

impl Seen {
    fn turned(width: usize, height: usize, degrees: f32) -> Self {
        let angle = f64::from(degrees).to_radians();
        let middle = (width as f64 / 2.0, height as f64 / 2.0);
        Self { width, height, step: (angle.cos(), angle.sin()), middle }
    }

    /// As many pixels as the picture has there: nothing is scaled before the network scales it.
    fn window(width: usize, height: usize, share: f32) -> Self {
        let side = |side: usize| -> usize {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a side times at most 2"
            )]
            let scaled = (side as f64 * f64::from(share)).round() as usize;
            scaled.max(1)
        };
        let middle = (width as f64 / 2.0, height as f64 / 2.0);
        Self { width: side(width), height: side(height), step: (1.0, 0.0), middle }
    }

    fn of(&self, example: &Example) -> anyhow::Result<Example> {
        let (width, height) = (example.picture.width(), example.picture.height());
        let (right, down) = self.step;
        let mut rgb = Vec::with_capacity(self.width * self.height * 3);
        let mut truth = Vec::with_capacity(self.width * self.height);
        let mut field = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            for x in 0..self.width {
                let dx = x as f64 + 0.5 - self.width as f64 / 2.0;
                let dy = y as f64 + 0.5 - self.height as f64 / 2.0;
                let at = (
                    self.middle.0 + dx * right - dy * down - 0.5,
                    self.middle.1 + dx * down + dy * right - 0.5,
                );
                rgb.extend(bilinear(example.picture.rgb(), width, height, at));
                let nearest = nearest(width, height, at);
                truth.push(nearest.is_some_and(|at| example.truth[at]));
                field.push(nearest.is_some_and(|at| example.field[at]));
            }
        }
        let picture = Picture::new(self.width, self.height, rgb)?;
        Ok(Example { picture, truth, second: None, field })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the side, checked before"
)]
fn nearest(width: usize, height: usize, (x, y): (f64, f64)) -> Option<usize> {
    let (x, y) = (x.round(), y.round());
    let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
    inside.then(|| y as usize * width + x as usize)
}

/// Black beyond the edge.
fn bilinear(rgb: &[u8], width: usize, height: usize, (x, y): (f64, f64)) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (right_share, lower_share) = (x - left, y - top);
    let mut sums = [0.0_f64; 3];
    for (dx, dy, share) in [
        (0.0, 0.0, (1.0 - right_share) * (1.0 - lower_share)),
        (1.0, 0.0, right_share * (1.0 - lower_share)),
        (0.0, 1.0, (1.0 - right_share) * lower_share),
        (1.0, 1.0, right_share * lower_share),
    ] {
        if let (true, Some(at)) = (share > 0.0, nearest(width, height, (left + dx, top + dy))) {
            for (sum, &byte) in sums.iter_mut().zip(&rgb[at * 3..][..3]) {
                *sum += share * f64::from(byte);
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 to 255")]
    sums.map(|sum| to_byte(sum as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 x 2: reds 10, 20, 30, 40 over 50, 60, 70, 80; a vessel at the upper right.
    fn example() -> Example {
        let rgb = (1..=8).flat_map(|i| [i * 10, 0, 0]).collect();
        let mut truth = vec![false; 8];
        truth[3] = true;
        let picture = Picture::new(4, 2, rgb).unwrap();
        Example { picture, truth, second: None, field: vec![true; 8] }
    }

    fn reds(example: &Example) -> Vec<u8> {
        example.picture.rgb().iter().step_by(3).copied().collect()
    }

    #[test]
    fn half_a_turn_takes_the_truth_along() {
        let turned = Degradation::Rotation(180.0).of(&example()).unwrap();
        assert_eq!(reds(&turned), [80, 70, 60, 50, 40, 30, 20, 10]);
        assert_eq!(turned.truth.iter().position(|vessel| *vessel), Some(4));
        assert_eq!(reds(&Degradation::Rotation(0.0).of(&example()).unwrap()), reds(&example()));
    }

    #[test]
    fn windows_cut_the_middle_out_or_leave_black_round_it() {
        let part = Degradation::Window(0.5).of(&example()).unwrap();
        // One row of two: half-way between both rows.
        assert_eq!((part.picture.width(), part.picture.height()), (2, 1));
        assert_eq!(reds(&part), [40, 50]);
        let wide = Degradation::Window(2.0).of(&example()).unwrap();
        assert_eq!((wide.picture.width(), wide.picture.height()), (8, 4));
        assert_eq!(reds(&wide)[8..16], [0, 0, 10, 20, 30, 40, 0, 0]);
        assert_eq!(wide.truth.iter().filter(|vessel| **vessel).count(), 1);
    }

    #[test]
    fn light_is_clipped_and_noise_is_the_same_twice() {
        let bright = Degradation::Exposure(4.0).of(&example()).unwrap();
        assert_eq!(reds(&bright), [40, 80, 120, 160, 200, 240, 255, 255]);
        let red = Degradation::Cast(0.5).of(&example()).unwrap();
        assert_eq!(reds(&red)[0], 20);
        let noise = || reds(&Degradation::Noise(20.0).of(&example()).unwrap());
        assert_eq!(noise(), noise());
        assert_ne!(noise(), reds(&example()));
    }

    #[test]
    fn noise_has_the_deviation_that_it_names() {
        let grey = vec![128; 30_000];
        let noise = noisy(&grey, 10.0);
        let squares: f64 = noise.iter().map(|&byte| (f64::from(byte) - 128.0).powi(2)).sum();
        let deviation = (squares / 30_000.0).sqrt();
        assert!((deviation - 10.0).abs() < 0.3, "{deviation}");
    }
}
