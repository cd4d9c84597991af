//! What is drawn when there is nothing live to see: hatched border, letters, placeholder.
//!
//! Letters are Noto Sans Mono as `noto-sans-mono-bitmap` carries it, rasterised and anti-aliased
//! (crate MIT, font SIL Open Font License 1.1): no font file, no parsing at run time.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::pipeline::geometry::Size;

/// Interleaved RGB to draw on.
pub(super) struct Canvas<'a> {
    pub(super) size: Size,
    pub(super) rgb: &'a mut [u8],
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
    /// What does not fit is cut off at the picture's edge.
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
        let right = (left + plate_width).min(self.size.width());
        let rows = self.rgb.chunks_exact_mut(self.size.width() * 3).skip(top).take(plate_height);
        for row in rows {
            row[left * 3..right * 3].fill(0);
        }
        let title_left = left + (plate_width - title_width) / 2;
        let explanation_left = left + (plate_width - explanation_width) / 2;
        let title_top = top + PLATE_MARGIN * times;
        self.text(title, large, (title_left, title_top), colour);
        self.text(explanation, small, (explanation_left, title_top + large.height()), colour);
    }

    fn text(&mut self, text: &str, letters: Letters, (left, top): (usize, usize), colour: [u8; 3]) {
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
                    super::blend(&mut self.rgb[at..at + 3], colour, u16::from(intensity));
                }
            }
        }
    }
}

/// Rasterised letters, each of their pixels drawn as a square of `times` pixels.
#[derive(Clone, Copy)]
struct Letters {
    raster: RasterHeight,
    times: usize,
}

impl Letters {
    fn width(self, text: &str) -> usize {
        text.chars().count() * get_raster_width(FontWeight::Bold, self.raster) * self.times
    }
    fn height(self) -> usize {
        self.raster.val() * self.times
    }
}

const BLACK: [u8; 3] = [0; 3];
/// The border is this share of the shorter side: 16 pixels of 640.
const BORDER_SHARE: usize = 40;
/// A picture this wide gets its letters at their own size, one twice as wide at twice the size.
const UNIT_WIDTH: usize = 320;
const PLATE_MARGIN: usize = 8;
