//! Kernels for x86-64 with AVX-512 VNNI and VBMI: sixteen sums of four byte products in one instruction.
//!
//! ```text
//!   input     u8, four bytes of one pixel, the same four in every lane
//!   weights   i8, [16 output channels][4 input bytes]
//!   sums      i32, 16 output channels
//! ```
//!
//! The instruction wraps, it does not saturate, so a sum is exact as soon as its true value fits.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, __m512i, _mm_storeu_si128, _mm512_add_ps, _mm512_adds_epi16, _mm512_castsi512_si128,
    _mm512_cvtepi32_ps, _mm512_cvtps_epi32, _mm512_dpbusd_epi32, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_max_epu8, _mm512_min_epu8, _mm512_mul_ps, _mm512_packs_epi32,
    _mm512_packus_epi16, _mm512_permutexvar_epi8, _mm512_permutexvar_epi32, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

use super::avx2::Avx2;
use super::{Affine, Bytes, Clip, Dense, Depthwise, Out, Weights, tiles};

/// Proof that the processor has AVX2 and AVX-512 F, BW, VL, VNNI and VBMI.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Avx512 {
    avx2: Avx2,
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512vbmi");
        if there { Avx2::detect().map(|avx2| Self { avx2 }) } else { None }
    }

    pub(super) fn avx2(self) -> Avx2 {
        self.avx2
    }

    /// Does `rounds` times 24 dot products in registers, as many as sums fit beside weights and input, and nothing
    /// else; how many multiply-accumulates that were.
    pub(super) fn dot_products(self, rounds: usize) -> u64 {
        // SAFETY: `self` proves the features, which is the function's whole contract.
        unsafe { dot_products(rounds) }
    }

    pub(super) fn dense(self, dense: &Dense, rows: &[&[u8]], out: Out<'_>) {
        let Weights::Bytes(weights) = &dense.weights else { return };
        // SAFETY: `self` proves the features; the caller has checked the lengths of the rows.
        unsafe { dense_row(dense, weights, rows, out) }
    }

    pub(super) fn depthwise(self, depthwise: &Depthwise, input: (&[&[u8]], usize), out: Out<'_>) {
        let Some(three) = &depthwise.three else {
            return self.avx2.depthwise(depthwise, input, out);
        };
        // SAFETY: `self` proves the features; the caller has checked the lengths of the rows.
        unsafe { depthwise_row(depthwise, three, input, out) }
    }
}

/// # Safety
/// The features of [`Avx512`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn dot_products(rounds: usize) -> u64 {
    let four = _mm512_set1_epi32(std::hint::black_box(0x0102_0304));
    let weights = _mm512_set1_epi8(std::hint::black_box(1));
    let mut sums = [_mm512_setzero_si512(); 24];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbusd_epi32(*sum, four, weights);
        }
    }
    std::hint::black_box(sums);
    24 * 64 * rounds as u64
}

/// # Safety
/// The features of [`Avx512`]; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn dense_row(dense: &Dense, weights: &[Bytes], rows: &[&[u8]], mut out: Out<'_>) {
    let mut block = 0;
    while block < dense.affine.len() {
        // Sixteen sums hide the instruction's latency; more blocks at a time save loads of the input.
        match dense.affine.len() - block {
            4.. => {
                // SAFETY: as this function's own.
                unsafe { blocks::<4, 4>(dense, block, weights, rows, &mut out) };
                block += 4;
            }
            2.. => {
                // SAFETY: as this function's own.
                unsafe { blocks::<2, 8>(dense, block, weights, rows, &mut out) };
                block += 2;
            }
            _ => {
                // SAFETY: as this function's own.
                unsafe { blocks::<1, 16>(dense, block, weights, rows, &mut out) };
                block += 1;
            }
        }
    }
}

/// `BLOCKS` blocks of sixteen output channels, `PIXELS` pixels at a time.
///
/// # Safety
/// As [`dense_row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
unsafe fn blocks<const BLOCKS: usize, const PIXELS: usize>(
    dense: &Dense,
    block: usize,
    weights: &[Bytes],
    rows: &[&[u8]],
    out: &mut Out<'_>,
) {
    let per_block = dense.runs.len() * dense.quads;
    assert_eq!(weights.len(), dense.affine.len() * per_block, "weights of every block");
    let weights: [&[Bytes]; BLOCKS] =
        std::array::from_fn(|b| &weights[(block + b) * per_block..][..per_block]);
    for (x, whole) in tiles(out.width, PIXELS) {
        if whole {
            // SAFETY: as this function's own.
            unsafe { tile::<BLOCKS, PIXELS>(dense, weights, rows, (block, x), out) };
        } else {
            // SAFETY: as this function's own.
            unsafe { tile::<BLOCKS, 1>(dense, weights, rows, (block, x), out) };
        }
    }
}

/// # Safety
/// As [`dense_row`], for `PIXELS` pixels from `x` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
unsafe fn tile<const BLOCKS: usize, const PIXELS: usize>(
    dense: &Dense,
    weights: [&[Bytes]; BLOCKS],
    rows: &[&[u8]],
    (block, x): (usize, usize),
    out: &mut Out<'_>,
) {
    let Dense { quads, step, .. } = *dense;
    // Plain loops: a closure would not be compiled for these instructions together with its caller.
    let mut sums = [[_mm512_setzero_si512(); PIXELS]; BLOCKS];
    for (b, sums) in sums.iter_mut().enumerate() {
        *sums = [sixteen(&dense.affine[block + b].first); PIXELS];
    }
    let mut first = 0;
    for run in &dense.runs {
        let start = run.at + x * step;
        debug_assert!(start + (PIXELS - 1) * step + 4 * quads <= rows[run.row].len());
        let input = rows[run.row].as_ptr().wrapping_add(start);
        for quad in 0..quads {
            let mut of_quad = [_mm512_setzero_si512(); BLOCKS];
            for (b, of_quad) in of_quad.iter_mut().enumerate() {
                *of_quad = load(&weights[b][first + quad].0);
            }
            for p in 0..PIXELS {
                let four = input.wrapping_add(p * step + 4 * quad).cast::<i32>();
                // SAFETY: four bytes of the window of pixel `x + p`, by the contract.
                let four = _mm512_set1_epi32(unsafe { four.read_unaligned() });
                for (sums, &weights) in sums.iter_mut().zip(&of_quad) {
                    sums[p] = _mm512_dpbusd_epi32(sums[p], four, weights);
                }
            }
        }
        first += quads;
    }
    for (b, sums) in sums.into_iter().enumerate() {
        let start = out.start + (block + b) * out.block_stride + 16 * x;
        let made = &mut out.row[start..start + 16 * PIXELS];
        Finish::new(&dense.affine[block + b], dense.clip).store(sums, made);
    }
}

/// # Safety
/// The features of [`Avx512`]; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn depthwise_row(
    depthwise: &Depthwise,
    three: &[[[Bytes; 2]; 3]],
    (rows, block_stride): (&[&[u8]], usize),
    out: Out<'_>,
) {
    let by_channel = load(&BY_CHANNEL);
    // The first tap of each row of the window.
    let at = depthwise.taps[0][0].at;
    let Ok(rows) = <&[&[u8]; 3]>::try_from(rows) else { return };
    for ((block, affine), three) in depthwise.affine.iter().enumerate().zip(three) {
        let finish = Finish::new(affine, depthwise.clip);
        let first = sixteen(&affine.first);
        let mut weights = [[_mm512_setzero_si512(); 2]; 3];
        for (weights, three) in weights.iter_mut().zip(three) {
            *weights = [load(&three[0].0), load(&three[1].0)];
        }
        let start = out.start + block * out.block_stride;
        let made = &mut out.row[start..start + 16 * out.width];
        for (four, made) in made.chunks_mut(64).enumerate() {
            let mut sums = [first; 4];
            for (row, weights) in rows.iter().zip(&weights) {
                let start = block * block_stride + at + 64 * four;
                // Beyond the last pixel the second pair is not needed, and may not be there.
                let [first, second] = [start, (start + 32).min(row.len() - 64)];
                debug_assert!(start + 64 <= row.len());
                // SAFETY: 64 bytes of the row.
                let pixels = unsafe { _mm512_loadu_si512(row.as_ptr().wrapping_add(first).cast()) };
                let taps = _mm512_permutexvar_epi8(by_channel, pixels);
                sums[0] = _mm512_dpbusd_epi32(sums[0], taps, weights[0]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], taps, weights[1]);
                // SAFETY: 64 bytes of the row.
                let pixels =
                    unsafe { _mm512_loadu_si512(row.as_ptr().wrapping_add(second).cast()) };
                let taps = _mm512_permutexvar_epi8(by_channel, pixels);
                sums[2] = _mm512_dpbusd_epi32(sums[2], taps, weights[0]);
                sums[3] = _mm512_dpbusd_epi32(sums[3], taps, weights[1]);
            }
            if made.len() == 64 {
                finish.store(sums, made);
            } else {
                let mut all = [0; 64];
                finish.store(sums, &mut all);
                made.copy_from_slice(&all[..made.len()]);
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load<T>(vector: &[T; 64]) -> __m512i {
    const { assert!(size_of::<T>() == 1) };
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(vector.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn sixteen(numbers: &[i32; 16]) -> __m512i {
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// An [`Affine`] and a [`Clip`] in registers.
struct Finish {
    multiplier: __m512,
    bias: __m512,
    flip: __m512i,
    low: __m512i,
    high: __m512i,
}

impl Finish {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn new(affine: &Affine, clip: Clip) -> Self {
        Self {
            // SAFETY: sixteen numbers.
            multiplier: unsafe { _mm512_loadu_ps(affine.multiplier.as_ptr()) },
            // SAFETY: sixteen numbers.
            bias: unsafe { _mm512_loadu_ps(affine.bias.as_ptr()) },
            flip: _mm512_set1_epi16(i16::from(clip.flip)),
            low: _mm512_set1_epi8(clip.low.cast_signed()),
            high: _mm512_set1_epi8(clip.high.cast_signed()),
        }
    }

    /// Stores pixels of sixteen channels: a multiple of four, or one. By value, so that the sums stay in registers.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn store<const PIXELS: usize>(&self, sums: [__m512i; PIXELS], made: &mut [u8]) {
        if PIXELS == 1 {
            let stored = _mm512_castsi512_si128(self.four([sums[0]; 4]));
            if let Some(made) = made.first_chunk_mut::<16>() {
                // SAFETY: sixteen bytes.
                unsafe { _mm_storeu_si128(made.as_mut_ptr().cast(), stored) };
            }
            return;
        }
        for (i, made) in made.as_chunks_mut::<64>().0.iter_mut().enumerate().take(PIXELS / 4) {
            let stored =
                self.four([sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]]);
            // SAFETY: 64 bytes.
            unsafe { _mm512_storeu_si512(made.as_mut_ptr().cast(), stored) };
        }
    }

    /// The stored bytes of four pixels.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn four(&self, sums: [__m512i; 4]) -> __m512i {
        // Packing works within quarters: four channels of each pixel in every one.
        let packed = _mm512_packus_epi16(self.two(sums[0], sums[1]), self.two(sums[2], sums[3]));
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let stored = _mm512_permutexvar_epi32(order, packed);
        _mm512_min_epu8(_mm512_max_epu8(stored, self.low), self.high)
    }

    /// The numbers of two pixels in 16 bits, as they are stored.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn two(&self, a: __m512i, b: __m512i) -> __m512i {
        _mm512_adds_epi16(_mm512_packs_epi32(self.numbers(a), self.numbers(b)), self.flip)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn numbers(&self, sums: __m512i) -> __m512i {
        let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), self.multiplier);
        _mm512_cvtps_epi32(_mm512_add_ps(product, self.bias))
    }
}

/// Four pixels of sixteen channels to sixteen channels of four pixels.
static BY_CHANNEL: [u8; 64] = by_channel();

const fn by_channel() -> [u8; 64] {
    let mut indices = [0; 64];
    let mut channel = 0;
    while channel < 16 {
        let mut pixel = 0;
        while pixel < 4 {
            indices[4 * channel as usize + pixel as usize] = 16 * pixel + channel;
            pixel += 1;
        }
        channel += 1;
    }
    indices
}
