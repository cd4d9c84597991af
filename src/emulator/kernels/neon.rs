//! Kernels for aarch64: dot products of bytes where the processor has them (`sdot`: Cortex-A76 and later, as in the
//! Raspberry Pi 5), else products of bytes, added in pairs.
//!
//! Both factors are signed here, so 128 is taken off every byte; what that takes off a sum is put back where the
//! sum begins ([`super::Instructions::surplus`]).
//!
//! The intrinsic of `sdot` is not stable yet; the instruction itself is written instead.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int16x8_t, int32x4_t, uint8x16_t, vaddq_f32, vaddq_s32, vcombine_u8,
    vcvtnq_s32_f32, vcvtq_f32_s32, vdupq_laneq_s32, vdupq_n_s8, vdupq_n_s16, vdupq_n_s32,
    vdupq_n_u8, veorq_u8, vget_low_s8, vget_low_s16, vget_low_u8, vld1q_dup_s32, vld1q_f32,
    vld1q_s8, vld1q_s32, vld1q_u8, vld2q_s16, vmaxq_u8, vminq_u8, vmlal_high_s16, vmlal_s16,
    vmovl_high_u8, vmovl_u8, vmull_high_s8, vmull_s8, vmulq_f32, vpadalq_s16, vpaddq_s32,
    vqaddq_s16, vqmovn_high_s32, vqmovn_s32, vqmovun_s16, vreinterpretq_s8_s32,
    vreinterpretq_s8_u8, vreinterpretq_s16_u16, vreinterpretq_s32_s8, vreinterpretq_u8_s32,
    vst1q_u8,
};
use std::arch::{asm, is_aarch64_feature_detected};

use super::{Affine, Bytes, Clip, Dense, Depthwise, Out, Weights, tiles};

/// Every aarch64 processor has NEON; `sdot` is a proof of its own.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Neon {
    sdot: bool,
}

impl Neon {
    pub(super) fn new() -> Self {
        Self { sdot: false }
    }

    pub(super) fn with_sdot() -> Option<Self> {
        is_aarch64_feature_detected!("dotprod").then_some(Self { sdot: true })
    }

    pub(super) fn dense(self, dense: &Dense, rows: &[&[u8]], out: Out<'_>) {
        let Weights::Bytes(weights) = &dense.weights else { return };
        // SAFETY: every aarch64 processor has NEON; the caller has checked the lengths of the rows.
        unsafe { dense_row(dense, weights, rows, out, self.sdot) }
    }

    pub(super) fn depthwise(self, depthwise: &Depthwise, input: (&[&[u8]], usize), out: Out<'_>) {
        // SAFETY: every aarch64 processor has NEON; the caller has checked the lengths of the rows.
        unsafe { depthwise_row(depthwise, input, out) }
    }
}

/// # Safety
/// NEON, and `dotprod` if `sdot`; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "neon")]
unsafe fn dense_row(
    dense: &Dense,
    weights: &[Bytes],
    rows: &[&[u8]],
    mut out: Out<'_>,
    sdot: bool,
) {
    let per_block = weights.len() / dense.affine.len();
    for (block, affine) in dense.affine.iter().enumerate() {
        let input = (dense, &weights[block * per_block..][..per_block], rows);
        let finish = Finish::new(affine, dense.clip);
        if sdot {
            // SAFETY: as this function's own.
            unsafe { sdot_row(input, block, &finish, &mut out) };
        } else {
            // SAFETY: as this function's own.
            unsafe { plain_row(input, block, &finish, &mut out) };
        }
    }
}

/// # Safety
/// NEON; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "neon")]
unsafe fn depthwise_row(depthwise: &Depthwise, input: (&[&[u8]], usize), mut out: Out<'_>) {
    for (block, affine) in depthwise.affine.iter().enumerate() {
        let finish = Finish::new(affine, depthwise.clip);
        for x in 0..out.width {
            // SAFETY: as this function's own.
            let sums = unsafe { depthwise_sums(depthwise, input, (block, x), finish.first) };
            finish.store(sums, &mut out, (block, x));
        }
    }
}

/// A dense convolution, the weights of one block, the rows of the window.
type Input<'a> = (&'a Dense, &'a [Bytes], &'a [&'a [u8]]);

/// # Safety
/// `dotprod`; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot_row(input: Input<'_>, block: usize, finish: &Finish, out: &mut Out<'_>) {
    for (x, whole) in tiles(out.width, 4) {
        if whole {
            // SAFETY: as this function's own.
            unsafe { sdot_tile::<4>(input, (block, x), finish, out) };
        } else {
            // SAFETY: as this function's own.
            unsafe { sdot_tile::<1>(input, (block, x), finish, out) };
        }
    }
}

/// # Safety
/// As [`sdot_row`], for `PIXELS` pixels from `x` on.
#[target_feature(enable = "neon,dotprod")]
#[inline]
unsafe fn sdot_tile<const PIXELS: usize>(
    (dense, weights, rows): Input<'_>,
    (block, x): (usize, usize),
    finish: &Finish,
    out: &mut Out<'_>,
) {
    let Dense { quads, step, .. } = *dense;
    let mut sums = [finish.first; PIXELS];
    for (run, weights) in dense.runs.iter().zip(weights.chunks_exact(quads)) {
        let start = run.at + x * step;
        debug_assert!(start + (PIXELS - 1) * step + 4 * quads <= rows[run.row].len());
        let input = rows[run.row].as_ptr().wrapping_add(start);
        let (fours, rest) = weights.as_chunks::<4>();
        for (i, [first, second, third, fourth]) in fours.iter().enumerate() {
            // SAFETY: sixteen bytes of the window of every pixel, by the contract.
            let inputs = unsafe { sixteens::<PIXELS>(input.wrapping_add(16 * i), step) };
            dots::<0, PIXELS>(&mut sums, first, &inputs);
            dots::<1, PIXELS>(&mut sums, second, &inputs);
            dots::<2, PIXELS>(&mut sums, third, &inputs);
            dots::<3, PIXELS>(&mut sums, fourth, &inputs);
        }
        for (i, weights) in rest.iter().enumerate() {
            let at = input.wrapping_add(16 * fours.len() + 4 * i);
            // SAFETY: four bytes of the window of every pixel, by the contract.
            let inputs = unsafe { spread_fours::<PIXELS>(at, step) };
            dots::<0, PIXELS>(&mut sums, weights, &inputs);
        }
    }
    for (p, sums) in sums.into_iter().enumerate() {
        finish.store(sums, out, (block, x + p));
    }
}

/// Adds the products of the weights and of the `QUAD`th four bytes of each pixel's sixteen.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dots<const QUAD: i32, const PIXELS: usize>(
    sums: &mut [[int32x4_t; 4]; PIXELS],
    weights: &Bytes,
    inputs: &[int8x16_t; PIXELS],
) {
    let weights = quarters(weights);
    for (sums, &input) in sums.iter_mut().zip(inputs) {
        for (sum, &weights) in sums.iter_mut().zip(&weights) {
            // SAFETY: `dotprod` is this function's own feature; registers only.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {weights:v}.16b, {input:v}.4b[{quad}]",
                    sum = inout(vreg) *sum,
                    weights = in(vreg) weights,
                    input = in(vreg) input,
                    quad = const QUAD,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}

/// # Safety
/// NEON; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "neon")]
unsafe fn plain_row(input: Input<'_>, block: usize, finish: &Finish, out: &mut Out<'_>) {
    for (x, whole) in tiles(out.width, 2) {
        if whole {
            // SAFETY: as this function's own.
            unsafe { plain_tile::<2>(input, (block, x), finish, out) };
        } else {
            // SAFETY: as this function's own.
            unsafe { plain_tile::<1>(input, (block, x), finish, out) };
        }
    }
}

/// # Safety
/// As [`plain_row`], for `PIXELS` pixels from `x` on.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn plain_tile<const PIXELS: usize>(
    (dense, weights, rows): Input<'_>,
    (block, x): (usize, usize),
    finish: &Finish,
    out: &mut Out<'_>,
) {
    let Dense { quads, step, .. } = *dense;
    // Of each output channel two halves of the sum: those of the first two and of the last two bytes of four.
    let mut halves = [[[vdupq_n_s32(0); 2]; 4]; PIXELS];
    for (run, weights) in dense.runs.iter().zip(weights.chunks_exact(quads)) {
        let start = run.at + x * step;
        debug_assert!(start + (PIXELS - 1) * step + 4 * quads <= rows[run.row].len());
        let input = rows[run.row].as_ptr().wrapping_add(start);
        let (fours, rest) = weights.as_chunks::<4>();
        for (i, [first, second, third, fourth]) in fours.iter().enumerate() {
            // SAFETY: sixteen bytes of the window of every pixel, by the contract.
            let inputs = unsafe { sixteens::<PIXELS>(input.wrapping_add(16 * i), step) };
            products::<0, PIXELS>(&mut halves, first, &inputs);
            products::<1, PIXELS>(&mut halves, second, &inputs);
            products::<2, PIXELS>(&mut halves, third, &inputs);
            products::<3, PIXELS>(&mut halves, fourth, &inputs);
        }
        for (i, weights) in rest.iter().enumerate() {
            let at = input.wrapping_add(16 * fours.len() + 4 * i);
            // SAFETY: four bytes of the window of every pixel, by the contract.
            let inputs = unsafe { spread_fours::<PIXELS>(at, step) };
            products::<0, PIXELS>(&mut halves, weights, &inputs);
        }
    }
    for (p, halves) in halves.into_iter().enumerate() {
        let mut sums = finish.first;
        for (sum, [low, high]) in sums.iter_mut().zip(halves) {
            *sum = vaddq_s32(*sum, vpaddq_s32(low, high));
        }
        finish.store(sums, out, (block, x + p));
    }
}

/// What [`dots`] adds, as two halves of each sum.
#[target_feature(enable = "neon")]
#[inline]
fn products<const QUAD: i32, const PIXELS: usize>(
    halves: &mut [[[int32x4_t; 2]; 4]; PIXELS],
    weights: &Bytes,
    inputs: &[int8x16_t; PIXELS],
) {
    let weights = quarters(weights);
    for (halves, &input) in halves.iter_mut().zip(inputs) {
        let four = vreinterpretq_s8_s32(vdupq_laneq_s32::<QUAD>(vreinterpretq_s32_s8(input)));
        for ([low, high], &weights) in halves.iter_mut().zip(&weights) {
            // A product of two bytes fits 16 bits, even -128 times -128.
            let products = vmull_s8(vget_low_s8(weights), vget_low_s8(four));
            *low = vpadalq_s16(*low, products);
            *high = vpadalq_s16(*high, vmull_high_s8(weights, four));
        }
    }
}

/// # Safety
/// NEON; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn depthwise_sums(
    depthwise: &Depthwise,
    (rows, block_stride): (&[&[u8]], usize),
    (block, x): (usize, usize),
    mut sums: [int32x4_t; 4],
) -> [int32x4_t; 4] {
    let pairs = depthwise.taps.len();
    let weights = &depthwise.weights[block * pairs..][..pairs];
    for (taps, weights) in depthwise.taps.iter().zip(weights) {
        // Channels 0 to 7 and 8 to 15, each with the weights of both taps.
        // SAFETY: the first half of 32 numbers.
        let low = unsafe { vld2q_s16(weights.0.as_ptr()) };
        // SAFETY: the other half.
        let high = unsafe { vld2q_s16(weights.0[16..].as_ptr()) };
        for (tap, [low, high]) in taps.iter().zip([[low.0, high.0], [low.1, high.1]]) {
            let start = block * block_stride + tap.at + x * depthwise.step;
            debug_assert!(start + 16 <= rows[tap.row].len());
            let pixel = rows[tap.row].as_ptr().wrapping_add(start);
            // SAFETY: sixteen bytes of the window of pixel `x`, by the contract.
            let pixel = unsafe { vld1q_u8(pixel) };
            let first = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(pixel)));
            let last = vreinterpretq_s16_u16(vmovl_high_u8(pixel));
            sums[0] = vmlal_s16(sums[0], vget_low_s16(first), vget_low_s16(low));
            sums[1] = vmlal_high_s16(sums[1], first, low);
            sums[2] = vmlal_s16(sums[2], vget_low_s16(last), vget_low_s16(high));
            sums[3] = vmlal_high_s16(sums[3], last, high);
        }
    }
    sums
}

/// Sixteen bytes of each pixel, 128 taken off each.
///
/// # Safety
/// Sixteen bytes may be read at every `step` from `bytes` on.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn sixteens<const PIXELS: usize>(bytes: *const u8, step: usize) -> [int8x16_t; PIXELS] {
    let mut inputs = [vdupq_n_s8(0); PIXELS];
    for (p, input) in inputs.iter_mut().enumerate() {
        // SAFETY: by the contract.
        let bytes = unsafe { vld1q_u8(bytes.wrapping_add(p * step)) };
        *input = signed(bytes);
    }
    inputs
}

/// Four bytes of each pixel, the same in every four.
///
/// # Safety
/// Four bytes may be read at every `step` from `bytes` on.
#[target_feature(enable = "neon")]
#[inline]
unsafe fn spread_fours<const PIXELS: usize>(bytes: *const u8, step: usize) -> [int8x16_t; PIXELS] {
    let mut inputs = [vdupq_n_s8(0); PIXELS];
    for (p, input) in inputs.iter_mut().enumerate() {
        // SAFETY: by the contract; the instruction asks for no alignment.
        let four = unsafe { vld1q_dup_s32(bytes.wrapping_add(p * step).cast()) };
        *input = signed(vreinterpretq_u8_s32(four));
    }
    inputs
}

/// Bytes less 128.
#[target_feature(enable = "neon")]
#[inline]
fn signed(bytes: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)))
}

/// The weights of four output channels each.
#[target_feature(enable = "neon")]
#[inline]
fn quarters(bytes: &Bytes) -> [int8x16_t; 4] {
    // SAFETY: sixteen of 64 bytes each.
    [0, 16, 32, 48].map(|start| unsafe { vld1q_s8(bytes.0[start..start + 16].as_ptr()) })
}

/// An [`Affine`] and a [`Clip`] in registers.
struct Finish {
    first: [int32x4_t; 4],
    multiplier: [float32x4_t; 4],
    bias: [float32x4_t; 4],
    flip: int16x8_t,
    low: uint8x16_t,
    high: uint8x16_t,
}

impl Finish {
    #[target_feature(enable = "neon")]
    fn new(affine: &Affine, clip: Clip) -> Self {
        let fours = |numbers: &[f32; 16]| {
            // SAFETY: four of sixteen numbers each.
            [0, 4, 8, 12].map(|start| unsafe { vld1q_f32(numbers[start..start + 4].as_ptr()) })
        };
        let first = |start: usize| {
            // SAFETY: four of sixteen numbers.
            unsafe { vld1q_s32(affine.first[start..start + 4].as_ptr()) }
        };
        Self {
            first: [0, 4, 8, 12].map(first),
            multiplier: fours(&affine.multiplier),
            bias: fours(&affine.bias),
            flip: vdupq_n_s16(i16::from(clip.flip)),
            low: vdupq_n_u8(clip.low),
            high: vdupq_n_u8(clip.high),
        }
    }

    /// Stores a pixel of sixteen channels.
    #[target_feature(enable = "neon")]
    #[inline]
    fn store(&self, sums: [int32x4_t; 4], out: &mut Out<'_>, (block, x): (usize, usize)) {
        let number = |i: usize| {
            let product = vmulq_f32(vcvtq_f32_s32(sums[i]), self.multiplier[i]);
            vcvtnq_s32_f32(vaddq_f32(product, self.bias[i]))
        };
        let eight = |i: usize| {
            let numbers = vqmovn_high_s32(vqmovn_s32(number(i)), number(i + 1));
            vqmovun_s16(vqaddq_s16(numbers, self.flip))
        };
        let stored = vcombine_u8(eight(0), eight(2));
        let stored = vminq_u8(vmaxq_u8(stored, self.low), self.high);
        let start = out.start + block * out.block_stride + 16 * x;
        let made = &mut out.row[start..start + 16];
        // SAFETY: sixteen bytes.
        unsafe { vst1q_u8(made.as_mut_ptr(), stored) };
    }
}
