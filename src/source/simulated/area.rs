//! Area averaging: how much of each source pixel lies under each target pixel.
//!
//! ```text
//!   source pixels   |  0  |  1  |  2  |  3  |  4  |       ratio 5 : 2, so each target pixel covers 2.5:
//!   target pixels   |      0       |       1      |       0 = (p0 + p1 + p2 / 2) / 2.5
//! ```
//!
//! The view may start and end between pixels and may reach beyond the picture, where all is black.
//! When the target is finer than the source, a target pixel still averages over one whole source pixel
//! around its centre, which is linear interpolation.
//!
//! Rows first, then columns: adding whole weighted rows is one long loop that vectorises, and it leaves
//! few rows for the columns. Plain multiply and add, so the result is the same on every machine.

use std::ops::Range;

use super::picture::Picture;

/// A rectangle of a picture, in its pixels; (0, 0) is the top left corner of the first pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Left edge.
    pub left: f64,
    /// Upper edge.
    pub top: f64,
    /// Extent to the right.
    pub width: f64,
    /// Extent downwards.
    pub height: f64,
}

/// Keeps its buffers, so that only the first use of a size allocates.
#[derive(Debug, Default)]
pub struct AreaResize {
    rows: Taps,
    columns: Taps,
    line: Vec<f32>,
}

impl AreaResize {
    /// Gives `put(x, y, [r, g, b])` for every target pixel, 0.0 to 255.0, row by row.
    pub fn resize(
        &mut self,
        picture: &Picture,
        view: View,
        (width, height): (usize, usize),
        mut put: impl FnMut(usize, usize, [f32; 3]),
    ) {
        self.rows.cover(view.top, view.height, height, picture.height());
        self.columns.cover(view.left, view.width, width, picture.width());
        let seen = self.columns.seen();
        self.line.clear();
        self.line.reserve(picture.width() * 3);
        for (y, (first_row, row_weights)) in self.rows.spans().enumerate() {
            self.line.clear();
            self.line.resize(seen.len() * 3, 0.0);
            for (row, &weight) in (first_row..).zip(row_weights) {
                let start = row * picture.width();
                let pixels = &picture.rgb()[(start + seen.start) * 3..(start + seen.end) * 3];
                for (sum, &byte) in self.line.iter_mut().zip(pixels) {
                    *sum += weight * f32::from(byte);
                }
            }
            for (x, (first, weights)) in self.columns.spans().enumerate() {
                let mut sum = [0.0; 3];
                // An empty span may lie outside of what is seen; it reads nothing.
                let line = self.line.get((first.max(seen.start) - seen.start) * 3..).unwrap_or(&[]);
                for (&weight, pixel) in weights.iter().zip(line.chunks_exact(3)) {
                    for (sum, value) in sum.iter_mut().zip(pixel) {
                        *sum += weight * value;
                    }
                }
                put(x, y, sum);
            }
        }
    }
}

/// Rounds half up and saturates.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates, which is what a sensor does"
)]
pub(super) fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// For every target pixel along one axis: the source pixels under it, and how much each counts.
#[derive(Debug, Default)]
struct Taps {
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<f32>,
}

impl Taps {
    fn cover(&mut self, start: f64, len: f64, targets: usize, sources: usize) {
        self.spans.clear();
        self.weights.clear();
        let step = len / targets as f64;
        let extent = step.max(1.0);
        // As many as any view of this size can need, so that a moving one never allocates.
        self.spans.reserve(targets);
        self.weights.reserve(targets * (clamp_to_index(extent.ceil(), sources) + 1));
        let end = sources as f64;
        for target in 0..targets {
            let mut centre = start + (target as f64 + 0.5) * step;
            if step < 1.0 && (0.0..end).contains(&centre) {
                // Interpolation repeats the edge instead of mixing in the black outside.
                centre = centre.max(0.5).min(end - 0.5);
            }
            let (from, to) = (centre - extent / 2.0, centre + extent / 2.0);
            let first = clamp_to_index(from.floor(), sources);
            let last = clamp_to_index(to.ceil(), sources);
            let weights_start = self.weights.len();
            self.weights.extend((first..last).map(|source| {
                let under = to.min(source as f64 + 1.0) - from.max(source as f64);
                narrow(under.max(0.0) / extent)
            }));
            self.spans.push((first, weights_start..self.weights.len()));
        }
    }

    /// First source pixel and weights of every target pixel.
    fn spans(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.spans.iter().map(|(first, weights)| (*first, &self.weights[weights.clone()]))
    }

    /// All source pixels that any target pixel covers.
    fn seen(&self) -> Range<usize> {
        let covering = || self.spans.iter().filter(|(_, weights)| !weights.is_empty());
        let start = covering().map(|(first, _)| *first).min().unwrap_or(0);
        let end = covering().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        start..end
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates; the upper bound is applied after it"
)]
fn clamp_to_index(value: f64, len: usize) -> usize {
    (value as usize).min(len)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a weight from 0 to 1 needs no more than an f32"
)]
fn narrow(weight: f64) -> f32 {
    weight as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grey(width: usize, height: usize, values: &[u8]) -> Picture {
        Picture::new(width, height, values.iter().flat_map(|&v| [v, v, v]).collect()).unwrap()
    }

    fn resized(picture: &Picture, view: View, size: (usize, usize)) -> Vec<u8> {
        let mut got = Vec::new();
        AreaResize::default()
            .resize(picture, view, size, |_, _, pixel| got.push(to_byte(pixel[0])));
        got
    }

    #[test]
    fn ratio_that_is_no_integer_splits_the_middle_pixel() {
        let picture = grey(5, 1, &[10, 20, 40, 80, 160]);
        // (10 + 20 + 40/2) / 2.5 = 20; (40/2 + 80 + 160) / 2.5 = 104
        assert_eq!(resized(&picture, picture.whole(), (2, 1)), [20, 104]);
    }

    #[test]
    fn both_axes_are_averaged() {
        let picture = grey(3, 3, &[9, 18, 27, 36, 45, 54, 63, 72, 90]);
        // Top left: (9 + 18/2 + 36/2 + 45/4) / 2.25 = 47.25 / 2.25 = 21
        // Bottom right: (45/4 + 54/2 + 72/2 + 90) / 2.25 = 164.25 / 2.25 = 73
        let got = resized(&picture, picture.whole(), (2, 2));
        assert_eq!((got[0], got[3]), (21, 73));
        // All of it: 414 / 9 = 46
        assert_eq!(resized(&picture, picture.whole(), (1, 1)), [46]);
    }

    #[test]
    fn view_between_pixels_mixes_neighbours() {
        let picture = grey(4, 1, &[0, 100, 200, 40]);
        let view = View { left: 0.25, top: 0.0, width: 2.0, height: 1.0 };
        // 0.75 * 0 + 0.25 * 100 = 25; 0.75 * 100 + 0.25 * 200 = 125
        assert_eq!(resized(&picture, view, (2, 1)), [25, 125]);
    }

    #[test]
    fn outside_of_the_picture_is_black() {
        let picture = grey(2, 1, &[100, 200]);
        let view = View { left: -1.5, top: 0.0, width: 5.0, height: 1.0 };
        // Covered lengths: none; half of p0; halves of p0 and p1; half of p1; none.
        assert_eq!(resized(&picture, view, (5, 1)), [0, 50, 150, 100, 0]);
        let far = View { left: 1e9, top: -1e9, width: 3.0, height: 3.0 };
        assert_eq!(resized(&picture, far, (3, 2)), [0; 6]);
    }

    #[test]
    fn finer_target_interpolates_and_repeats_the_edge() {
        let picture = grey(2, 1, &[0, 200]);
        // Centres 0.25, 0.75, 1.25, 1.75; the outer two lie beyond the centres of p0 and p1.
        assert_eq!(resized(&picture, picture.whole(), (4, 1)), [0, 50, 150, 200]);
    }

    #[test]
    fn colours_stay_apart() {
        let picture = Picture::new(2, 1, vec![10, 20, 30, 30, 40, 60]).unwrap();
        let mut got = Vec::new();
        AreaResize::default().resize(&picture, picture.whole(), (1, 1), |_, _, p| got.extend(p));
        assert_eq!(got, [20.0, 30.0, 45.0]);
    }

    #[test]
    fn used_again_it_remembers_nothing() {
        let picture = grey(4, 2, &[1, 20, 60, 90, 250, 130, 40, 8]);
        let mut used = AreaResize::default();
        let sizes = [(3, 2), (1, 1), (5, 3)];
        for (left, size) in [-3.0, 0.3, 9.0, 1.1].into_iter().flat_map(|l| sizes.map(|s| (l, s))) {
            let view = View { left, top: 0.2, width: 2.5, height: 1.7 };
            let mut got = Vec::new();
            used.resize(&picture, view, size, |_, _, pixel| got.push(to_byte(pixel[0])));
            assert_eq!(got, resized(&picture, view, size), "{left} {size:?}");
        }
    }

    proptest! {
        /// The definition, pixel by pixel, on any view and size.
        #[test]
        fn equals_the_definition(
            (width, height) in (1_usize..12, 1_usize..12),
            (out_width, out_height) in (1_usize..9, 1_usize..9),
            (left, top) in (-6.0_f64..6.0, -6.0_f64..6.0),
            (across, down) in (1.0_f64..3.0, 1.0_f64..3.0),
            values in proptest::collection::vec(any::<u8>(), 144),
        ) {
            let picture = grey(width, height, &values[..width * height]);
            // `across` and `down` are at least 1: coarser than the source, plain averaging.
            let view = View {
                left, top, width: across * out_width as f64, height: down * out_height as f64,
            };
            let mut got = Vec::new();
            AreaResize::default()
                .resize(&picture, view, (out_width, out_height), |_, _, p| got.push(p[0]));
            let under = |from: f64, len: f64, pixel: usize| {
                ((from + len).min(pixel as f64 + 1.0) - from.max(pixel as f64)).max(0.0) / len
            };
            for y in 0..out_height {
                for x in 0..out_width {
                    let mut wanted = 0.0;
                    for row in 0..height {
                        for column in 0..width {
                            wanted += under(top + y as f64 * down, down, row)
                                * under(left + x as f64 * across, across, column)
                                * f64::from(values[row * width + column]);
                        }
                    }
                    let got = f64::from(got[y * out_width + x]);
                    prop_assert!((got - wanted).abs() < 1e-3, "({x}, {y}): {got} {wanted}");
                }
            }
        }
    }
}
