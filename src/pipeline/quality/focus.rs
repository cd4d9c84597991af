//! How sharp the picture is, whatever its brightness, contrast and noise.
//!
//! ```text
//!   g(x-s)  g(x)  g(x+s)  g(x+2s)         fine   = (g(x+s) - g(x-s)) * (g(x+2s) - g(x))
//!     |------|------|                     coarse = the same with 2s for s
//!            |------|------|
//! ```
//!
//! The two differences share no pixel, so noise that differs from pixel to pixel adds nothing to the mean of their
//! product; what remains is detail of about seven s. Defocus takes more from the fine detail than from the coarse, and
//! brightness and contrast as much from either: the ratio of both sums is the focus. Along rows and along columns, of which
//! the worse counts, and well inside the field, whose rim is an edge that stays.

/// `scale` is [`Extent::scale`](super::field::Extent::scale), at least 1. None where there is no coarse detail, or no room.
pub(super) fn focus(green: &[u8], field: &[u8], width: usize, scale: f64) -> Option<f64> {
    // Between two whole steps, both are taken by their share.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 1, and far below 2^32"
    )]
    let step = scale as usize;
    let share = scale.fract();
    let lower = ratio(green, field, width, step)?;
    if share < NEARLY_WHOLE {
        return Some(lower);
    }
    if share > 1.0 - NEARLY_WHOLE {
        return ratio(green, field, width, step + 1);
    }
    Some(lower + share * (ratio(green, field, width, step + 1)? - lower))
}

/// Of the worse direction: what moves during the exposure is smeared along one only.
fn ratio(green: &[u8], field: &[u8], width: usize, step: usize) -> Option<f64> {
    let across = across(green, field, width, step).ratio()?;
    Some(across.min(down(green, field, width, step).ratio()?))
}

/// Sums of products.
#[derive(Debug, Clone, Copy, Default)]
struct Detail {
    fine: i64,
    coarse: i64,
}

impl Detail {
    fn add(&mut self, other: Self) {
        self.fine += other.fine;
        self.coarse += other.coarse;
    }

    fn ratio(self) -> Option<f64> {
        (self.coarse > 0).then(|| (self.fine.max(0) as f64 / self.coarse as f64).min(1.0))
    }
}

fn across(green: &[u8], field: &[u8], width: usize, step: usize) -> Detail {
    let mut sum = Detail::default();
    let Some(len) = width.checked_sub(2 * MARGIN * step) else { return sum };
    for (green, field) in green.chunks_exact(width).zip(field.chunks_exact(width)) {
        let at = |steps: usize| &green[steps * step..][..len];
        let ends = [&field[..len], &field[2 * MARGIN * step..][..len]];
        sum.add(products([2, 1, 0, 3, 4, 6].map(|steps| at(MARGIN - 2 + steps)), ends));
    }
    sum
}

fn down(green: &[u8], field: &[u8], width: usize, step: usize) -> Detail {
    let mut sum = Detail::default();
    let rows = green.len().checked_div(width).unwrap_or_default();
    for y in MARGIN * step..rows.saturating_sub(MARGIN * step) {
        let at = |steps: usize| &green[(y + steps * step - 2 * step) * width..][..width];
        let end = |y: usize| &field[y * width..][..width];
        let ends = [end(y - MARGIN * step), end(y + MARGIN * step)];
        sum.add(products([2, 1, 0, 3, 4, 6].map(at), ends));
    }
    sum
}

/// Green at 0, -1, -2, 1, 2 and 4 steps, and the field at both margins.
fn products(at: [&[u8]; 6], ends: [&[u8]; 2]) -> Detail {
    let [here, back, far_back, on, on_two, on_four] = at;
    let mut sum = Detail::default();
    // A product is below 2^16, so that a piece of 2^14 fits into 31 bits.
    for start in (0..here.len()).step_by(PIECE) {
        let end = (start + PIECE).min(here.len());
        let [here, back, far_back, on, on_two, on_four] =
            [here, back, far_back, on, on_two, on_four].map(|row| &row[start..end]);
        let [first, last] = ends.map(|row| &row[start..end]);
        let (mut fine, mut coarse) = (0_i32, 0_i32);
        for i in 0..end - start {
            let level = |row: &[u8]| i32::from(row[i]);
            let inside = i32::from((first[i] != 0) & (last[i] != 0));
            fine += inside * (level(on) - level(back)) * (level(on_two) - level(here));
            coarse += inside * (level(on_two) - level(far_back)) * (level(on_four) - level(here));
        }
        sum.fine += i64::from(fine);
        sum.coarse += i64::from(coarse);
    }
    sum
}

/// Steps between a place and where the field must still be, both ways.
const MARGIN: usize = 8;
const PIECE: usize = 1 << 14;
/// A share of a step that is not worth a second pass.
const NEARLY_WHOLE: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 200;

    /// Lines of all widths and both directions, of some contrast, `blurred` so many times by three pixels each way.
    fn lines(contrast: f64, blurred: usize, noise: i32) -> Vec<u8> {
        let line = |at: usize| f64::from(u8::from(at % 31 < 3)) + f64::from(u8::from(at % 47 < 7));
        let mut plane: Vec<f64> = (0..SIDE * SIDE)
            .map(|at| 150.0 - contrast * (line(at % SIDE) + line(at / SIDE)))
            .collect();
        for _ in 0..blurred {
            for step in [1, SIDE] {
                let before = plane.clone();
                for at in step..plane.len() - step {
                    plane[at] = (before[at - step] + before[at] + before[at + step]) / 3.0;
                }
            }
        }
        let mut state = 1_u32;
        let mut noisy = |level: f64| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = if noise == 0 { 0 } else { (state >> 16) as i32 % (2 * noise + 1) - noise };
            to_byte(level.round() + f64::from(noise))
        };
        plane.into_iter().map(&mut noisy).collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value is brought into range first"
    )]
    fn to_byte(level: f64) -> u8 {
        level.clamp(0.0, 255.0) as u8
    }

    fn of(plane: &[u8]) -> f64 {
        focus(plane, &vec![1; plane.len()], SIDE, 1.0).unwrap()
    }

    #[test]
    fn every_blur_lowers_it() {
        let blurred = [0, 1, 2, 4, 8].map(|blurred| of(&lines(20.0, blurred, 0)));
        assert!(blurred.is_sorted_by(|sharper, softer| sharper > &(softer + 0.02)), "{blurred:?}");
    }

    #[test]
    fn contrast_brightness_and_noise_do_not_change_it() {
        let sharp = of(&lines(20.0, 1, 0));
        // Whole levels of a weak line are not quite its shape.
        let weak = of(&lines(10.0, 1, 0));
        assert!((weak - sharp).abs() < 0.03, "{weak}, of twice the contrast {sharp}");
        let darker: Vec<u8> = lines(20.0, 1, 0).iter().map(|level| level - 40).collect();
        assert_eq!(of(&darker), sharp);
        let noisy = of(&lines(20.0, 1, 15));
        assert!((noisy - sharp).abs() < 0.03, "{noisy}, without noise {sharp}");
    }

    #[test]
    fn the_rim_of_the_field_is_no_detail() {
        let disc = |at: usize| (at % SIDE).abs_diff(100).pow(2) + (at / SIDE).abs_diff(100).pow(2);
        let field: Vec<u8> = (0..SIDE * SIDE).map(|at| u8::from(disc(at) < 8100)).collect();
        let lit = |plane: &[u8]| -> Vec<u8> {
            plane.iter().zip(&field).map(|(level, inside)| level * inside).collect()
        };
        let [sharp, soft] =
            [0, 8].map(|blurred| focus(&lit(&lines(20.0, blurred, 0)), &field, SIDE, 1.0).unwrap());
        assert!((soft - of(&lines(20.0, 8, 0))).abs() < 0.05, "{soft}");
        assert!(soft < sharp - 0.2, "{soft}, sharp {sharp}");
    }

    #[test]
    fn nothing_can_be_said_of_grey_or_of_a_field_without_room() {
        assert_eq!(focus(&[90; 40_000], &[1; 40_000], SIDE, 1.0), None);
        assert_eq!(focus(&[90; 9], &[1; 9], 3, 1.0), None);
        assert_eq!(focus(&[], &[], 0, 1.0), None);
    }
}
