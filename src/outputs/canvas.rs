//! Where signs and words are drawn: interleaved RGB with letters, plates, and hatched borders.
//!
//! Letters are Noto Sans Mono as `noto-sans-mono-bitmap` carries it, rasterised and anti-aliased
//! (crate MIT, font SIL Open Font License 1.1): no font file, no parsing at run time.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::pipeline::geometry::Size;

/// Interleaved RGB to draw on. What does not fit is cut off at its edge.
pub(super) struct Canvas<'a> {
    pub(super) size: Size,
    pub(super) rgb: &'a mut [u8],
}

/// A part of a picture or a screen, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Canvas<'_> {
    /// Diagonal stripes round the picture; no vessel looks like that.
    pub(super) fn hatched_border(&mut self, colour: [u8; 3]) {
        let (width, height) = (self.size.width(), self.size.height());
        let border = (width.min(height) / BORDER_SHARE).max(2);
        for (i, pixel) in self.rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % width, i / width);
            if x.min(y).min(width - 1 - x).min(height - 1 - y) < border {
                let stripe = ((x + y) / border).is_multiple_of(2);
                pixel.copy_from_slice(if stripe { &colour } else { &BLACK });
            }
        }
    }

    /// Lines in the middle of the picture, the first one large, on a black plate.
    pub(super) fn plate(&mut self, title: &str, explanation: &str, colour: [u8; 3]) {
        // Letters grow with the picture: a person reads them from across the room.
        let times = (self.size.width() / UNIT_WIDTH).max(1);
        let large = Letters { raster: RasterHeight::Size32, times };
        let small = Letters { raster: RasterHeight::Size16, times };
        let (title_width, explanation_width) = (large.width(title), small.width(explanation));
        let plate_width = title_width.max(explanation_width) + 2 * PLATE_MARGIN * times;
        let plate_height = large.height() + small.height() + 2 * PLATE_MARGIN * times;
        let left = self.size.width().saturating_sub(plate_width) / 2;
        let top = self.size.height().saturating_sub(plate_height) / 2;
        self.fill(Area { left, top, width: plate_width, height: plate_height }, BLACK);
        let title_left = left + (plate_width - title_width) / 2;
        let explanation_left = left + (plate_width - explanation_width) / 2;
        let title_top = top + PLATE_MARGIN * times;
        self.text(title, large, (title_left, title_top), colour);
        self.text(explanation, small, (explanation_left, title_top + large.height()), colour);
    }

    pub(super) fn fill(&mut self, area: Area, colour: [u8; 3]) {
        let width = self.size.width();
        let columns = area.left.min(width)..(area.left + area.width).min(width);
        for row in self.rgb.chunks_exact_mut(width * 3).skip(area.top).take(area.height) {
            for pixel in row[columns.start * 3..columns.end * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    pub(super) fn text(
        &mut self,
        text: &str,
        letters: Letters,
        (left, top): (usize, usize),
        colour: [u8; 3],
    ) {
        let Letters { raster: size, times } = letters;
        for (i, letter) in text.chars().enumerate() {
            let Some(raster) = get_raster(letter, FontWeight::Bold, size) else { continue };
            let letter_left = left + i * raster.width() * times;
            let columns =
                letter_left..(letter_left + raster.width() * times).min(self.size.width());
            for y in top..(top + raster.height() * times).min(self.size.height()) {
                for x in columns.clone() {
                    let intensity =
                        raster.pixel((x - letter_left) / times, (y - top) / times).unwrap_or(0);
                    let at = (y * self.size.width() + x) * 3;
                    super::overlay::blend(&mut self.rgb[at..at + 3], colour, u16::from(intensity));
                }
            }
        }
    }
}

/// Rasterised letters, each of their pixels drawn as a square of `times` pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letters {
    raster: RasterHeight,
    times: usize,
}

impl Letters {
    /// As large as fits into `height` pixels, or the smallest there are. Finer letters a little smaller look
    /// better than coarse ones drawn with larger squares: 32 twice rather than 16 five times.
    pub(super) fn at_most(height: usize) -> Self {
        let rasters = [
            RasterHeight::Size16,
            RasterHeight::Size20,
            RasterHeight::Size24,
            RasterHeight::Size32,
        ];
        let sized = rasters.map(|raster| Self { raster, times: (height / raster.val()).max(1) });
        let fitting = || sized.iter().filter(|letters| letters.height() <= height);
        let tallest = fitting().map(|letters| letters.height()).max().unwrap_or_default();
        let tall = fitting().filter(|letters| letters.height() * 4 >= tallest * 3);
        tall.max_by_key(|letters| letters.raster.val()).copied().unwrap_or(sized[0])
    }
    pub(super) fn width(self, text: &str) -> usize {
        text.chars().count() * self.letter_width()
    }
    pub(super) fn letter_width(self) -> usize {
        get_raster_width(FontWeight::Bold, self.raster) * self.times
    }
    pub(super) fn height(self) -> usize {
        self.raster.val() * self.times
    }
}

const BLACK: [u8; 3] = [0; 3];
/// The border is this share of the shorter side: 16 pixels of 640.
const BORDER_SHARE: usize = 40;
/// A picture this wide gets its letters at their own size, one twice as wide at twice the size.
const UNIT_WIDTH: usize = 320;
const PLATE_MARGIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_large_as_fits_and_as_fine_as_there_are() {
        for (height, raster, times) in
            [(5, 16, 1), (19, 16, 1), (24, 24, 1), (50, 24, 2), (64, 32, 2), (80, 32, 2)]
        {
            let letters = Letters::at_most(height);
            assert_eq!((letters.raster.val(), letters.times), (raster, times), "{height}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_off() {
        let size = Size::new(20, 10).unwrap();
        let mut rgb = vec![0; 600];
        let mut canvas = Canvas { size, rgb: &mut rgb };
        canvas.fill(Area { left: 18, top: 9, width: 5, height: 5 }, [1, 2, 3]);
        canvas.text("WWWW", Letters::at_most(16), (15, 5), [9; 3]);
        canvas.plate("LONGER THAN THE PICTURE", "and so is this", [7; 3]);
        assert_eq!(rgb.len(), 600);
    }
}
