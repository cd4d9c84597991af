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
        let columns = self.window.kernel[1];
        for y in 0..to.height {
            let start = from.origin([above, left]) + y * self.window.stride[0] * from.row_stride();
            let row = to.row_mut(made, y);
            for (eight, weights) in self.eights.iter().enumerate() {
                for (x, pixel) in row.chunks_exact_mut(to.lanes).enumerate() {
                    let start = start + x * self.window.stride[1] * from.lanes + 8 * eight;
                    let mut sums = [i32x4::ZERO; 2];
                    for (kernel_row, weights) in weights.chunks_exact(columns).enumerate() {
                        let pixels = &map[start + kernel_row * from.row_stride()..];
                        for (weights, pixel) in weights.iter().zip(pixels.chunks(from.lanes)) {
                            let Some(&lanes) = pixel.first_chunk() else { continue };
                            let lanes = i16x8::new(lanes);
                            sums[0] += lanes.dot(weights[0]);
                            sums[1] += lanes.dot(weights[1]);
                        }
                    }
                    let stored = self.requantise.eight(eight, sums).to_array();
                    pixel[8 * eight..][..8].copy_from_slice(&stored);
                }
            }
        }
    }
}
