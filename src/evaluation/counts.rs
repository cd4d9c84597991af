//! Pixels by truth and answer, and the ratios made of them.

use std::iter::Sum;
use std::ops::Add;

/// Pixels by truth and answer; counts of several pictures add up to the pooled counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Vessel, and found.
    pub true_positive: u64,
    /// Background, and taken for a vessel.
    pub false_positive: u64,
    /// Vessel, and missed.
    pub false_negative: u64,
    /// Background, and left alone.
    pub true_negative: u64,
}

impl Counts {
    /// Of pairs (answer, truth).
    pub fn of(pixels: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (answer, truth) in pixels {
            *match (answer, truth) {
                (true, true) => &mut counts.true_positive,
                (true, false) => &mut counts.false_positive,
                (false, true) => &mut counts.false_negative,
                (false, false) => &mut counts.true_negative,
            } += 1;
        }
        counts
    }
    /// 2 TP / (2 TP + FP + FN); 0 where nothing was drawn by anybody.
    #[must_use]
    pub fn dice(&self) -> f64 {
        let Self { true_positive, false_positive, false_negative, .. } = *self;
        ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative)
    }
    /// Share of pixels that are right.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positive + self.true_negative;
        ratio(right, right + self.false_positive + self.false_negative)
    }
    /// Share of vessel pixels that were found.
    #[must_use]
    pub fn sensitivity(&self) -> f64 {
        ratio(self.true_positive, self.true_positive + self.false_negative)
    }
    /// Share of background pixels that were left alone.
    #[must_use]
    pub fn specificity(&self) -> f64 {
        ratio(self.true_negative, self.true_negative + self.false_positive)
    }
    /// Matthews' correlation, -1 to 1; unlike accuracy it is 0 for an empty answer.
    #[must_use]
    pub fn matthews(&self) -> f64 {
        let [tp, fp, fn_, tn] =
            [self.true_positive, self.false_positive, self.false_negative, self.true_negative]
                .map(|pixels| pixels as f64);
        let sides = (tp + fp) * (tp + fn_) * (tn + fp) * (tn + fn_);
        if sides == 0.0 { 0.0 } else { (tp * tn - fp * fn_) / sides.sqrt() }
    }
}

impl Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            true_positive: self.true_positive + other.true_positive,
            false_positive: self.false_positive + other.false_positive,
            false_negative: self.false_negative + other.false_negative,
            true_negative: self.true_negative + other.true_negative,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// 0 where there is nothing to divide.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 3 found, 1 invented, 2 missed, 4 left alone.
    #[test]
    fn ratios_of_ten_pixels() {
        let of = |answer, truth, times| std::iter::repeat_n((answer, truth), times);
        let counts = Counts::of(
            of(true, true, 3)
                .chain(of(true, false, 1))
                .chain(of(false, true, 2))
                .chain(of(false, false, 4)),
        );
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got}, want {want}");
        near(counts.dice(), 6.0 / 9.0);
        near(counts.accuracy(), 0.7);
        near(counts.sensitivity(), 0.6);
        near(counts.specificity(), 0.8);
        // (3*4 - 1*2) / sqrt(4 * 5 * 5 * 6)
        near(counts.matthews(), 10.0 / 600.0_f64.sqrt());
        assert_eq!([counts, counts].into_iter().sum::<Counts>().true_negative, 8);
    }

    #[test]
    fn nothing_to_divide_is_zero_and_no_nan() {
        let empty = Counts::of([(false, false)]);
        let all =
            [empty.dice(), empty.sensitivity(), empty.matthews(), Counts::default().accuracy()];
        assert_eq!(all, [0.0; 4]);
        assert_eq!(empty.accuracy(), 1.0);
    }
}
