//! Bilinear scaling with half-pixel centres, exact (byte for byte) when nothing is scaled.

use crate::pipeline::geometry::{Size, Tap, Transform};

/// One scaling, with its tables; the same for every frame of a run.
#[derive(Debug)]
pub struct Resample {
    from: Size,
    to: Size,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    /// Every target pixel is a source pixel.
    copies: bool,
    /// One source-wide row between two source rows, times 256.
    between: Vec<u16>,
}

impl Resample {
    /// All of `from` stretched to all of `to`.
    #[must_use]
    pub fn stretch(from: Size, to: Size) -> Self {
        Self::new(Transform::stretch(from, to), from, to)
    }

    /// `transform` leads from pixels of `from` to pixels of `to`; beyond its edge `from` goes on as it
    /// is there.
    #[must_use]
    pub fn new(transform: Transform, from: Size, to: Size) -> Self {
        let columns = transform.column_taps(from, to);
        let rows = transform.row_taps(from, to);
        let own = |taps: &[Tap]| {
            taps.iter().enumerate().all(|(i, tap)| (tap.first, tap.weight) == (i, 0))
        };
        let copies = from == to && own(&columns) && own(&rows);
        Self { from, to, columns, rows, copies, between: Vec::new() }
    }

    pub(super) fn sizes(&self) -> (Size, Size) {
        (self.from, self.to)
    }

    /// `source` has `CHANNELS` interleaved bytes a pixel; `target` is resized to fit and written
    /// whole.
    ///
    /// # Panics
    /// When `source` has fewer pixels than its size says.
    pub fn run<const CHANNELS: usize>(&mut self, source: &[u8], target: &mut Vec<u8>) {
        let row_len = self.from.width() * CHANNELS;
        target.resize(self.to.pixels() * CHANNELS, 0);
        if self.copies {
            target.copy_from_slice(&source[..self.from.pixels() * CHANNELS]);
            return;
        }
        self.between.resize(row_len, 0);
        let target_rows = target.chunks_exact_mut(self.to.width() * CHANNELS);
        for (row, target_row) in self.rows.iter().zip(target_rows) {
            let first = &source[row.first * row_len..][..row_len];
            let second = &source[row.second * row_len..][..row_len];
            for ((mixed, &a), &b) in self.between.iter_mut().zip(first).zip(second) {
                *mixed = u16::from(a) * (256 - row.weight) + u16::from(b) * row.weight;
            }
            for (column, pixel) in self.columns.iter().zip(target_row.chunks_exact_mut(CHANNELS)) {
                let first = &self.between[column.first * CHANNELS..][..CHANNELS];
                let second = &self.between[column.second * CHANNELS..][..CHANNELS];
                for ((value, &a), &b) in pixel.iter_mut().zip(first).zip(second) {
                    let sum = u32::from(a) * u32::from(256 - column.weight)
                        + u32::from(b) * u32::from(column.weight);
                    *value = u8::try_from((sum + 0x8000) >> 16).unwrap_or(u8::MAX);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled<const CHANNELS: usize>(source: &[u8], from: Size, to: Size) -> Vec<u8> {
        let mut target = vec![0xa5; 3];
        Resample::stretch(from, to).run::<CHANNELS>(source, &mut target);
        target
    }

    #[test]
    fn same_size_is_a_copy() {
        let source: Vec<u8> = (0..=255).collect();
        let size = Size::new(16, 16).unwrap();
        assert_eq!(scaled::<1>(&source, size, size), source);
    }

    /// Centres at a quarter and three quarters between 0 and 200: 50 and 150; the edges keep their
    /// value.
    #[test]
    fn doubling_mixes_by_quarters() {
        let (from, to) = (Size::new(2, 1).unwrap(), Size::new(4, 2).unwrap());
        assert_eq!(scaled::<1>(&[0, 200], from, to), [0, 50, 150, 200, 0, 50, 150, 200]);
        let rgb = scaled::<3>(&[0, 0, 255, 200, 0, 255], from, to);
        assert_eq!(rgb[3..6], [50, 0, 255]);
    }
}
