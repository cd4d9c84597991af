//! How far a figure of a few pictures may be off.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Counts;

/// 95 % interval of the pooled Dice when the pictures are drawn again, with replacement. Pictures, not pixels: the
/// pixels of one eye are no independent witnesses. None without at least two pictures.
#[must_use]
pub fn interval_of_pooled_dice(pictures: &[Counts]) -> Option<(f64, f64)> {
    if pictures.len() < 2 {
        return None;
    }
    // The same on every machine and in every run.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut dice: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn = (0..pictures.len()).map(|_| pictures[rng.random_range(0..pictures.len())]);
            drawn.sum::<Counts>().dice()
        })
        .collect();
    dice.sort_by(f64::total_cmp);
    let outside = DRAWS / 40;
    Some((dice[outside], dice[DRAWS - 1 - outside]))
}

const DRAWS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(true_positive: u64) -> Counts {
        let missed = 100 - true_positive;
        Counts { true_positive, false_negative: missed, ..Counts::default() }
    }

    #[test]
    fn equal_pictures_leave_no_doubt_and_different_ones_do() {
        let (low, high) = interval_of_pooled_dice(&[counts(80); 8]).unwrap();
        assert_eq!((low, high), (counts(80).dice(), counts(80).dice()));
        let pictures = [70, 72, 75, 80, 81, 85, 88, 90].map(counts);
        let (low, high) = interval_of_pooled_dice(&pictures).unwrap();
        let pooled = pictures.into_iter().sum::<Counts>().dice();
        assert!(low < pooled && pooled < high, "{low} {pooled} {high}");
        assert!(counts(70).dice() < low && high < counts(90).dice(), "{low} to {high}");
    }

    #[test]
    fn one_picture_says_nothing_of_others() {
        assert_eq!(interval_of_pooled_dice(&[counts(80)]), None);
    }
}
