//! How far vessels stand out of what lies beside them.
//!
//! ```text
//!            o            each vessel pixel x is compared with the four pixels o beside its vessel: those that the mask
//!            .            leaves out and the field holds. Both sides of a vessel are met, so that light that falls off to
//!   o . . x x x . . o     one side adds nothing.
//!            .
//!            o
//! ```

use super::Seen;

/// Mean difference over the noise of one pixel; negative where vessels are brighter than what lies beside them. None
/// without vessels.
pub(super) fn contrast(green: &[u8], seen: Seen<'_>, scale: f64) -> Option<f64> {
    let Seen { field, probability, threshold, mask_width: width, mask_height: height, .. } = seen;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 4, and far below 2^32"
    )]
    let beside = (BESIDE * scale).round() as usize;
    let background = |at: usize| field[at] != 0 && probability[at] < threshold;
    let (mut darker, mut pairs) = (0_i64, 0_i64);
    let (mut squares, mut neighbours) = (0_u64, 0_u64);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            if field[at] == 0 {
                continue;
            }
            let level = i64::from(green[at]);
            if probability[at] < threshold {
                if x + 1 < width && background(at + 1) {
                    squares += (level - i64::from(green[at + 1])).pow(2).unsigned_abs();
                    neighbours += 1;
                }
                continue;
            }
            let mut compare = |other: usize| {
                if background(other) {
                    darker += i64::from(green[other]) - level;
                    pairs += 1;
                }
            };
            if x >= beside {
                compare(at - beside);
            }
            if x + beside < width {
                compare(at + beside);
            }
            if y >= beside {
                compare(at - beside * width);
            }
            if y + beside < height {
                compare(at + beside * width);
            }
        }
    }
    if pairs == 0 || neighbours == 0 {
        return None;
    }
    // Half of it is either pixel's, and whole levels have a noise of 1/12 of their own.
    let noise = (squares as f64 / neighbours as f64 / 2.0 + 1.0 / 12.0).sqrt();
    Some(darker as f64 / pairs as f64 / noise)
}

/// Pixels to the background beside a vessel in a field of 306 across: the widest are 5 there.
const BESIDE: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// A vessel 3 wide down the middle of 60 x 60, in a slope of light and in a checkerboard of noise.
    fn of(deep: i32, slope: i32, noise: i32) -> Option<f64> {
        let level = |x: i32, y: i32| {
            let vessel = if (29..32).contains(&x) { deep } else { 0 };
            let noise = if (x + y) % 2 == 0 { noise } else { -noise };
            u8::try_from(100 - vessel + slope * (x - 30) + noise).unwrap()
        };
        let green: Vec<u8> = (0..3600).map(|at| level(at % 60, at / 60)).collect();
        let vessel = |at: usize| u8::from((29..32).contains(&(at % 60)));
        let probability: Vec<u8> =
            (0..3600).map(|at| if deep == 0 { 0 } else { vessel(at) * 255 }).collect();
        let seen = Seen {
            rgb: &[],
            width: 0,
            height: 0,
            probability: &probability,
            threshold: 128,
            field: &[1; 3600],
            mask_width: 60,
            mask_height: 60,
        };
        contrast(&green, seen, 1.0)
    }

    #[test]
    fn it_is_depth_over_noise() {
        // Neighbours differ by twice 6; half the square of that is 72.
        let wanted = 30.0 / (72.0_f64 + 1.0 / 12.0).sqrt();
        assert!((of(30, 0, 6).unwrap() - wanted).abs() < 0.05, "{:?}", of(30, 0, 6));
        assert!((of(-30, 0, 6).unwrap() + wanted).abs() < 0.05, "brighter vessels");
    }

    #[test]
    fn light_that_falls_off_to_one_side_adds_nothing() {
        let (even, sloping) = (of(30, 0, 6).unwrap(), of(30, 1, 6).unwrap());
        assert!((even - sloping).abs() < 0.05, "{even}, sloping {sloping}");
    }

    #[test]
    fn without_a_vessel_there_is_none() {
        assert_eq!(of(0, 0, 6), None);
    }
}
