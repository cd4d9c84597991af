//! Keeps a correction from swinging.
//!
//! A correction that goes back the way the last one came puts a guess right; once that may be. From the
//! second time on it is a swing, and each time the corrections become half as large, down to an eighth,
//! until all is quiet. So whatever was assumed wrongly about the sensor's response, a swing dies out.

/// How much of a correction is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Damping {
    share: f64,
    last: f64,
    turned: bool,
}

impl Default for Damping {
    fn default() -> Self {
        Self { share: 1.0, last: 0.0, turned: false }
    }
}

impl Damping {
    /// The part of `correction` to make.
    pub(super) fn damp(&mut self, correction: f64) -> f64 {
        if correction * self.last < 0.0 {
            if self.turned {
                self.share = (self.share / 2.0).max(SMALLEST_SHARE);
            }
            self.turned = true;
        }
        self.last = correction;
        correction * self.share
    }

    /// All is quiet: what comes next is another matter.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }
}

const SMALLEST_SHARE: f64 = 0.125;

#[cfg(test)]
mod tests {
    use super::Damping;

    #[test]
    fn each_turn_but_the_first_halves_and_rest_forgets() {
        let mut damping = Damping::default();
        let made = [2.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0].map(|wanted| damping.damp(wanted));
        assert_eq!(made, [2.0, -1.0, 0.5, 0.5, -0.25, 0.125, -0.125]);
        damping.rest();
        assert_eq!(damping.damp(-1.0), -1.0);
    }

    /// A loop that answers 2.9 times as strongly as assumed would swing ever wider.
    #[test]
    fn swing_dies_out_even_where_the_answer_is_far_too_strong() {
        let mut damping = Damping::default();
        let mut error = 1.0_f64;
        for _ in 0..40 {
            error -= 2.9 * damping.damp(error);
        }
        assert!(error.abs() < 1e-3, "{error}");
    }
}
