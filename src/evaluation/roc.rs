//! The area under the ROC curve.

/// Chance that a vessel pixel scores above a background pixel; equal scores count one half. The half matters: an
/// 8-bit network has at most 256 different scores before they are resized. 0.5 where there is only one kind of
/// pixel. Sorts `pixels`, pairs (score, truth).
pub fn area_under_roc(pixels: &mut [(f32, bool)]) -> f64 {
    pixels.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
    let mut below = 0_u64;
    let mut vessels = 0_u64;
    // Twice the number of pairs that are in order, so that it stays whole.
    let mut twice = 0_u128;
    for equal in pixels.chunk_by(|(one, _), (other, _)| one == other) {
        let vessel = equal.iter().filter(|(_, truth)| *truth).count() as u64;
        let background = equal.len() as u64 - vessel;
        twice += u128::from(vessel) * u128::from(2 * below + background);
        below += background;
        vessels += vessel;
    }
    let pairs = u128::from(vessels) * u128::from(below);
    if pairs == 0 { 0.5 } else { twice as f64 / (2 * pairs) as f64 }
}

/// The threshold with the best pooled Dice: a pixel is a vessel where its score is at least that. None where there
/// is no vessel. Sorts `pixels`, pairs (score, truth).
pub fn best_threshold(pixels: &mut [(f32, bool)]) -> Option<f32> {
    pixels.sort_unstable_by(|(one, _), (other, _)| other.total_cmp(one));
    let vessels = pixels.iter().filter(|(_, truth)| *truth).count() as u64;
    let mut found = 0_u64;
    let mut marked = 0_u64;
    let mut best = None;
    for equal in pixels.chunk_by(|(one, _), (other, _)| one == other) {
        marked += equal.len() as u64;
        found += equal.iter().filter(|(_, truth)| *truth).count() as u64;
        let dice = 2.0 * found as f64 / (marked + vessels) as f64;
        if best.is_none_or(|(best, _)| dice > best) {
            best = Some((dice, equal[0].0));
        }
    }
    best.filter(|_| vessels > 0).map(|(_, threshold)| threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_pairs_in_order_and_half_of_equal_ones() {
        // Vessels 0.9 and 0.5, background 0.5 and 0.1: in order 1, 1, 1, and one tie.
        let mut pixels = [(0.5, false), (0.9, true), (0.1, false), (0.5, true)];
        assert_eq!(area_under_roc(&mut pixels), 3.5 / 4.0);
        assert_eq!(area_under_roc(&mut [(0.3, true), (0.3, false), (0.3, false)]), 0.5);
        assert_eq!(area_under_roc(&mut [(0.1, true), (0.3, false)]), 0.0);
        assert_eq!(area_under_roc(&mut [(0.1, true)]), 0.5);
    }

    #[test]
    fn best_threshold_leaves_what_costs_more_than_it_finds() {
        let mut pixels = [(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.2, false)];
        // Dice at 0.9, 0.8, 0.7, 0.6, 0.2: 2/4, 4/5, 4/6, 6/7, 6/8.
        assert_eq!(best_threshold(&mut pixels), Some(0.6));
        assert_eq!(best_threshold(&mut [(0.9, false)]), None);
    }

    /// The slow, obvious definition.
    #[test]
    fn equals_the_comparison_of_every_pair() {
        let mut pixels: Vec<(f32, bool)> =
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
        assert!((area_under_roc(&mut pixels) - won / pairs).abs() < 1e-12);
    }
}
