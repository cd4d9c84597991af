//! 3x3 convolution of stride 1 with 16 products where 36 are due, in exact integers.
//!
//! Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016, section
//! 4.1): four output pixels are made together from a 4x4 tile of the input.
//!
//! ```text
//!   d  4x4 pixels   V = Bt d B     per channel, i16: at most 4 * 255
//!   g  3x3 weights  U = G g Gt     beforehand; G times 2 is whole, so U is kept times 4, i16: at most 9 * 128
//!   Y = At (sum over channels of U * V, place by place) A     16 places; times 4, shifted back exactly
//!
//!        1  0 -1  0          2  0  0
//!   Bt = 0  1  1  0    2 G = 1  1  1     At = 1  1  1  0
//!        0 -1  1  0          1 -1  1          0  1 -1 -1
//!        0  1  0 -1          0  0  2
//! ```
//!
//! In floating point this costs accuracy; in int32 every step is exact: a sum over 1024 channels stays
//! below 2^31, and where partial results wrap, they wrap back.

use wide::{i16x8, i32x4};

use super::Layout;
use super::product::{PIXELS_OF_EIGHT, PIXELS_OF_SIXTEEN, accumulate, pair_weights};
use super::requantise::Requantise;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};

#[derive(Debug)]
pub(in crate::emulator) struct Winograd {
    padding: [usize; 2],
    /// Blocks of 16 output channels; each by place, by pair of lanes.
    sixteens: Vec<Vec<[i16x8; 4]>>,
    /// The block of 8 that is left over, if any.
    eight: Option<Vec<[i16x8; 2]>>,
    requantise: Requantise,
    /// V of some tiles side by side: by place, by tile, by lane.
    tiles: Vec<i16>,
    /// Sums of those tiles for one block of output channels: by place, by tile, by vector.
    sums: Vec<i32x4>,
}

impl Winograd {
    /// Whether this kernel computes such a convolution. It needs whole vectors of lanes.
    pub(in crate::emulator) fn takes(window: &Window, lanes: usize) -> bool {
        window.kernel == [3, 3] && window.stride == [1, 1] && lanes.is_multiple_of(8)
    }

    /// Rows and columns read beyond what the window covers: tiles are even, pictures need not be.
    pub(in crate::emulator) fn overhang(window: &Window, output: &TensorSpec) -> [usize; 2] {
        if Self::takes(window, 8) { [output.height % 2, output.width % 2] } else { [0, 0] }
    }

    pub(in crate::emulator) fn new(
        conv: &Conv,
        activation: Activation,
        [input, output]: [&TensorSpec; 2],
        lanes: usize,
    ) -> Self {
        let eights = conv.out_channels.div_ceil(8);
        let last = 8 * eights.saturating_sub(1);
        Self {
            padding: [conv.window.padding[0], conv.window.padding[1]],
            sixteens: (0..eights / 2).map(|i| block_weights(conv, lanes, 16 * i)).collect(),
            eight: (eights % 2 == 1).then(|| block_weights(conv, lanes, last)),
            requantise: Requantise::new(conv, activation, input, output),
            tiles: vec![0; PLACES * TILES * lanes],
            sums: vec![i32x4::ZERO; PLACES * TILES * 4],
        }
    }

    pub(in crate::emulator) fn run(
        &mut self,
        (from, map): (&Layout, &[i16]),
        (to, made): (&Layout, &mut [i16]),
    ) {
        to.clear_border(made);
        for y in (0..to.height).step_by(2) {
            let row = from.origin(self.padding) + y * from.row_stride();
            for x in (0..to.width).step_by(2 * TILES) {
                let count = (to.width - x).div_ceil(2).min(TILES);
                transform(from, &map[row + x * from.lanes..], count, &mut self.tiles);
                for (i, weights) in self.sixteens.iter().enumerate() {
                    let sums = &mut self.sums;
                    products::<4, PIXELS_OF_SIXTEEN>(weights, &self.tiles, from.lanes, count, sums);
                    write::<4>(&self.requantise, 2 * i, sums, count, [y, x], to, made);
                }
                if let Some(weights) = &self.eight {
                    let (eight, sums) = (2 * self.sixteens.len(), &mut self.sums);
                    products::<2, PIXELS_OF_EIGHT>(weights, &self.tiles, from.lanes, count, sums);
                    write::<2>(&self.requantise, eight, sums, count, [y, x], to, made);
                }
            }
        }
    }
}

/// V of `count` tiles; the first begins where `map` does.
fn transform(from: &Layout, map: &[i16], count: usize, tiles: &mut [i16]) {
    let eights = from.lanes / 8;
    let stride = from.row_stride() / 8;
    let map = map.as_chunks::<8>().0;
    let tiles = tiles.as_chunks_mut::<8>().0;
    let rows: [&[[i16; 8]]; 4] =
        std::array::from_fn(|row| &map[row * stride..][..(2 * count + 2) * eights]);
    for tile in 0..count {
        for eight in 0..eights {
            let d: [[i16x8; 4]; 4] = rows.map(|row| {
                std::array::from_fn(|x| i16x8::new(row[(2 * tile + x) * eights + eight]))
            });
            let columns: [[i16x8; 4]; 4] =
                std::array::from_fn(|x| spread([d[0][x], d[1][x], d[2][x], d[3][x]]));
            for row in 0..4 {
                let places = spread(std::array::from_fn(|x| columns[x][row]));
                for (x, place) in places.into_iter().enumerate() {
                    tiles[((4 * row + x) * TILES + tile) * eights + eight] = place.to_array();
                }
            }
        }
    }
}

/// Bt times a column.
#[inline]
fn spread([a, b, c, d]: [i16x8; 4]) -> [i16x8; 4] {
    [a - c, b + c, c - b, b - d]
}

/// At times a column.
#[inline]
fn gather([a, b, c, d]: [i32x4; 4]) -> [i32x4; 2] {
    [a + b + c, b - c - d]
}

/// Sums over the channels, place by place.
fn products<const VECTORS: usize, const PIXELS: usize>(
    weights: &[[i16x8; VECTORS]],
    tiles: &[i16],
    lanes: usize,
    count: usize,
    sums: &mut [i32x4],
) {
    let sums = sums.as_chunks_mut::<VECTORS>().0;
    let pairs = lanes / 2;
    for place in 0..PLACES {
        let weights = &weights[place * pairs..][..pairs];
        let tiles = &tiles[place * TILES * lanes..][..TILES * lanes];
        let sums = &mut sums[place * TILES..][..TILES];
        // Beyond `count` lie tiles of earlier rounds: their sums are not read.
        for tile in (0..count).step_by(PIXELS) {
            let mut block = [[i32x4::ZERO; VECTORS]; PIXELS];
            let pixels = std::array::from_fn(|p| &tiles[(tile + p) * lanes..][..lanes]);
            accumulate(&mut block, weights, pixels);
            sums[tile..tile + PIXELS].copy_from_slice(&block);
        }
    }
}

/// Makes the four pixels of each tile of its sums.
fn write<const VECTORS: usize>(
    requantise: &Requantise,
    eight: usize,
    sums: &[i32x4],
    count: usize,
    [y, x]: [usize; 2],
    to: &Layout,
    made: &mut [i16],
) {
    let sums = sums.as_chunks::<VECTORS>().0;
    for tile in 0..count {
        let mut pixels = [[i32x4::ZERO; VECTORS]; 4];
        for vector in 0..VECTORS {
            let columns: [[i32x4; 2]; 4] = std::array::from_fn(|x| {
                gather(std::array::from_fn(|row| sums[(4 * row + x) * TILES + tile][vector]))
            });
            for row in 0..2 {
                let [left, right] = gather(columns.map(|column| column[row]));
                pixels[2 * row][vector] = left >> 2;
                pixels[2 * row + 1][vector] = right >> 2;
            }
        }
        let x = x + 2 * tile;
        for (i, sums) in pixels.iter().enumerate() {
            let (y, x) = (y + i / 2, x + i % 2);
            if y < to.height && x < to.width {
                let pixel = &mut to.row_mut(made, y)[x * to.lanes..][..to.lanes];
                requantise.store(pixel, eight, sums);
            }
        }
    }
}

fn block_weights<const VECTORS: usize>(
    conv: &Conv,
    lanes: usize,
    first: usize,
) -> Vec<[i16x8; VECTORS]> {
    let mut block = Vec::with_capacity(PLACES * lanes / 2);
    for place in 0..PLACES {
        let [down, across] = [TWICE_G[place / 4], TWICE_G[place % 4]];
        let weight = |to: usize, from: usize| -> i16 {
            let product = |row: usize, column: usize| {
                down[row] * across[column] * conv.weight(to, from, [row, column])
            };
            (0..9).map(|tap| product(tap / 3, tap % 3)).sum()
        };
        block.extend((0..lanes / 2).map(|pair| pair_weights::<VECTORS>(first, pair, weight)));
    }
    block
}

const TWICE_G: [[i16; 3]; 4] = [[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]];

/// Numbers in a 4x4 tile.
const PLACES: usize = 16;

/// Tiles worked on together, a multiple of both block widths: their V and sums stay in the first cache.
const TILES: usize = 16;
