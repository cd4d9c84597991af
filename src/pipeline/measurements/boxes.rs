//! Box counting: how the number of boxes that a set touches grows as they shrink.
//!
//! ```text
//!   boxes of 2, 4, 8, ... 256 pixels, the first at the upper left corner
//!   D0 = - slope of log N(s) over log s, by least squares
//! ```
//!
//! A line has 1, a filled area 2; the vessels of a retina lie between. The number depends on the size of the picture
//! in pixels: only those of one size can be compared.

/// Marks of the boxes; nothing is allocated once they have grown.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    marks: Vec<u8>,
    coarser: Vec<u8>,
}

impl Boxes {
    /// None where nothing is set, or the picture is smaller than two boxes of different sizes.
    pub(super) fn dimension(&mut self, set: &[u8], width: usize) -> Option<f64> {
        let height = set.len() / width.max(1);
        let mut points = [(0.0, 0.0); SIZES.len()];
        let mut used = 0;
        // Boxes of 2 from pixels, all others from the four boxes that they are made of.
        let (mut columns, mut rows) = (width, height);
        self.marks.clear();
        self.marks.extend(set[..width * height].iter().map(|&pixel| u8::from(pixel != 0)));
        for size in SIZES {
            let (wide, high) = (columns.div_ceil(2), rows.div_ceil(2));
            self.coarser.clear();
            for pair in self.marks.chunks(2 * columns.max(1)) {
                let (upper, lower) = pair.split_at(columns);
                // The last row has none below it where their number is odd.
                let lower = if lower.is_empty() { upper } else { lower };
                let (uppers, upper_last) = upper.as_chunks::<2>();
                let (lowers, lower_last) = lower.as_chunks::<2>();
                let boxes = uppers.iter().zip(lowers);
                self.coarser.extend(boxes.map(|(up, low)| up[0] | up[1] | low[0] | low[1]));
                self.coarser.extend(upper_last.iter().zip(lower_last).map(|(up, low)| up | low));
            }
            std::mem::swap(&mut self.marks, &mut self.coarser);
            let touched: u32 = self.marks.iter().map(|&mark| u32::from(mark)).sum();
            (columns, rows) = (wide, high);
            if touched == 0 {
                return None;
            }
            // A size that the picture does not hold says nothing.
            if size <= width.max(height) {
                points[used] = (
                    f64::from(u32::try_from(size).unwrap_or(u32::MAX)).ln(),
                    f64::from(touched).ln(),
                );
                used += 1;
            }
        }
        (used >= 2).then(|| -slope(&points[..used]))
    }
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}

/// Sides in pixels.
const SIZES: [usize; 8] = [2, 4, 8, 16, 32, 64, 128, 256];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_one_and_area_two() {
        let side = 512;
        let line: Vec<u8> = (0..side * side).map(|at| u8::from(at / side == 100)).collect();
        let area = vec![1; side * side];
        let of = |set: &[u8]| Boxes::default().dimension(set, side).unwrap();
        assert!((of(&line) - 1.0).abs() < 1e-9, "{}", of(&line));
        assert!((of(&area) - 2.0).abs() < 1e-9, "{}", of(&area));
    }

    #[test]
    fn boxes_are_counted_as_they_are_when_counted_one_by_one() {
        let (width, height) = (37, 29);
        let set: Vec<u8> =
            (0..width * height).map(|at| u8::from((at * at * 7 + at) % 23 == 0)).collect();
        let mut points = Vec::new();
        for size in SIZES.into_iter().filter(|size| *size <= width) {
            let mut touched = std::collections::BTreeSet::new();
            for at in (0..set.len()).filter(|&at| set[at] != 0) {
                touched.insert((at % width / size, at / width / size));
            }
            points.push(((size as f64).ln(), (touched.len() as f64).ln()));
        }
        let found = Boxes::default().dimension(&set, width).unwrap();
        assert!((found + slope(&points)).abs() < 1e-12);
    }

    #[test]
    fn nothing_has_none() {
        assert_eq!(Boxes::default().dimension(&[0; 64], 8), None);
        assert_eq!(Boxes::default().dimension(&[], 8), None);
        assert_eq!(Boxes::default().dimension(&[], 0), None);
        assert_eq!(Boxes::default().dimension(&[1], 1), None);
    }
}
