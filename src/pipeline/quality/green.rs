//! The picture's green on the grid of the mask.
//!
//! Where both are of one size, as with every input tensor of the built-in networks, it is only taken out of the colours. A
//! larger picture is averaged over the pixels that lie in a pixel of the mask, a smaller one is repeated, and none is black.

use super::Seen;

/// The plane, kept from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Green {
    plane: Vec<u8>,
    /// Sums of one row of the mask.
    sums: Vec<u32>,
    /// First picture column of every mask column.
    columns: Vec<usize>,
}

impl Green {
    pub(super) fn on_the_grid(&mut self, seen: Seen<'_>) -> &[u8] {
        let Seen { rgb, width, height, mask_width, mask_height, .. } = seen;
        self.plane.clear();
        if (width, height) == (mask_width, mask_height) {
            self.plane.extend(rgb.chunks_exact(3).map(|pixel| pixel[1]));
            return &self.plane;
        }
        if rgb.is_empty() {
            self.plane.resize(mask_width * mask_height, 0);
            return &self.plane;
        }
        self.columns.clear();
        self.columns.extend((0..=mask_width).map(|x| x * width / mask_width.max(1)));
        for y in 0..mask_height {
            let first = y * height / mask_height;
            let end = ((y + 1) * height / mask_height).max(first + 1);
            self.sums.clear();
            self.sums.resize(mask_width, 0);
            for row in rgb[first * width * 3..end * width * 3].chunks_exact(width * 3) {
                for (sum, columns) in self.sums.iter_mut().zip(self.columns.windows(2)) {
                    let end = columns[1].max(columns[0] + 1);
                    let pixels = row[columns[0] * 3..end * 3].chunks_exact(3);
                    *sum += pixels.map(|pixel| u32::from(pixel[1])).sum::<u32>();
                }
            }
            for (sum, columns) in self.sums.iter().zip(self.columns.windows(2)) {
                let pixels = (columns[1] - columns[0]).max(1) * (end - first);
                let pixels = u32::try_from(pixels).unwrap_or(u32::MAX);
                let mean = (sum + pixels / 2) / pixels;
                self.plane.push(u8::try_from(mean).unwrap_or(u8::MAX));
            }
        }
        &self.plane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(greens: &[u8], (width, height): (usize, usize), mask: (usize, usize)) -> Vec<u8> {
        let rgb: Vec<u8> = greens.iter().flat_map(|green| [255, *green, 7]).collect();
        let empty = vec![0; mask.0 * mask.1];
        let seen = Seen {
            rgb: &rgb,
            width,
            height,
            probability: &empty,
            threshold: 128,
            field: &empty,
            mask_width: mask.0,
            mask_height: mask.1,
        };
        Green::default().on_the_grid(seen).to_vec()
    }

    #[test]
    fn one_size_is_taken_as_it_is() {
        assert_eq!(plane(&[1, 2, 3, 4, 5, 6], (3, 2), (3, 2)), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn larger_pictures_are_averaged_and_smaller_ones_repeated() {
        assert_eq!(plane(&[10, 20, 30, 40, 50, 60, 70, 80], (4, 2), (2, 1)), [35, 55]);
        // Columns 0, 1 and 2, 3, 4.
        assert_eq!(plane(&[10, 20, 30, 40, 50], (5, 1), (2, 1)), [15, 40]);
        assert_eq!(plane(&[10, 20], (2, 1), (4, 2)), [10, 10, 20, 20, 10, 10, 20, 20]);
    }
}
