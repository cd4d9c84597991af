//! How wide a vessel is at a place of its centreline: twice the distance to the nearest pixel outside of it.

/// Width in pixels of the vessel at each place (column, row); `mask` is row-major, non-zero is vessel, and what lies
/// outside of the picture is not. Half a pixel is what a whole number of pixels leaves open: a line 3 pixels wide has its
/// centreline 2 from the nearest pixel outside, one 4 pixels wide too.
pub(super) fn at(mask: &[u8], width: usize, place: (usize, usize)) -> f32 {
    let height = mask.len() / width.max(1);
    let outside = |dx: isize, dy: isize| {
        let column = place.0.checked_add_signed(dx).filter(|column| *column < width);
        let row = place.1.checked_add_signed(dy).filter(|row| *row < height);
        column.zip(row).is_none_or(|(column, row)| mask[row * width + column] == 0)
    };
    let mut nearest = isize::MAX;
    for reach in 1..=WIDEST {
        // Nothing on this square or beyond it is nearer.
        if reach * reach >= nearest {
            break;
        }
        for along in -reach..=reach {
            let square = reach * reach + along * along;
            let on_the_square = [(along, -reach), (along, reach), (-reach, along), (reach, along)];
            if square < nearest && on_the_square.into_iter().any(|(dx, dy)| outside(dx, dy)) {
                nearest = square;
            }
        }
    }
    if nearest == isize::MAX { 2.0 * WIDEST as f32 } else { 2.0 * (nearest as f32).sqrt() - 0.5 }
}

/// Wider vessels are cut off here, in pixels to either side.
const WIDEST: isize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// A vertical bar of columns `from..to` in a picture of 40 x 9.
    fn bar(from: usize, to: usize) -> Vec<u8> {
        (0..40 * 9).map(|at| u8::from((from..to).contains(&(at % 40)))).collect()
    }

    #[test]
    fn width_of_a_bar_is_right_to_half_a_pixel() {
        for wide in 1..=8 {
            let mask = bar(20, 20 + wide);
            let found = at(&mask, 40, (20 + wide / 2, 4));
            assert!((found - wide as f32).abs() <= 0.5, "{wide}: {found}");
        }
    }

    #[test]
    fn beyond_the_picture_is_outside() {
        assert_eq!(at(&bar(0, 40), 40, (20, 4)), 9.5);
        assert_eq!(at(&[1], 1, (0, 0)), 1.5);
    }
}
