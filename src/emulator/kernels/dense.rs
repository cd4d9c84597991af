//! Convolution in which an output channel reads every input channel, of any window.
//!
//! One row of the window is one run of lanes in the map, so the sums run over it without a gap.

use wide::{i16x8, i32x4};

use super::Layout;
use super::product::{PIXELS_OF_EIGHT, PIXELS_OF_SIXTEEN, accumulate, pair_weights};
use super::requantise::Requantise;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};

#[derive(Debug)]
pub(in crate::emulator) struct Dense {
    window: Window,
    /// Blocks of 16 output channels; each by kernel row, by pair of lanes in that row of the window.
    sixteens: Vec<Vec<[i16x8; 4]>>,
    /// The block of 8 that is left over, if any.
    eight: Option<Vec<[i16x8; 2]>>,
    requantise: Requantise,
}

impl Dense {
    /// Groups become zero weights between channels that have nothing to do with each other.
    pub(in crate::emulator) fn new(
        conv: &Conv,
        activation: Activation,
        [input, output]: [&TensorSpec; 2],
        lanes: usize,
    ) -> Self {
        let eights = conv.out_channels.div_ceil(8);
        let last = 8 * eights.saturating_sub(1);
        Self {
            window: conv.window,
            sixteens: (0..eights / 2).map(|i| block_weights(conv, lanes, 16 * i)).collect(),
            eight: (eights % 2 == 1).then(|| block_weights(conv, lanes, last)),
            requantise: Requantise::new(conv, activation, input, output),
        }
    }

    pub(in crate::emulator) fn run(
        &self,
        input: (&Layout, &[i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        for y in 0..to.height {
            let row = to.row_mut(made, y);
            for (i, weights) in self.sixteens.iter().enumerate() {
                self.row::<4, PIXELS_OF_SIXTEEN>(weights, 2 * i, y, input, (to, row));
            }
            if let Some(weights) = &self.eight {
                let eight = 2 * self.sixteens.len();
                self.row::<2, PIXELS_OF_EIGHT>(weights, eight, y, input, (to, row));
            }
        }
    }

    /// One row of the output channels `8 * eight ..`.
    fn row<const VECTORS: usize, const PIXELS: usize>(
        &self,
        weights: &[[i16x8; VECTORS]],
        eight: usize,
        y: usize,
        (from, map): (&Layout, &[i16]),
        (to, row): (&Layout, &mut [i16]),
    ) {
        let [above, left, ..] = self.window.padding;
        let start = from.origin([above, left]) + y * self.window.stride[0] * from.row_stride();
        let step = self.window.stride[1] * from.lanes;
        let mut x = 0;
        while x < to.width {
            if x + PIXELS <= to.width {
                let starts = std::array::from_fn(|p| start + (x + p) * step);
                let sums = self.sums::<VECTORS, PIXELS>(weights, from, map, starts);
                for (p, sums) in sums.iter().enumerate() {
                    let pixel = &mut row[(x + p) * to.lanes..][..to.lanes];
                    self.requantise.store(pixel, eight, sums);
                }
                x += PIXELS;
            } else {
                let [sums] = self.sums(weights, from, map, [start + x * step]);
                let pixel = &mut row[x * to.lanes..][..to.lanes];
                self.requantise.store(pixel, eight, &sums);
                x += 1;
            }
        }
    }

    #[inline]
    fn sums<const VECTORS: usize, const PIXELS: usize>(
        &self,
        weights: &[[i16x8; VECTORS]],
        from: &Layout,
        map: &[i16],
        starts: [usize; PIXELS],
    ) -> [[i32x4; VECTORS]; PIXELS] {
        let mut sums = [[i32x4::ZERO; VECTORS]; PIXELS];
        let [rows, columns] = self.window.kernel;
        let pairs = columns * from.lanes / 2;
        for row in 0..rows {
            let pixels = starts.map(|start| &map[start + row * from.row_stride()..]);
            accumulate(&mut sums, &weights[row * pairs..][..pairs], pixels);
        }
        sums
    }
}

fn block_weights<const VECTORS: usize>(
    conv: &Conv,
    lanes: usize,
    first: usize,
) -> Vec<[i16x8; VECTORS]> {
    let [rows, columns] = conv.window.kernel;
    let mut block = Vec::with_capacity(rows * columns * lanes / 2);
    for row in 0..rows {
        for column in 0..columns {
            for pair in 0..lanes / 2 {
                let weight = |to, from| conv.weight(to, from, [row, column]);
                block.push(pair_weights(first, pair, weight));
            }
        }
    }
    block
}
