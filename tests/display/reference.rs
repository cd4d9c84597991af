//! The slow, obvious composition: a frame scaled into its place, the mask over it.

use qsegment::outputs::hdmi::layout::Layout;
use qsegment::outputs::overlay::{Film, Freshness, Overlay};
use qsegment::pipeline::Frame;
use qsegment::pipeline::geometry::{Size, Transform};

use crate::bench::{SIDE, style};

pub(crate) fn layout(width: usize, height: usize) -> Layout {
    let side = Size::new(SIDE, SIDE).unwrap();
    Layout::new(Size::new(width, height).unwrap(), side, true)
}

/// Mask and picture scaled each on its own, then laid over each other: the mask has a plane of its own.
pub(crate) fn mask_over_picture(frame: &Frame, to: Size) -> Vec<[f64; 3]> {
    let size = Size::new(frame.width, frame.height).unwrap();
    let picture: Vec<[u8; 4]> = frame.rgb.chunks(3).map(|p| [p[0], p[1], p[2], 255]).collect();
    let mut film = Film::default();
    let (film_size, film) = film.draw(frame, style()).unwrap();
    let under = scaled(&picture, size, to);
    let over = scaled(film, film_size, to);
    let lay = |(under, over): (&[f64; 4], &[f64; 4])| {
        std::array::from_fn(|i| over[2 - i] + under[i] * (255.0 - over[3]) / 255.0)
    };
    under.iter().zip(&over).map(lay).collect()
}

/// Laid over each other at the picture's size, then scaled: there is one plane.
pub(crate) fn blended_and_scaled(frame: &Frame, to: Size) -> Vec<[f64; 3]> {
    let mut overlay = Overlay::default();
    let drawn = overlay.draw(Some(frame), style(), Freshness::Live);
    let drawn_pixels: Vec<[u8; 4]> = drawn.rgb.chunks(3).map(|p| [p[0], p[1], p[2], 0]).collect();
    scaled(&drawn_pixels, drawn.size, to).iter().map(|p| [p[0], p[1], p[2]]).collect()
}

/// Bilinear, across and then down, rounded to bytes after each as memory has them.
fn scaled(source: &[[u8; 4]], from: Size, to: Size) -> Vec<[f64; 4]> {
    let transform = Transform::stretch(from, to);
    let (columns, rows) = (transform.column_taps(from, to), transform.row_taps(from, to));
    let mix = |a: f64, b: f64, weight: u16| (a + (b - a) * f64::from(weight) / 256.0 + 0.5).floor();
    let mut target = Vec::with_capacity(to.pixels());
    for row in &rows {
        for column in &columns {
            target.push(std::array::from_fn(|byte| {
                let at = |x: usize, y: usize| f64::from(source[y * from.width() + x][byte]);
                let across = |y| mix(at(column.first, y), at(column.second, y), column.weight);
                mix(across(row.first), across(row.second), row.weight)
            }));
        }
    }
    target
}
