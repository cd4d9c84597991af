//! What is drawn when there is nothing live to see: hatched border, letters, placeholder.
//!
//! Letters are Noto Sans Mono, rasterised at build time of `noto-sans-mono-bitmap` (crate MIT, font SIL Open
//! Font License 1.1): anti-aliased, no font parsing at run time, no dependencies of its own.

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
        let large =
            if self.size.width() < WIDE { RasterHeight::Size16 } else { RasterHeight::Size24 };
        let lines = [(title, large), (explanation, RasterHeight::Size16)];
        let lines = || lines.iter().filter(|(text, _)| !text.is_empty());
        let plate_width = lines().map(|(text, size)| text_width(text, *size)).max().unwrap_or(0);
        let plate_height: usize = lines().map(|(_, size)| size.val()).sum();
        let left = (self.size.width().saturating_sub(plate_width)) / 2;
        let top = (self.size.height().saturating_sub(plate_height)) / 2;
        let columns = left.saturating_sub(PLATE_MARGIN)
            ..(left + plate_width + PLATE_MARGIN).min(self.size.width());
        let rows = top.saturating_sub(PLATE_MARGIN)
            ..(top + plate_height + PLATE_MARGIN).min(self.size.height());
        for y in rows {
            let row = &mut self.rgb[y * self.size.width() * 3..][..self.size.width() * 3];
            row[columns.start * 3..columns.end * 3].fill(0);
        }
        let mut y = top;
        for &(text, size) in lines() {
            let centred = left + (plate_width - text_width(text, size)) / 2;
            self.text(text, size, (centred, y), colour);
            y += size.val();
        }
    }

    fn text(
        &mut self,
        text: &str,
        size: RasterHeight,
        (left, top): (usize, usize),
        colour: [u8; 3],
    ) {
        for (i, letter) in text.chars().enumerate() {
            let Some(raster) = get_raster(letter, FontWeight::Bold, size) else { continue };
            let letter_left = left + i * raster.width();
            for (row, y) in raster.rows().zip(top..self.size.height()) {
                for (&intensity, x) in row.iter().zip(letter_left..self.size.width()) {
                    let at = (y * self.size.width() + x) * 3;
                    super::blend(&mut self.rgb[at..at + 3], colour, u16::from(intensity));
                }
            }
        }
    }
}

fn text_width(text: &str, size: RasterHeight) -> usize {
    text.chars().count() * get_raster_width(FontWeight::Bold, size)
}

const BLACK: [u8; 3] = [0; 3];
/// The border is this share of the shorter side: 16 pixels of 640.
const BORDER_SHARE: usize = 40;
/// From this width on, titles are set in 24-pixel letters.
const WIDE: usize = 480;
const PLATE_MARGIN: usize = 8;
