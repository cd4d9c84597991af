//! What was judged, to look at: a row a picture, from left to right picture, truth, probability, errors.

use image::imageops::FilterType;
use image::{Rgb, RgbImage};

use super::dataset::Example;

/// Squares of the grid, filled row by row.
pub(super) struct Grid {
    tiles: Vec<RgbImage>,
}

impl Grid {
    pub(super) fn new() -> Self {
        Self { tiles: Vec::new() }
    }

    /// Only the first pictures: a grid of hundreds can neither be opened nor looked at. `probability` is 0.0 to 1.0, row-major, as large as the picture.
    pub(super) fn push(&mut self, example: &Example, probability: &[f32]) {
        if self.tiles.len() >= MOST_ROWS * COLUMNS {
            return;
        }
        let (width, height) = (example.picture.width(), example.picture.height());
        let rgb = example.picture.rgb().chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
        let truth = example.truth.iter().map(|&vessel| if vessel { WHITE } else { BLACK });
        let grey = probability.iter().map(|&p| [to_byte(p); 3]);
        let errors = probability.iter().zip(&example.truth).map(|(&p, &vessel)| {
            match (p >= THRESHOLD, vessel) {
                (true, true) => WHITE,
                (true, false) => INVENTED,
                (false, true) => MISSED,
                (false, false) => BLACK,
            }
        });
        self.tiles.push(tile(rgb, width, height));
        self.tiles.push(tile(truth, width, height));
        self.tiles.push(tile(grey, width, height));
        self.tiles.push(tile(errors, width, height));
    }

    /// None without a picture.
    pub(super) fn picture(&self) -> Option<RgbImage> {
        let rows = u32::try_from(self.tiles.len() / COLUMNS).ok().filter(|rows| *rows > 0)?;
        let columns = u32::try_from(COLUMNS).ok()?;
        let step = SIDE + GAP;
        let mut grid = RgbImage::from_pixel(columns * step - GAP, rows * step - GAP, Rgb(WHITE));
        for (at, tile) in (0..).zip(&self.tiles) {
            let (column, row) = (at % columns, at / columns);
            let (left, top) = (i64::from(column * step), i64::from(row * step));
            image::imageops::replace(&mut grid, tile, left, top);
        }
        Some(grid)
    }
}

fn tile(pixels: impl Iterator<Item = [u8; 3]>, width: usize, height: usize) -> RgbImage {
    let side = |side| u32::try_from(side).expect("the side of a picture that was read");
    let bytes: Vec<u8> = pixels.flatten().collect();
    let full = RgbImage::from_raw(side(width), side(height), bytes).expect("a pixel each");
    image::imageops::resize(&full, SIDE, SIDE, FilterType::Triangle)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=255 before"
)]
fn to_byte(probability: f32) -> u8 {
    (probability * 255.0).round().clamp(0.0, 255.0) as u8
}

pub(super) const LEGEND: &str = "a row a picture: picture, truth, probability, and errors (white found, red invented, \
                                 blue missed)";
const THRESHOLD: f32 = 0.5;
const COLUMNS: usize = 4;
const MOST_ROWS: usize = 32;
const SIDE: u32 = 320;
const GAP: u32 = 4;
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];
const INVENTED: [u8; 3] = [255, 60, 40];
const MISSED: [u8; 3] = [60, 130, 255];
