//! How large the field of view is, and how much of a disc.
//!
//! ```text
//!   +-------------+      +-------------+      roundness = area / (pi / 4 * longer side of the box round it, squared)
//!   |    .---.    |      |----.        |
//!   |   (     )   |      |     )       |      whole disc: 1        half a disc: 0.5
//!   |    `---'    |      |----'        |      whole frame: more than 1, so 1
//!   +-------------+      +-------------+
//! ```

/// Where the field of view lies, in pixels of the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) pixels: usize,
    pub(super) left: usize,
    pub(super) top: usize,
    /// Both at least 1.
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Extent {
    /// None where nothing is inside.
    pub(super) fn of(field: &[u8], width: usize) -> Option<Self> {
        let (mut pixels, mut left, mut right) = (0, usize::MAX, 0);
        let (mut top, mut bottom) = (usize::MAX, 0);
        for (y, row) in field.chunks_exact(width.max(1)).enumerate() {
            let Some(first) = row.iter().position(|inside| *inside != 0) else { continue };
            let last = row.iter().rposition(|inside| *inside != 0).unwrap_or(first);
            pixels += row[first..=last].iter().filter(|inside| **inside != 0).count();
            (left, right) = (left.min(first), right.max(last));
            (top, bottom) = (top.min(y), y);
        }
        (pixels > 0).then(|| Self {
            pixels,
            left,
            top,
            width: right - left + 1,
            height: bottom - top + 1,
        })
    }

    /// Share of a picture of so many pixels.
    pub(super) fn size(self, picture_px: usize) -> f64 {
        self.pixels as f64 / picture_px as f64
    }

    pub(super) fn roundness(self) -> f64 {
        let across = self.width.max(self.height) as f64;
        (self.pixels as f64 / (std::f64::consts::FRAC_PI_4 * across * across)).min(1.0)
    }

    /// How many of our pixels are one of a field of [`UNIT`] pixels across, at least 1: lengths follow the eye, not the
    /// network's size.
    pub(super) fn scale(self) -> f64 {
        let across = 2.0 * (self.pixels as f64 / std::f64::consts::PI).sqrt();
        (across / UNIT).max(1.0)
    }
}

/// The field of CHASE_DB1 in a network of 320 x 320.
const UNIT: f64 = 306.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(width: usize, height: usize, inside: impl Fn(f64, f64) -> bool) -> Option<Extent> {
        let pixels = (0..width * height).map(|at| ((at % width) as f64, (at / width) as f64));
        let field: Vec<u8> = pixels.map(|(x, y)| u8::from(inside(x, y))).collect();
        Extent::of(&field, width)
    }

    #[test]
    fn a_disc_is_round_and_half_of_it_is_half() {
        let disc = |x: f64, y: f64| (x - 150.0).hypot(y - 100.0) <= 80.0;
        let whole = extent(300, 200, disc).unwrap();
        assert_eq!((whole.left, whole.top, whole.width, whole.height), (70, 20, 161, 161));
        assert!((whole.roundness() - 1.0).abs() < 0.02, "{}", whole.roundness());
        let half = extent(300, 200, |x, y| disc(x, y) && x >= 150.0).unwrap();
        assert!((half.roundness() - 0.5).abs() < 0.02, "{}", half.roundness());
        assert!((half.size(300 * 200) * 300.0 * 200.0 / half.pixels as f64 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_full_frame_is_whole_and_an_empty_one_is_nothing() {
        let full = extent(64, 64, |_, _| true).unwrap();
        assert_eq!((full.roundness(), full.size(64 * 64), full.scale()), (1.0, 1.0, 1.0));
        assert_eq!(extent(64, 64, |_, _| false), None);
        assert_eq!(Extent::of(&[], 0), None);
    }
}
