//! Convolution in which each output channel reads the input channel of its own number.
//!
//! Eight channels at a time; a dot product with every other weight zero gives the even channels, another
//! one the odd ones, which spares the widening of sixteen-bit products.

use wide::{i16x8, i32x4};

use super::Layout;
use super::requantise::Requantise;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};

#[derive(Debug)]
pub(in crate::emulator) struct Depthwise {
    window: Window,
    /// Per eight channels, `[kernel row][kernel column]`: weights of the even and of the odd channels.
    eights: Vec<Vec<[i16x8; 2]>>,
    requantise: Requantise,
}

impl Depthwise {
    pub(in crate::emulator) fn new(
        conv: &Conv,
        activation: Activation,
        [input, output]: [&TensorSpec; 2],
    ) -> Self {
        let [rows, columns] = conv.window.kernel;
        let taps = rows * columns;
        let weight = |channel: usize, tap: usize| {
            if channel < conv.out_channels {
                i16::from(conv.weights[channel * taps + tap])
            } else {
                0
            }
        };
        let eight = |eight: usize| {
            let tap = |tap: usize| {
                [0, 1].map(|odd| {
                    i16x8::new(std::array::from_fn(|lane| {
                        if lane % 2 == odd { weight(8 * eight + lane, tap) } else { 0 }
                    }))
                })
            };
            (0..taps).map(tap).collect()
        };
        Self {
            window: conv.window,
            eights: (0..conv.out_channels.div_ceil(8)).map(eight).collect(),
            requantise: Requantise::new(conv, activation, input, output),
        }
    }

    pub(in crate::emulator) fn run(
        &self,
        (from, map): (&Layout, &[i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        let [above, left, ..] = self.window.padding;
        let step = self.window.stride[1] * from.lanes;
        for y in 0..to.height {
            let start = from.origin([above, left]) + y * self.window.stride[0] * from.row_stride();
            let row = to.row_mut(made, y);
            for (eight, weights) in self.eights.iter().enumerate() {
                let start = start + 8 * eight;
                let mut x = 0;
                while x < to.width {
                    if x + PIXELS <= to.width {
                        let sums = self.sums::<PIXELS>(weights, from, &map[start + x * step..]);
                        for (p, &sums) in sums.iter().enumerate() {
                            let pixel = &mut row[(x + p) * to.lanes..];
                            self.requantise.store(pixel, eight, &sums);
                        }
                        x += PIXELS;
                    } else {
                        let [sums] = self.sums(weights, from, &map[start + x * step..]);
                        self.requantise.store(&mut row[x * to.lanes..], eight, &sums);
                        x += 1;
                    }
                }
            }
        }
    }

    /// Sums of the even and the odd channels of some pixels, the first window beginning where `map` does.
    #[inline]
    fn sums<const PIXELS: usize>(
        &self,
        weights: &[[i16x8; 2]],
        from: &Layout,
        map: &[i16],
    ) -> [[i32x4; 2]; PIXELS] {
        let mut sums = [[i32x4::ZERO; 2]; PIXELS];
        let [rows, columns] = self.window.kernel;
        // Lanes come in eights, and so do the distances between pixels and between rows.
        let map = map.as_chunks::<8>().0;
        let pixel = from.lanes / 8;
        let step = self.window.stride[1] * pixel;
        for row in 0..rows {
            let map = &map[row * from.row_stride() / 8..];
            for (column, weights) in weights[row * columns..][..columns].iter().enumerate() {
                for (p, sums) in sums.iter_mut().enumerate() {
                    let lanes = i16x8::new(map[p * step + column * pixel]);
                    sums[0] += lanes.dot(weights[0]);
                    sums[1] += lanes.dot(weights[1]);
                }
            }
        }
        sums
    }
}

/// Eight vectors of sums, as in `product.rs`.
const PIXELS: usize = 4;
