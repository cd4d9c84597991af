//! Sums of pair products, the innermost loop of every convolution that mixes channels.
//!
//! ```text
//!   pixel     x0 x1 x2 x3 ...        lanes side by side, in pairs
//!   weights   [pair][vector][lane]   vector: 4 output channels; lane: the pair's two weights
//!   sums      += dot(splat(pair), vector)
//! ```
//!
//! A block is 16 output channels times 2 pixels, or 8 times 4: eight vectors of sums, which with the
//! operands just fit the sixteen registers of SSE2. 16 times 4 was slower by two fifths (spills).

use bytemuck::cast;
use wide::{i16x8, i32x4};

use crate::emulator::graph::Conv;

/// Pixels of a block of 16 output channels.
pub(super) const PIXELS_OF_SIXTEEN: usize = 2;
/// Pixels of a block of 8 output channels.
pub(super) const PIXELS_OF_EIGHT: usize = 4;

/// Adds the products of some pairs of lanes, as many as there are weights.
#[inline]
pub(super) fn accumulate<const VECTORS: usize, const PIXELS: usize>(
    sums: &mut [[i32x4; VECTORS]; PIXELS],
    weights: &[[i16x8; VECTORS]],
    pixels: [&[i16]; PIXELS],
) {
    let pixels = pixels.map(|pixel| &pixel.as_chunks::<2>().0[..weights.len()]);
    for (pair, weights) in weights.iter().enumerate() {
        let splats = pixels.map(|pixel| splat(pixel[pair]));
        for (vector, &weights) in weights.iter().enumerate() {
            for (sums, splat) in sums.iter_mut().zip(splats) {
                sums[vector] += weights.dot(splat);
            }
        }
    }
}

/// One pair in all four places.
#[inline]
fn splat([a, b]: [i16; 2]) -> i16x8 {
    cast(i32x4::splat(i32::from(a.cast_unsigned()) | i32::from(b) << 16))
}

/// The weights that `VECTORS` vectors of output channels from `first` on have for one pair of lanes.
///
/// Vectors come in twos: the even channels of eight, then the odd ones, as `Requantise` takes them.
pub(super) fn pair_weights<const VECTORS: usize>(
    first: usize,
    pair: usize,
    weight: impl Fn(usize, usize) -> i16,
) -> [i16x8; VECTORS] {
    std::array::from_fn(|vector| {
        i16x8::new(std::array::from_fn(|lane| {
            let channel = first + vector / 2 * 8 + lane / 2 * 2 + vector % 2;
            weight(channel, 2 * pair + lane % 2)
        }))
    })
}

impl Conv {
    /// [`Conv::weight_i8`], as wide as the lanes.
    pub(super) fn weight(&self, to: usize, from: usize, tap: [usize; 2]) -> i16 {
        i16::from(self.weight_i8(to, from, tap))
    }

    /// The weight between any output and any input channel; 0 between groups and beyond the last channel.
    pub(in crate::emulator) fn weight_i8(
        &self,
        to: usize,
        from: usize,
        [row, column]: [usize; 2],
    ) -> i8 {
        if to >= self.out_channels
            || from / self.group_channels != to * self.groups / self.out_channels
        {
            return 0;
        }
        let [rows, columns] = self.window.kernel;
        let kernel = to * self.group_channels + from % self.group_channels;
        self.weights[(kernel * rows + row) * columns + column]
    }
}
