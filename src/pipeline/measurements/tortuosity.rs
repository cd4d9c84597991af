//! How much a vessel winds: the length of its way over the distance of its ends, on a smoothed centreline.
//!
//! A chain of pixels is up to 8 % longer than the line that it follows (the staircase of an oblique line), so the
//! number is empty unless the chain is smoothed first. Each coordinate is fitted by a parabola over the 15 pixels
//! round a place (Savitzky and Golay, Analytical Chemistry 36(8), 1964), which keeps bends that an average would
//! straighten.

/// Fits, and the buffer of a smoothed path.
#[derive(Debug)]
pub(super) struct Tortuosity {
    /// Weights of the pixels from `-before` to `after`, by `before` and `after`.
    weights: Vec<Vec<f64>>,
    smooth: Vec<(f64, f64)>,
}

/// Of one path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Winding {
    /// Length of the way over the distance of its ends, 1.0 for a straight one.
    pub(super) ratio: f64,
    /// Length of the way in pixels.
    pub(super) arc_px: f64,
}

impl Default for Tortuosity {
    fn default() -> Self {
        let mut weights = Vec::with_capacity((REACH + 1) * (REACH + 1));
        for before in 0..=REACH {
            for after in 0..=REACH {
                weights.push(parabola(before, after));
            }
        }
        Self { weights, smooth: Vec::new() }
    }
}

impl Tortuosity {
    /// None for a path that is too short to say, or whose ends meet.
    pub(super) fn of(&mut self, path: &[(f64, f64)]) -> Option<Winding> {
        if path.len() < SHORTEST {
            return None;
        }
        self.smooth.clear();
        for at in 0..path.len() {
            let (before, after) = (at.min(REACH), (path.len() - 1 - at).min(REACH));
            let weights = &self.weights[before * (REACH + 1) + after];
            let mut place = (0.0, 0.0);
            for (weight, (x, y)) in weights.iter().zip(&path[at - before..=at + after]) {
                place.0 += weight * x;
                place.1 += weight * y;
            }
            self.smooth.push(place);
        }
        let distance = |from: (f64, f64), to: (f64, f64)| (to.0 - from.0).hypot(to.1 - from.1);
        let arc_px: f64 = self.smooth.windows(2).map(|pair| distance(pair[0], pair[1])).sum();
        let chord = distance(self.smooth[0], self.smooth[self.smooth.len() - 1]);
        (chord >= CLOSED).then(|| Winding { ratio: (arc_px / chord).max(1.0), arc_px })
    }
}

/// Weights that give the value at 0 of the parabola through values at `-before ..= after`, by least squares.
fn parabola(before: usize, after: usize) -> Vec<f64> {
    let places: Vec<f64> = (0..=before + after).map(|at| at as f64 - before as f64).collect();
    // Sums of powers of the places: the normal equations' matrix is [s0 s1 s2; s1 s2 s3; s2 s3 s4].
    let sum = |power: i32| places.iter().map(|place| place.powi(power)).sum::<f64>();
    let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4].map(sum);
    if places.len() < 3 {
        // Too few for a parabola.
        return places.iter().map(|&place| f64::from(u8::from(place == 0.0))).collect();
    }
    // First row of the inverse, by cofactors.
    let cofactors = [s2 * s4 - s3 * s3, s2 * s3 - s1 * s4, s1 * s3 - s2 * s2];
    let determinant = s0 * cofactors[0] + s1 * cofactors[1] + s2 * cofactors[2];
    let weight = |place: &f64| {
        (cofactors[0] + cofactors[1] * place + cofactors[2] * place * place) / determinant
    };
    places.iter().map(weight).collect()
}

/// Pixels to either side that a place is fitted to.
const REACH: usize = 7;
/// Pixels of a path below which its staircase says more than its bends.
const SHORTEST: usize = 15;
/// Distance of its ends, in pixels, below which a path is a ring.
const CLOSED: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parabolas_are_kept_and_weights_add_up_to_one() {
        for (before, after) in [(7, 7), (0, 7), (7, 0), (2, 7), (1, 1), (3, 0)] {
            let weights = parabola(before, after);
            let sum: f64 = weights.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{before} {after}: {sum}");
            let value = |place: f64| 3.0 - 2.0 * place + 0.25 * place * place;
            let fitted: f64 = weights
                .iter()
                .enumerate()
                .map(|(at, weight)| weight * value(at as f64 - before as f64))
                .sum();
            assert!((fitted - 3.0).abs() < 1e-9, "{before} {after}: {fitted}");
        }
    }

    #[test]
    fn staircase_of_a_straight_line_counts_for_nothing() {
        for slope in [0.0, 0.1, 0.33, 0.5, 0.77, 1.0] {
            let path: Vec<_> =
                (0..100).map(|x| (f64::from(x), (f64::from(x) * slope).round())).collect();
            let ratio = Tortuosity::default().of(&path).unwrap().ratio;
            assert!(ratio < 1.002, "slope {slope}: {ratio}");
        }
    }

    #[test]
    fn short_paths_and_rings_have_none() {
        let mut tortuosity = Tortuosity::default();
        assert_eq!(tortuosity.of(&[(0.0, 0.0); 14]), None);
        let ring: Vec<_> = (0..64)
            .map(|at| f64::from(at) / 64.0 * std::f64::consts::TAU)
            .map(|angle| (10.0 * angle.cos(), 10.0 * angle.sin()))
            .collect();
        assert_eq!(tortuosity.of(&ring), None);
    }
}
