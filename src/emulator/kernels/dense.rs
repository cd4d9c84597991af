//! Convolution in which an output channel reads every input channel.
//!
//! ```text
//!   kernel row   x0 x1 x2 ...            the window's pixels of one row, lanes side by side, in pairs
//!   weights      [pair][vector][lane]    vector: 4 output channels; lane: the pair's two weights
//!   sums         += dot(splat(pair), vector)
//! ```
//!
//! A block is 16 output channels times 2 pixels, or 8 times 4: eight vectors of sums, which with the
//! operands just fit the sixteen registers of SSE2.

use bytemuck::cast;
use wide::{i16x8, i32x4};

use super::Layout;
use super::requantise::Requantise;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};

#[derive(Debug)]
pub(in crate::emulator) struct Dense {
    window: Window,
    /// Pairs of lanes in one row of the window.
    pairs: usize,
    /// Blocks of 16 output channels; each `[kernel row][pair]`.
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
        let block = |first: usize| Self::block_weights(conv, lanes, first);
        Self {
            window: conv.window,
            pairs: conv.window.kernel[1] * lanes / 2,
            sixteens: (0..eights / 2).map(|i| block(16 * i)).collect(),
            eight: (eights % 2 == 1).then(|| Self::block_weights(conv, lanes, 8 * (eights - 1))),
            requantise: Requantise::new(conv, activation, input, output),
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
                    block.push(std::array::from_fn(|vector| {
                        i16x8::new(std::array::from_fn(|lane| {
                            // Even channels of eight in one vector, odd ones in the next.
                            let channel = first + vector / 2 * 8 + lane / 2 * 2 + vector % 2;
                            conv.weight(channel, 2 * pair + lane % 2, [row, column])
                        }))
                    }));
                }
            }
        }
        block
    }

    pub(in crate::emulator) fn run(&self, input: (&Layout, &[i16]), output: (&Layout, &mut [i16])) {
        let (to, map) = output;
        to.clear_border(map);
        for y in 0..to.height {
            let row = to.row_mut(map, y);
            for (block, weights) in self.sixteens.iter().enumerate() {
                self.row::<4, 2>(weights, 2 * block, y, input, to, row);
            }
            if let Some(weights) = &self.eight {
                self.row::<2, 4>(weights, 2 * self.sixteens.len(), y, input, to, row);
            }
        }
    }

    /// One row of one block of output channels, which begins at channel `8 * eight`.
    fn row<const VECTORS: usize, const PIXELS: usize>(
        &self,
        weights: &[[i16x8; VECTORS]],
        eight: usize,
        y: usize,
        (from, map): (&Layout, &[i16]),
        to: &Layout,
        row: &mut [i16],
    ) {
        let padding = self.window.padding;
        let start =
            from.origin([padding[0], padding[1]]) + y * self.window.stride[0] * from.row_stride();
        let step = self.window.stride[1] * from.lanes;
        let mut x = 0;
        while x + PIXELS <= to.width {
            let starts = std::array::from_fn(|p| start + (x + p) * step);
            let sums = self.sums::<VECTORS, PIXELS>(weights, map, starts, from.row_stride());
            for (p, sums) in sums.iter().enumerate() {
                self.store(&mut row[(x + p) * to.lanes..][..to.lanes], eight, sums);
            }
            x += PIXELS;
        }
        for x in x..to.width {
            let [sums] = self.sums(weights, map, [start + x * step], from.row_stride());
            self.store(&mut row[x * to.lanes..][..to.lanes], eight, &sums);
        }
    }

    #[inline]
    fn sums<const VECTORS: usize, const PIXELS: usize>(
        &self,
        weights: &[[i16x8; VECTORS]],
        map: &[i16],
        starts: [usize; PIXELS],
        row_stride: usize,
    ) -> [[i32x4; VECTORS]; PIXELS] {
        let mut sums = [[i32x4::ZERO; VECTORS]; PIXELS];
        for (kernel_row, weights) in weights.chunks_exact(self.pairs).enumerate() {
            let pixels: [&[[i16; 2]]; PIXELS] = starts.map(|start| {
                &map[start + kernel_row * row_stride..].as_chunks().0[..weights.len()]
            });
            for (pair, weights) in weights.iter().enumerate() {
                let splats = pixels.map(|pixel| splat(pixel[pair]));
                for (vector, &weights) in weights.iter().enumerate() {
                    for (sums, splat) in sums.iter_mut().zip(splats) {
                        sums[vector] += weights.dot(splat);
                    }
                }
            }
        }
        sums
    }

    #[inline]
    fn store(&self, pixel: &mut [i16], eight: usize, sums: &[i32x4]) {
        let sums = sums.as_chunks().0;
        let lanes = pixel[8 * eight..].as_chunks_mut().0;
        for (i, (lanes, &sums)) in lanes.iter_mut().zip(sums).enumerate() {
            *lanes = self.requantise.eight(eight + i, sums).to_array();
        }
    }
}

/// One pair in all four places.
#[inline]
fn splat([a, b]: [i16; 2]) -> i16x8 {
    cast(i32x4::splat(i32::from(a.cast_unsigned()) | i32::from(b) << 16))
}

impl Conv {
    /// The weight between any output and any input channel; 0 between groups and beyond the last channel.
    fn weight(&self, to: usize, from: usize, [row, column]: [usize; 2]) -> i16 {
        if to >= self.out_channels
            || from / self.group_channels != to * self.groups / self.out_channels
        {
            return 0;
        }
        let [rows, columns] = self.window.kernel;
        let kernel = to * self.group_channels + from % self.group_channels;
        i16::from(self.weights[(kernel * rows + row) * columns + column])
    }
}
