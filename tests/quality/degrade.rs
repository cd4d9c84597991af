//! What goes wrong at the bench, done to a picture on purpose. Strengths are in pixels, levels and factors of the picture.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in a picture, and levels, which `as` saturates as a sensor does"
)]

use qsegment::source::simulated::picture::Picture;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One way to spoil a picture, at one strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Degradation {
    None,
    /// Gaussian, sigma in pixels.
    Defocus(f32),
    /// Everything moved along a line of so many pixels during the exposure.
    Smear(usize),
    /// Factor on all colours, with the noise of a sensor that has little light: 2 levels.
    Dark(f32),
    /// Factor on all colours, clipped at white.
    Bright(f32),
    /// Light falls in a line across the picture, from 1 on one side to this on the other.
    Uneven(f32),
    /// Gaussian, standard deviation in levels, independent in every byte.
    Noise(f32),
    /// The picture moved to the right by this share of its width; black comes in.
    Cut(f32),
    /// Moved to the right and down by so many pixels since the frame before; both have noise of 5 levels.
    Moved(usize),
}

impl Degradation {
    /// Light falls towards `angle`, in radians, where it is uneven; the noise is that of `seed`.
    pub(crate) fn of(self, picture: &Picture, angle: f32, seed: u64) -> Picture {
        let (width, height) = (picture.width(), picture.height());
        let rgb = picture.rgb();
        let made = match self {
            Self::None => rgb.to_vec(),
            Self::Defocus(sigma) => {
                let reach = (3.0 * sigma).ceil();
                let taps: Vec<(isize, f32)> = (-(reach as isize)..=reach as isize)
                    .map(|at| (at, (-0.5 * (at as f32 / sigma).powi(2)).exp()))
                    .collect();
                let across = averaged(rgb, width, &taps, (1, 0));
                averaged(&across, width, &taps, (0, 1))
            }
            Self::Smear(length) => {
                let first = -(length as isize / 2);
                let taps: Vec<_> = (first..first + length as isize).map(|at| (at, 1.0)).collect();
                averaged(rgb, width, &taps, (1, 0))
            }
            Self::Dark(factor) => noisy(&scaled(rgb, |_| factor), 2.0, seed),
            Self::Bright(factor) => scaled(rgb, |_| factor),
            Self::Uneven(least) => {
                let (sin, cos) = angle.sin_cos();
                scaled(rgb, |pixel| {
                    let across = (pixel % width) as f32 / width as f32 - 0.5;
                    let down = (pixel / width) as f32 / height as f32 - 0.5;
                    let way = (across * cos + down * sin + 0.5).clamp(0.0, 1.0);
                    1.0 + way * (least - 1.0)
                })
            }
            Self::Noise(deviation) => noisy(rgb, deviation, seed),
            Self::Cut(share) => moved(rgb, width, (share * width as f32) as usize, 0),
            Self::Moved(by) => noisy(&moved(rgb, width, by, by), 5.0, seed),
        };
        Picture::new(width, height, made).expect("as many pixels as before")
    }

    /// Where a truth lies afterwards.
    pub(crate) fn of_truth(self, truth: &[bool], width: usize) -> Vec<bool> {
        let bytes: Vec<u8> = truth.iter().flat_map(|vessel| [u8::from(*vessel); 3]).collect();
        let moved = match self {
            Self::Cut(share) => moved(&bytes, width, (share * width as f32) as usize, 0),
            Self::Moved(by) => moved(&bytes, width, by, by),
            _ => bytes,
        };
        moved.chunks_exact(3).map(|pixel| pixel[0] != 0).collect()
    }
}

fn scaled(rgb: &[u8], factor: impl Fn(usize) -> f32) -> Vec<u8> {
    let bytes = rgb.iter().enumerate();
    bytes.map(|(at, byte)| (f32::from(*byte) * factor(at / 3)).round() as u8).collect()
}

fn noisy(rgb: &[u8], deviation: f32, seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Four bytes, summed: close to a Gaussian, and fast. Their deviation is 147.8.
    let mut gaussian = || {
        let bytes: u32 = rng.random();
        let sum: i32 = bytes.to_le_bytes().iter().map(|byte| i32::from(*byte)).sum();
        (sum - 510) as f32 / 147.8
    };
    rgb.iter().map(|byte| (f32::from(*byte) + deviation * gaussian()).round() as u8).collect()
}

/// Weighted mean along a direction; the edge goes on for ever.
fn averaged(rgb: &[u8], width: usize, taps: &[(isize, f32)], (dx, dy): (isize, isize)) -> Vec<u8> {
    let height = rgb.len() / 3 / width;
    let total: f32 = taps.iter().map(|(_, weight)| weight).sum();
    let mut out = Vec::with_capacity(rgb.len());
    let mut line = vec![0.0_f32; width * 3];
    for y in 0..height {
        line.fill(0.0);
        for (at, weight) in taps {
            let row = (y as isize + at * dy).clamp(0, height as isize - 1) as usize * width * 3;
            let row = &rgb[row..][..width * 3];
            let shift = at * dx * 3;
            for (x, sum) in line.iter_mut().enumerate() {
                let from = x as isize + shift;
                let last = width as isize * 3 - 3 + (x % 3) as isize;
                *sum += weight * f32::from(row[from.clamp((x % 3) as isize, last) as usize]);
            }
        }
        out.extend(line.iter().map(|sum| (sum / total).round() as u8));
    }
    out
}

fn moved(rgb: &[u8], width: usize, right: usize, down: usize) -> Vec<u8> {
    let height = rgb.len() / 3 / width;
    let mut out = vec![0; rgb.len()];
    for y in down..height {
        let from = &rgb[(y - down) * width * 3..][..(width - right) * 3];
        out[(y * width + right) * 3..][..from.len()].copy_from_slice(from);
    }
    out
}
