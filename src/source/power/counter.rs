//! An energy counter that wraps, made into a total that does not.
//!
//! ```text
//!   raw      ... 990  997 |   4   11 ...      at 1000 it begins at 0 again
//!   total    ...  90   97 | 104  111 ...
//! ```
//!
//! A counter that goes back has wrapped, or begun anew, or told a lie once. It has wrapped if the energy that
//! this means could have been drawn in the time; else the next reading tells: one that goes on from there
//! confirms a new beginning.

use std::time::Duration;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct EnergyCounter {
    /// Where it wraps; none for one that does not in years.
    range_microjoules: Option<u64>,
    most_watts: f64,
    last: Option<u64>,
    /// A value further back than a wrap explains, seen at the reading before.
    back_at: Option<u64>,
    total_microjoules: u64,
}

/// What one reading says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Advance {
    /// The first; there is nothing to compare it with.
    First,
    /// So much since the reading before.
    By { microjoules: u64 },
    /// It cannot be true; so much it would be.
    Absurd { watts: f64 },
    /// It has begun anew, and what was drawn meanwhile is lost.
    Restarted,
}

impl EnergyCounter {
    pub(super) fn new(range_microjoules: Option<u64>, most_watts: f64) -> Self {
        Self {
            // A range of 0 is none.
            range_microjoules: range_microjoules.filter(|range| *range > 0),
            most_watts,
            last: None,
            back_at: None,
            total_microjoules: 0,
        }
    }

    /// Since the first reading, without what was lost.
    pub(super) fn total_joules(&self) -> f64 {
        self.total_microjoules as f64 / 1e6
    }

    /// `elapsed` is the time since the last reading that was taken.
    pub(super) fn advance(&mut self, raw: u64, elapsed: Duration) -> Advance {
        let Some(last) = self.last else {
            self.last = Some(raw);
            return Advance::First;
        };
        let watts = |microjoules: u64| microjoules as f64 / 1e6 / elapsed.as_secs_f64();
        let by = if raw >= last {
            Some(raw - last)
        } else {
            self.range_microjoules
                .filter(|range| last <= *range)
                .map(|range| range - last + raw)
                .filter(|by| watts(*by) <= self.most_watts)
        };
        let Some(by) = by else {
            if self.back_at.replace(raw).is_some_and(|before| raw >= before) {
                self.back_at = None;
                self.last = Some(raw);
                return Advance::Restarted;
            }
            return Advance::Absurd { watts: -watts(last - raw) };
        };
        if by > 0 && watts(by) > self.most_watts {
            return Advance::Absurd { watts: watts(by) };
        }
        self.back_at = None;
        self.last = Some(raw);
        self.total_microjoules = self.total_microjoules.saturating_add(by);
        Advance::By { microjoules: by }
    }
}

#[cfg(test)]
mod tests {
    use super::{Advance, EnergyCounter};
    use proptest::prelude::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_wrap_goes_on_where_it_was() {
        let mut counter = EnergyCounter::new(Some(1_000_000), 2.0);
        assert_eq!(counter.advance(900_000, SECOND), Advance::First);
        assert_eq!(counter.advance(990_000, SECOND), Advance::By { microjoules: 90_000 });
        assert_eq!(counter.advance(5_000, SECOND), Advance::By { microjoules: 15_000 });
        assert_eq!(counter.advance(5_000, SECOND), Advance::By { microjoules: 0 });
        assert!((counter.total_joules() - 0.105).abs() < 1e-12);
    }

    #[test]
    fn one_lie_is_passed_over() {
        let mut counter = EnergyCounter::new(None, 2.0);
        counter.advance(500_000, SECOND);
        assert_eq!(counter.advance(9_500_000, SECOND), Advance::Absurd { watts: 9.0 });
        assert_eq!(counter.advance(0, SECOND), Advance::Absurd { watts: -0.5 });
        assert_eq!(counter.advance(600_000, 3 * SECOND), Advance::By { microjoules: 100_000 });
        assert_eq!(counter.advance(0, SECOND), Advance::Absurd { watts: -0.6 });
    }

    #[test]
    fn one_that_goes_on_from_lower_has_begun_anew() {
        let mut counter = EnergyCounter::new(Some(262_143_328_850), 100.0);
        counter.advance(500_000_000, SECOND);
        assert!(matches!(counter.advance(7, SECOND), Advance::Absurd { .. }));
        assert_eq!(counter.advance(1_000_007, 2 * SECOND), Advance::Restarted);
        assert_eq!(counter.advance(2_000_007, SECOND), Advance::By { microjoules: 1_000_000 });
    }

    proptest! {
        #[test]
        fn a_total_is_the_sum_however_often_it_wraps(
            range in 1_000_000_u64..5_000_000,
            start in 0_u64..1_000_000,
            steps in prop::collection::vec(0_u64..900_000, 1..200),
        ) {
            let mut counter = EnergyCounter::new(Some(range), 1.0);
            let mut raw = start;
            counter.advance(raw, SECOND);
            for step in &steps {
                raw = (raw + step) % range;
                prop_assert_eq!(
                    counter.advance(raw, SECOND),
                    Advance::By { microjoules: *step }
                );
            }
            let sum: u64 = steps.iter().sum();
            prop_assert!((counter.total_joules() - sum as f64 / 1e6).abs() < 1e-9);
        }

        #[test]
        fn nothing_that_a_file_may_hold_makes_it_panic_or_go_back(
            range in prop::option::of(any::<u64>()),
            raws in prop::collection::vec(any::<u64>(), 0..50),
            millis in 0_u64..10_000,
        ) {
            let mut counter = EnergyCounter::new(range, 5.0);
            let mut before = 0.0;
            for raw in raws {
                counter.advance(raw, Duration::from_millis(millis));
                prop_assert!(counter.total_joules() >= before);
                before = counter.total_joules();
            }
        }
    }
}
