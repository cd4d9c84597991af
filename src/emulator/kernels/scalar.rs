//! Kernels in safe code for every processor: products of pairs of 16 bits, which `wide` maps to one
//! instruction of the baseline (SSE2, NEON) or to plain loops.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4, u8x16};

use super::{Add, Affine, Clip, Dense, Depthwise, Out, Weights};

pub(super) fn dense(dense: &Dense, rows: &[&[u8]], mut out: Out<'_>, scratch: &mut [i16]) {
    let Weights::Pairs(weights) = &dense.weights else { return };
    let len = rows[0].len();
    let widened = widen(rows, scratch);
    let per_block = weights.len() / dense.affine.len();
    for (block, affine) in dense.affine.iter().enumerate() {
        let weights = &weights[block * per_block..][..per_block];
        for x in 0..out.width {
            let mut sums = first(affine);
            for (run, weights) in dense.runs.iter().zip(weights.chunks_exact(dense.quads)) {
                let start = run.row * len + run.at + x * dense.step;
                let input = &widened[start..start + 4 * dense.quads];
                for (four, weights) in input.as_chunks::<4>().0.iter().zip(weights) {
                    for (pair, weights) in four.as_chunks::<2>().0.iter().zip(weights) {
                        let pair: i16x8 = cast([*pair; 4]);
                        let weights = weights.0.as_chunks::<8>().0;
                        for (sum, &weights) in sums.iter_mut().zip(weights) {
                            *sum += pair.dot(i16x8::new(weights));
                        }
                    }
                }
            }
            store(&mut out, block, x, finish(sums, affine, dense.clip));
        }
    }
}

pub(super) fn depthwise(
    depthwise: &Depthwise,
    (rows, block_stride): (&[&[u8]], usize),
    mut out: Out<'_>,
) {
    let taps = depthwise.taps.len();
    for (block, affine) in depthwise.affine.iter().enumerate() {
        let weights = &depthwise.weights[block * taps..][..taps];
        for x in 0..out.width {
            let mut sums = first(affine);
            for (taps, weights) in depthwise.taps.iter().zip(weights) {
                let [a, b] = taps.map(|tap| {
                    let start = block * block_stride + tap.at + x * depthwise.step;
                    rows[tap.row][start..start + 16].as_chunks::<4>().0
                });
                let weights = weights.0.as_chunks::<8>().0;
                for (((sum, a), b), &weights) in sums.iter_mut().zip(a).zip(b).zip(weights) {
                    let pairs = [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]].map(i16::from);
                    *sum += i16x8::new(pairs).dot(i16x8::new(weights));
                }
            }
            store(&mut out, block, x, finish(sums, affine, depthwise.clip));
        }
    }
}

pub(super) fn add(add: &Add, [a, b]: [&[u8]; 2], made: &mut [u8]) {
    let [zero_a, zero_b] = add.zeros.map(i16::from);
    let [shift_a, shift_b] = add.shifts;
    let (half, one) = if add.back > 0 { ((1 << (add.back - 1)) - 1, 1) } else { (0, 0) };
    let Clip { flip, low, high } = add.clip;
    let (flip, low, high) = (i16::from(flip), i16::from(low), i16::from(high));
    for ((made, &a), &b) in made.iter_mut().zip(a).zip(b) {
        let sum = ((i16::from(a) - zero_a) << shift_a) + ((i16::from(b) - zero_b) << shift_b);
        // Half to even: half less one, and one more where the result would be odd.
        let rounded = (sum + half + ((sum >> add.back) & one)) >> add.back;
        *made = (rounded + flip).clamp(low, high).to_le_bytes()[0];
    }
}

/// The largest of 2 x 2 pixels of sixteen bytes.
pub(super) fn max_pool_2x2([upper, lower]: [&[u8]; 2], made: &mut [u8]) {
    let pixels = made.as_chunks_mut::<16>().0.iter_mut();
    let (upper, lower) = (upper.as_chunks::<16>().0, lower.as_chunks::<16>().0);
    for ((pixel, upper), lower) in
        pixels.zip(upper.as_chunks::<2>().0).zip(lower.as_chunks::<2>().0)
    {
        let [a, b] = upper.map(u8x16::new);
        let [c, d] = lower.map(u8x16::new);
        *pixel = a.max(b).max(c.max(d)).to_array();
    }
}

/// Four planes of bytes to pixels of four.
pub(super) fn interleave([a, b, c, d]: [&[u8]; 4], flip: u8, made: &mut [u8]) {
    let pixels = made.as_chunks_mut::<4>().0.iter_mut();
    for ((((pixel, &a), &b), &c), &d) in pixels.zip(a).zip(b).zip(c).zip(d) {
        *pixel = [a, b, c, d].map(|byte| byte ^ flip);
    }
}

/// The bytes of all rows, one after the other, as 16 bits.
#[inline(always)]
pub(super) fn widen<'a>(rows: &[&[u8]], scratch: &'a mut [i16]) -> &'a [i16] {
    let len = rows[0].len();
    for (wide, row) in scratch.chunks_exact_mut(len).zip(rows) {
        for (wide, &byte) in wide.iter_mut().zip(*row) {
            *wide = i16::from(byte);
        }
    }
    scratch
}

fn first(affine: &Affine) -> [i32x4; 4] {
    cast(affine.first)
}

fn finish(sums: [i32x4; 4], affine: &Affine, clip: Clip) -> [u8; 16] {
    let mut made = [0; 16];
    let multipliers: [f32x4; 4] = cast(affine.multiplier);
    let biases: [f32x4; 4] = cast(affine.bias);
    for (i, made) in made.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let steps = sums[i].round_float() * multipliers[i] + biases[i];
        // What the planner lets through fits an int32, so that this is the plain instruction.
        let numbers = steps.fast_round_int() + i32x4::splat(i32::from(clip.flip));
        let (low, high) = (i32::from(clip.low), i32::from(clip.high));
        *made = numbers.to_array().map(|number| number.clamp(low, high).to_le_bytes()[0]);
    }
    made
}

fn store(out: &mut Out<'_>, block: usize, x: usize, pixel: [u8; 16]) {
    let start = out.start + block * out.block_stride + 16 * x;
    out.row[start..start + 16].copy_from_slice(&pixel);
}
