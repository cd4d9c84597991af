//! What the mask itself says: whether it moves, and whether it is as large as a retina's.

use super::Seen;

/// The mask of the frame before.
#[derive(Debug, Default)]
pub(super) struct Before {
    mask: Vec<bool>,
    width: usize,
    threshold: u8,
}

/// A mask against the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Compared {
    /// Intersection over union within the field; none for the first, for one of another size or threshold, and between
    /// two without vessels.
    pub(super) stillness: Option<f64>,
    /// Vessel pixels within the field.
    pub(super) vessel_px: usize,
}

impl Before {
    /// Its buffer is used again.
    pub(super) fn forget(&mut self) {
        self.mask.clear();
    }

    pub(super) fn compare(&mut self, seen: Seen<'_>) -> Compared {
        let Seen { probability, threshold, field, mask_width, .. } = seen;
        let same = (self.mask.len(), self.width, self.threshold)
            == (probability.len(), mask_width, threshold);
        (self.width, self.threshold) = (mask_width, threshold);
        self.mask.resize(probability.len(), false);
        let (mut both, mut either, mut vessel_px) = (0_usize, 0_usize, 0_usize);
        for ((before, &p), &inside) in self.mask.iter_mut().zip(probability).zip(field) {
            let now = p >= threshold && inside != 0;
            both += usize::from(now & *before);
            either += usize::from(now | *before);
            vessel_px += usize::from(now);
            *before = now;
        }
        let stillness = (same && either > 0).then(|| both as f64 / either as f64);
        Compared { stillness, vessel_px }
    }
}

/// 1.0 at the usual share of vessels, half of it at half or twice as many.
pub(super) fn plausibility(vessel_px: usize, field_px: usize) -> f64 {
    let over_usual = vessel_px as f64 / field_px as f64 / USUAL_DENSITY;
    if over_usual > 1.0 { 1.0 / over_usual } else { over_usual }
}

/// Mean of what two observers drew in the 28 pictures of CHASE_DB1.
const USUAL_DENSITY: f64 = 0.10;

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(before: &mut Before, probability: &[u8], threshold: u8) -> Compared {
        let field = vec![1; probability.len()];
        before.compare(Seen {
            rgb: &[],
            width: 0,
            height: 0,
            probability,
            threshold,
            field: &field,
            mask_width: probability.len(),
            mask_height: 1,
        })
    }

    #[test]
    fn a_mask_is_compared_with_the_one_before() {
        let mut before = Before::default();
        assert_eq!(compare(&mut before, &[200, 200, 0, 0], 128).stillness, None);
        assert_eq!(compare(&mut before, &[200, 200, 0, 0], 128).stillness, Some(1.0));
        let moved = compare(&mut before, &[0, 200, 200, 0], 128);
        assert_eq!((moved.stillness, moved.vessel_px), (Some(1.0 / 3.0), 2));
        assert_eq!(compare(&mut before, &[0, 200, 200, 0], 100).stillness, None, "threshold");
        assert_eq!(compare(&mut before, &[0; 4], 100).stillness, Some(0.0));
        assert_eq!(compare(&mut before, &[0; 4], 100).stillness, None, "nothing to compare");
        assert_eq!(compare(&mut before, &[0; 5], 100).stillness, None, "another size");
        assert_eq!(compare(&mut before, &[200; 5], 100).stillness, Some(0.0));
        before.forget();
        assert_eq!(compare(&mut before, &[200; 5], 100).stillness, None, "forgotten");
    }

    #[test]
    fn half_and_twice_the_usual_share_are_alike() {
        assert_eq!(plausibility(100, 1000), 1.0);
        assert_eq!(plausibility(50, 1000), 0.5);
        assert_eq!(plausibility(200, 1000), 0.5);
        assert_eq!(plausibility(0, 1000), 0.0);
    }
}
