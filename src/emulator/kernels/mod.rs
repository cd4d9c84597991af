//! Rows of the blocked layout, by the instructions that the processor has. Every kernel gives the same bits.
//!
//! ```text
//!   a row     one stretch of pixels for each sixteen channels, sixteen bytes a pixel; the picture has four
//!
//!             border px 0 px 1 ... border | border px 0 px 1 ... border | ...
//!             \_ channels 0 to 15 ______/   \_ channels 16 to 31 ____/
//! ```
//!
//! A signed number is stored 128 higher ([`flip`]), so that every byte is unsigned and the order of bytes is
//! the order of numbers. Sums are int32 and exact. Then, as the reference says, one conversion, one product,
//! one sum, each rounded once and never fused; in steps of the output, whose scale is a power of two.
//!
//! The files of one instruction set are the only ones with unsafe code. Each has a token that only its
//! `detect` makes, and every function checks its rows' lengths before it reads or writes through pointers.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(super) mod ymm_vnni;

use super::engine::Kernel;

/// A kernel that this processor has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    YmmVnni(ymm_vnni::YmmVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
}

/// A dense convolution, ready for its rows.
#[derive(Debug)]
pub(super) struct Dense {
    /// Stretches of input that output pixel 0 reads.
    pub(super) runs: Vec<Run>,
    /// Four-byte groups in a run.
    pub(super) quads: usize,
    /// Bytes from one output pixel's input to the next one's.
    pub(super) step: usize,
    /// Where the last of output pixel 0's input ends.
    pub(super) reach: usize,
    /// By block of output channels, by run, by quad.
    pub(super) weights: Weights,
    /// By block of output channels.
    pub(super) affine: Vec<Affine>,
    pub(super) clip: Clip,
}

/// Where input begins: which row of the window, at which byte of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) row: usize,
    pub(super) at: usize,
}

/// Weights of sixteen output channels and four input bytes.
#[derive(Debug)]
pub(super) enum Weights {
    /// `[16 outputs][4 inputs]`, for dot products of bytes.
    Bytes(Vec<Bytes>),
    /// `[2 halves][16 outputs][2 inputs]`, for products of pairs.
    Pairs(Vec<[Pairs; 2]>),
}

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Bytes(pub(super) [i8; 64]);

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Pairs(pub(super) [i16; 32]);

/// A depthwise convolution.
#[derive(Debug)]
pub(super) struct Depthwise {
    /// Where pixel 0 of the first block reads, by pairs of taps. An odd tap is paired with itself.
    pub(super) taps: Vec<[Run; 2]>,
    /// Bytes from one output pixel's input to the next one's.
    pub(super) step: usize,
    /// Where the last of output pixel 0's input ends, in the last block.
    pub(super) reach: usize,
    /// By block, by pair of taps: `[16 channels][2 taps]`.
    pub(super) weights: Vec<Pairs>,
    /// Of a 3 x 3 window with stride 1, by block, by row: [`Bytes`] of three columns, then the same one column on.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for AVX-512 only"))]
    pub(super) three: Option<Vec<[[Bytes; 2]; 3]>>,
    pub(super) affine: Vec<Affine>,
    pub(super) clip: Clip,
}

/// Sum of two maps, in 16-bit integers: `(a << shifts[0]) + (b << shifts[1])`, shifted back by `back`.
#[derive(Debug)]
pub(super) struct Add {
    pub(super) zeros: [u8; 2],
    pub(super) shifts: [u32; 2],
    pub(super) back: u32,
    pub(super) clip: Clip,
}

/// How the sums of sixteen channels become stored numbers: `round(sum * multiplier + bias)`, in steps of the output.
/// The planner has seen to it that this fits an int32.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) multiplier: [f32; 16],
    pub(super) bias: [f32; 16],
    /// Where the sum begins: what the offset of the input's bytes adds, taken off.
    pub(super) first: [i32; 16],
}

/// The last step: what is added to a number to store it, and the stored bytes that it stays between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clip {
    pub(super) flip: u8,
    pub(super) low: u8,
    pub(super) high: u8,
}

/// A row to write: the pixels of the first block at `start`, those of the others `block_stride` apart.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) row: &'a mut [u8],
    pub(super) start: usize,
    pub(super) block_stride: usize,
    pub(super) width: usize,
}

impl Instructions {
    /// `None` where this processor has not got it.
    pub(super) fn detect(kernel: Kernel) -> Option<Self> {
        match kernel {
            Kernel::Scalar => Some(Self::Scalar),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => ymm_vnni::YmmVnni::detect().map(Self::YmmVnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => avx512::Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => Some(Self::Neon(neon::Neon::new())),
            #[cfg(target_arch = "aarch64")]
            Kernel::Sdot => neon::Neon::with_sdot().map(Self::Neon),
            #[expect(clippy::allow_attributes, reason = "every processor lacks some of them")]
            #[allow(unreachable_patterns, reason = "the kernels of the other processors")]
            _ => None,
        }
    }

    /// Does dot products of bytes in registers and nothing else, `rounds` times as many as fit there; how many
    /// multiply-accumulates that were. `None` for kernels that do not live on that instruction.
    pub(super) fn dot_products(self, rounds: usize) -> Option<u64> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => Some(vnni.dot_products(rounds)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => Some(avx512.dot_products(rounds)),
            _ => {
                let _ = rounds;
                None
            }
        }
    }

    /// What the byte that a dense convolution multiplies exceeds the stored number by. The instructions for bytes
    /// want one factor unsigned (x86-64) or both signed (aarch64).
    pub(super) fn surplus(self, signed: bool) -> i32 {
        let unsigned = if signed { 128 } else { 0 };
        match self {
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => unsigned - 128,
            _ => unsigned,
        }
    }

    /// Lays out the weights of a dense convolution; `weight` gives that of an output channel and an input byte,
    /// counted over all runs.
    pub(super) fn weights(
        self,
        outputs: usize,
        bytes: usize,
        weight: impl Fn(usize, usize) -> i8,
    ) -> Weights {
        let quads = (0..outputs.div_ceil(16))
            .flat_map(|block| (0..bytes / 4).map(move |quad| (16 * block, 4 * quad)));
        match self {
            Self::Scalar => Weights::Pairs(pairs(quads, weight)),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Weights::Pairs(pairs(quads, weight)),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => Weights::Bytes(
                quads
                    .map(|(output, byte)| {
                        Bytes(std::array::from_fn(|i| weight(output + i / 4, byte + i % 4)))
                    })
                    .collect(),
            ),
        }
    }

    /// One row of every block of output channels; `rows` are those of the window. `scratch` is as long as them all.
    pub(super) fn dense(self, dense: &Dense, rows: &[&[u8]], out: Out<'_>, scratch: &mut [i16]) {
        check((dense.reach, dense.step), rows, dense.affine.len(), &out);
        match self {
            Self::Scalar => scalar::dense(dense, rows, out, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.dense(dense, rows, out, scratch),
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => vnni.dense(dense, rows, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.dense(dense, rows, out),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.dense(dense, rows, out),
        }
    }

    /// One row of every block; the input's blocks are `block_stride` bytes apart.
    pub(super) fn depthwise(
        self,
        depthwise: &Depthwise,
        (rows, block_stride): (&[&[u8]], usize),
        out: Out<'_>,
    ) {
        check((depthwise.reach, depthwise.step), rows, depthwise.affine.len(), &out);
        let input = (rows, block_stride);
        match self {
            Self::Scalar => scalar::depthwise(depthwise, input, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.depthwise(depthwise, input, out),
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => vnni.avx2().depthwise(depthwise, input, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.depthwise(depthwise, input, out),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(neon) => neon.depthwise(depthwise, input, out),
        }
    }

    /// Rows of equal length.
    pub(super) fn add(self, add: &Add, inputs: [&[u8]; 2], made: &mut [u8]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.add(add, inputs, made),
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => vnni.avx2().add(add, inputs, made),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.avx2().add(add, inputs, made),
            _ => scalar::add(add, inputs, made),
        }
    }

    /// The largest of 2 x 2 pixels of sixteen bytes; the input's rows are twice as long.
    pub(super) fn max_pool_2x2(self, rows: [&[u8]; 2], made: &mut [u8]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.max_pool_2x2(rows, made),
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => vnni.avx2().max_pool_2x2(rows, made),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.avx2().max_pool_2x2(rows, made),
            _ => scalar::max_pool_2x2(rows, made),
        }
    }

    /// Rows of four planes to pixels of four bytes, each byte flipped by `flip`.
    pub(super) fn interleave(self, planes: [&[u8]; 4], flip: u8, made: &mut [u8]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(avx2) => avx2.interleave(planes, flip, made),
            #[cfg(target_arch = "x86_64")]
            Self::YmmVnni(vnni) => vnni.avx2().interleave(planes, flip, made),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(avx512) => avx512.avx2().interleave(planes, flip, made),
            _ => scalar::interleave(planes, flip, made),
        }
    }
}

/// Where tiles of `pixels` pixels begin that cover a row, and whether it is whole tiles: then the last one lies over
/// pixels that have been made already, if need be. A row shorter than a tile is made pixel by pixel.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn tiles(width: usize, pixels: usize) -> impl Iterator<Item = (usize, bool)> {
    let whole = width >= pixels;
    let step = if whole { pixels } else { 1 };
    (0..width.div_ceil(step)).map(move |tile| ((tile * step).min(width - step), whole))
}

fn pairs(
    quads: impl Iterator<Item = (usize, usize)>,
    weight: impl Fn(usize, usize) -> i8,
) -> Vec<[Pairs; 2]> {
    let half = |output: usize, byte: usize| {
        Pairs(std::array::from_fn(|i| i16::from(weight(output + i / 2, byte + i % 2))))
    };
    quads.map(|(output, byte)| [half(output, byte), half(output, byte + 2)]).collect()
}

/// Every row of the window is as long as its last pixel's input, and [`SLACK`] longer; the output fits its row.
fn check((reach, step): (usize, usize), rows: &[&[u8]], blocks: usize, out: &Out<'_>) {
    let end = (out.width - 1) * step + reach + SLACK;
    let shortest = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    assert!(end <= shortest, "input up to {end} of {shortest} bytes of a row");
    let end = out.start + (blocks - 1) * out.block_stride + 16 * out.width;
    assert!(end <= out.row.len(), "output up to {end} of {} bytes of a row", out.row.len());
}

/// What is added to a number to store it.
pub(super) fn flip(signed: bool) -> u8 {
    if signed { 128 } else { 0 }
}

/// Bytes after a row's last pixel that may be read: a vector may begin at any four bytes.
pub(super) const SLACK: usize = 64;
