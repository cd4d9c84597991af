//! Scores of vessel and background pixels, and what all thresholds together say of them.
//!
//! Scores are counted in steps and not kept one by one: a folder may hold any number of pictures. A step is the score
//! to 11 bits of its mantissa, so that scores far below 1 % still differ: rounded to equal parts of 1, the
//! background of a strange picture became one tie, and its area 0.74 where it is 0.71.

use std::iter::Sum;

use super::Counts;

/// How many pixels of each kind have which score; those of several pictures add up to the pooled ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scores {
    /// Only those that occur, from the lowest.
    steps: Vec<Step>,
}

/// Pixels with one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    at: usize,
    vessel: u64,
    background: u64,
}

impl Scores {
    /// Of pairs (score, truth); scores beyond 0.0 to 1.0 count as the nearer end.
    pub fn of(pixels: impl IntoIterator<Item = (f32, bool)>) -> Self {
        let mut all = Dense::new();
        for (score, truth) in pixels {
            let at = step(score);
            all.add(Step { at, vessel: truth.into(), background: (!truth).into() });
        }
        all.scores()
    }

    /// A pixel is a vessel where its score is at least `threshold`.
    #[must_use]
    pub fn counts_at(&self, threshold: f32) -> Counts {
        let mut counts = Counts::default();
        for &Step { at, vessel, background } in &self.steps {
            if at >= step(threshold) {
                counts.true_positive += vessel;
                counts.false_positive += background;
            } else {
                counts.false_negative += vessel;
                counts.true_negative += background;
            }
        }
        counts
    }

    /// Chance that a vessel pixel scores above a background pixel; equal scores count one half. 0.5 where there is
    /// only one kind of pixel.
    #[must_use]
    pub fn area_under_roc(&self) -> f64 {
        let mut below = 0_u64;
        // Twice the number of pairs that are in order, so that it stays whole.
        let mut twice = 0_u128;
        for &Step { vessel, background, .. } in &self.steps {
            twice += u128::from(vessel) * u128::from(2 * below + background);
            below += background;
        }
        let pairs = u128::from(self.vessels()) * u128::from(below);
        if pairs == 0 { 0.5 } else { twice as f64 / (2 * pairs) as f64 }
    }

    /// The threshold with the best pooled Dice. None where there is no vessel.
    #[must_use]
    pub fn best_threshold(&self) -> Option<f32> {
        let vessels = self.vessels();
        let (mut found, mut marked) = (0_u64, 0_u64);
        let mut best: Option<(f64, usize)> = None;
        for &Step { at, vessel, background } in self.steps.iter().rev() {
            found += vessel;
            marked += vessel + background;
            let dice = 2.0 * found as f64 / (marked + vessels) as f64;
            if best.is_none_or(|(best, _)| dice > best) {
                best = Some((dice, at));
            }
        }
        best.filter(|_| vessels > 0).map(|(_, at)| least_of(at))
    }

    fn vessels(&self) -> u64 {
        self.steps.iter().map(|step| step.vessel).sum()
    }
}

impl<'a> Sum<&'a Self> for Scores {
    fn sum<I: Iterator<Item = &'a Self>>(scores: I) -> Self {
        let mut all = Dense::new();
        scores.flat_map(|scores| &scores.steps).for_each(|step| all.add(*step));
        all.scores()
    }
}

/// Every step, while they are counted.
struct Dense(Vec<(u64, u64)>);

impl Dense {
    fn new() -> Self {
        Self(vec![(0, 0); step(1.0) + 1])
    }
    fn add(&mut self, Step { at, vessel, background }: Step) {
        self.0[at].0 += vessel;
        self.0[at].1 += background;
    }
    fn scores(&self) -> Scores {
        let all = self.0.iter().enumerate();
        let steps = all.map(|(at, &(vessel, background))| Step { at, vessel, background });
        Scores { steps: steps.filter(|step| step.vessel + step.background > 0).collect() }
    }
}

/// Of a score; the bits of positive numbers are in their order.
fn step(score: f32) -> usize {
    // What is no number is no vessel.
    let within = if score > 0.0 { score.min(1.0) } else { 0.0 };
    (within.to_bits() >> DROPPED_BITS) as usize
}

/// The lowest score of a step.
fn least_of(at: usize) -> f32 {
    f32::from_bits(u32::try_from(at).expect("it was made of 20 bits") << DROPPED_BITS)
}

const DROPPED_BITS: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_pairs_in_order_and_half_of_equal_ones() {
        // Vessels 0.9 and 0.5, background 0.5 and 0.1: in order 1, 1, 1, and one tie.
        let scores = Scores::of([(0.5, false), (0.9, true), (0.1, false), (0.5, true)]);
        assert_eq!(scores.area_under_roc(), 3.5 / 4.0);
        let of = |pixels: &[(f32, bool)]| Scores::of(pixels.iter().copied()).area_under_roc();
        assert_eq!(of(&[(0.3, true), (0.3, false), (0.3, false)]), 0.5);
        assert_eq!(of(&[(0.1, true), (0.3, false)]), 0.0);
        assert_eq!(of(&[(0.1, true)]), 0.5);
    }

    #[test]
    fn best_threshold_leaves_what_costs_more_than_it_finds() {
        let pixels = [(0.9, true), (0.75, true), (0.7, false), (0.5, true), (0.25, false)];
        // Dice at 0.9, 0.75, 0.7, 0.5, 0.25: 2/4, 4/5, 4/6, 6/7, 6/8.
        assert_eq!(Scores::of(pixels).best_threshold(), Some(0.5));
        assert_eq!(Scores::of([(0.9, false)]).best_threshold(), None);
    }

    #[test]
    fn counts_at_a_threshold_are_those_of_the_comparison() {
        let pixels = [(0.5, true), (0.499_9, true), (1.0, false), (0.0, false), (7.0, true)];
        let compared = Counts::of(pixels.map(|(score, truth)| (score >= 0.5, truth)));
        assert_eq!(Scores::of(pixels).counts_at(0.5), compared);
        let twice: Scores = [Scores::of(pixels), Scores::of(pixels)].iter().sum();
        assert_eq!(twice.counts_at(0.5), compared + compared);
    }

    #[test]
    fn small_scores_are_not_thrown_together() {
        let scores = Scores::of([(1e-12, true), (1e-13, false), (f32::NAN, false), (-3.0, false)]);
        assert_eq!(scores.area_under_roc(), 1.0);
    }

    /// The slow, obvious definition.
    #[test]
    fn equals_the_comparison_of_every_pair() {
        let pixels: Vec<(f32, bool)> =
            (0..200_u16).map(|i| (f32::from(i * 37 % 23) / 23.0, (i * 11 % 7) < 2)).collect();
        let (mut won, mut pairs) = (0.0, 0.0);
        for (vessel, _) in pixels.iter().filter(|(_, truth)| *truth) {
            for (background, _) in pixels.iter().filter(|(_, truth)| !truth) {
                won += match vessel.total_cmp(background) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
                pairs += 1.0;
            }
        }
        assert!((Scores::of(pixels).area_under_roc() - won / pairs).abs() < 1e-12);
    }
}
