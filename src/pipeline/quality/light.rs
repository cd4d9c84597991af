//! How bright the field of view is, how much of it is white, and how even.
//!
//! ```text
//!   +---+---+---+---+
//!   |  .|---|---|.  |     16 parts of the box round the field; the corners that hold little of it do not count.
//!   +--/+---+---+\--+     The mean of the darkest quarter of them over the mean of the brightest quarter, so that
//!   | | |   |   | | |     one bright part, the optic disc, or one dark one, the fovea, does not decide.
//!   +--\+---+---+/--+
//!   |  `|---|---|'  |
//!   +---+---+---+---+
//! ```

use super::Seen;
use super::field::Extent;

/// Light of one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// Pixels of the field of view at each level of green.
    histogram: [u32; 256],
    /// Sum of green and number of pixels that are no vessel, by part.
    parts: [(u64, u64); PARTS * PARTS],
    /// Pixels of a part that lies wholly in the field.
    full_part_px: u64,
}

impl Light {
    pub(super) fn of(green: &[u8], seen: Seen<'_>, extent: Extent) -> Self {
        let width = seen.mask_width;
        let mut histogram = [0; 256];
        let mut parts = [(0, 0); PARTS * PARTS];
        for y in 0..extent.height {
            let from = (extent.top + y) * width + extent.left;
            for across in 0..PARTS {
                let [start, end] =
                    [across, across + 1].map(|edge| from + edge * extent.width / PARTS);
                let (mut sum, mut count) = (0_u32, 0_u32);
                let pixels = green[start..end].iter().zip(&seen.field[start..end]);
                for ((&level, &inside), &p) in pixels.zip(&seen.probability[start..end]) {
                    histogram[usize::from(level)] += u32::from(inside != 0);
                    let beside = u32::from(inside != 0 && p < seen.threshold);
                    sum += u32::from(level) * beside;
                    count += beside;
                }
                let part = &mut parts[y * PARTS / extent.height * PARTS + across];
                part.0 += u64::from(sum);
                part.1 += u64::from(count);
            }
        }
        let full_part_px = (extent.width * extent.height / (PARTS * PARTS)) as u64;
        Self { histogram, parts, full_part_px }
    }

    /// The median, 0.0 to 1.0.
    pub(super) fn brightness(&self) -> f64 {
        let half = self.pixels() / 2;
        let mut seen = 0;
        let median = self.histogram.iter().position(|count| {
            seen += u64::from(*count);
            seen > half
        });
        median.unwrap_or_default() as f64 / 255.0
    }

    /// Share that is not white.
    pub(super) fn headroom(&self) -> f64 {
        let white: u64 = self.histogram[WHITE..].iter().map(|count| u64::from(*count)).sum();
        1.0 - white as f64 / self.pixels().max(1) as f64
    }

    /// None where vessels fill everything, or all is black.
    pub(super) fn evenness(&self) -> Option<f64> {
        let mut means = [0.0; PARTS * PARTS];
        let mut known = 0;
        for (sum, count) in self.parts {
            if count * 3 > self.full_part_px {
                means[known] = sum as f64 / count as f64;
                known += 1;
            }
        }
        let means = &mut means[..known];
        means.sort_unstable_by(f64::total_cmp);
        let quarter = known.div_ceil(4);
        let darkest: f64 = means[..quarter].iter().sum();
        let brightest: f64 = means[known - quarter..].iter().sum();
        (brightest > 0.0).then(|| darkest / brightest)
    }

    fn pixels(&self) -> u64 {
        self.histogram.iter().map(|count| u64::from(*count)).sum()
    }
}

/// Parts a side.
const PARTS: usize = 4;
/// From this level on: JPEG and averaging leave white a little below 255.
const WHITE: usize = 250;

#[cfg(test)]
mod tests {
    use super::*;

    /// A square of 80 pixels, all in the field, without a vessel.
    fn light(green: impl Fn(usize, usize) -> u8) -> Light {
        let green: Vec<u8> = (0..6400).map(|at| green(at % 80, at / 80)).collect();
        let (field, probability) = (vec![1; 6400], vec![0; 6400]);
        let seen = Seen {
            rgb: &[],
            width: 0,
            height: 0,
            probability: &probability,
            threshold: 128,
            field: &field,
            mask_width: 80,
            mask_height: 80,
        };
        Light::of(&green, seen, Extent::of(&field, 80).unwrap())
    }

    #[test]
    fn grey_is_even_and_half_as_bright_as_white() {
        let grey = light(|_, _| 128);
        assert_eq!((grey.brightness(), grey.headroom()), (128.0 / 255.0, 1.0));
        assert_eq!(grey.evenness(), Some(1.0));
        assert_eq!(light(|_, _| 0).evenness(), None);
    }

    #[test]
    fn white_has_no_headroom() {
        assert_eq!(light(|x, _| if x < 20 { 255 } else { 100 }).headroom(), 0.75);
        assert_eq!(light(|x, _| if x < 20 { 249 } else { 100 }).headroom(), 1.0);
    }

    #[test]
    fn the_darker_side_is_found_wherever_it_is() {
        let dark = |dark: bool| if dark { 60 } else { 120 };
        for uneven in [
            light(|x, _| dark(x < 20)),
            light(|x, _| dark(x >= 40)),
            light(|_, y| dark(y < 40)),
            light(|_, y| dark(y >= 60)),
        ] {
            assert_eq!(uneven.evenness(), Some(0.5));
        }
    }

    /// As the optic disc and the fovea do.
    #[test]
    fn one_bright_and_one_dark_part_count_for_a_quarter_of_theirs() {
        let spots = light(|x, y| match (x / 20, y / 20) {
            (0, 1) => 160,
            (2, 1) => 80,
            _ => 120,
        });
        assert_eq!(spots.evenness(), Some((80.0 + 3.0 * 120.0) / (160.0 + 3.0 * 120.0)));
    }
}
