//! Kernels for x86-64 with AVX2: products of pairs of 16 bits, eight sums of two at a time.
//!
//! The instruction for bytes (`maddubs`) saturates at 16 bits, which would not be exact.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_max_epu8, _mm_setzero_si128,
    _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_adds_epi16, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_cvtps_epi32,
    _mm256_extracti128_si256, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_max_epu8, _mm256_min_epu8, _mm256_mul_ps, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permutevar8x32_epi32, _mm256_set_m128i, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_sra_epi16, _mm256_storeu_si256,
    _mm256_sub_epi16, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8, _mm256_xor_si256,
};

use super::{Add, Affine, Clip, Dense, Depthwise, Out, Pairs, Weights, scalar, tiles};

/// Proof that the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn dense(self, dense: &Dense, rows: &[&[u8]], out: Out<'_>, scratch: &mut [i16]) {
        let Weights::Pairs(weights) = &dense.weights else { return };
        // SAFETY: `self` proves the feature; the caller has checked the lengths of the rows.
        unsafe { dense_row(dense, weights, rows, out, scratch) }
    }

    pub(super) fn depthwise(self, depthwise: &Depthwise, input: (&[&[u8]], usize), out: Out<'_>) {
        // SAFETY: `self` proves the feature; the caller has checked the lengths of the rows.
        unsafe { depthwise_row(depthwise, input, out) }
    }

    pub(super) fn add(self, add: &Add, inputs: [&[u8]; 2], made: &mut [u8]) {
        // SAFETY: `self` proves the feature, which is the function's whole contract.
        unsafe { add_row(add, inputs, made) }
    }

    pub(super) fn max_pool_2x2(self, rows: [&[u8]; 2], made: &mut [u8]) {
        // SAFETY: `self` proves the feature, which is the function's whole contract.
        unsafe { max_pool_row(rows, made) }
    }

    pub(super) fn interleave(self, planes: [&[u8]; 4], flip: u8, made: &mut [u8]) {
        // SAFETY: `self` proves the feature, which is the function's whole contract.
        unsafe { interleave_row(planes, flip, made) }
    }
}

/// # Safety
/// AVX2; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "avx2")]
unsafe fn dense_row(
    dense: &Dense,
    weights: &[[Pairs; 2]],
    rows: &[&[u8]],
    mut out: Out<'_>,
    scratch: &mut [i16],
) {
    let len = rows[0].len();
    let widened = scalar::widen(rows, scratch);
    let per_block = weights.len() / dense.affine.len();
    for (block, affine) in dense.affine.iter().enumerate() {
        let weights = &weights[block * per_block..][..per_block];
        let finish = Finish::new(affine, dense.clip);
        for (x, whole) in tiles(out.width, 4) {
            if whole {
                // SAFETY: as this function's own.
                unsafe { tile::<4>(dense, weights, (widened, len), (block, x), &finish, &mut out) };
            } else {
                // SAFETY: as this function's own.
                unsafe { tile::<1>(dense, weights, (widened, len), (block, x), &finish, &mut out) };
            }
        }
    }
}

/// # Safety
/// As [`dense_row`], for `PIXELS` pixels from `x` on.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn tile<const PIXELS: usize>(
    dense: &Dense,
    weights: &[[Pairs; 2]],
    (widened, len): (&[i16], usize),
    (block, x): (usize, usize),
    finish: &Finish,
    out: &mut Out<'_>,
) {
    let Dense { quads, step, .. } = *dense;
    let mut sums = [finish.first; PIXELS];
    for (run, weights) in dense.runs.iter().zip(weights.chunks_exact(quads)) {
        let start = run.row * len + run.at + x * step;
        debug_assert!(start + (PIXELS - 1) * step + 4 * quads <= widened.len());
        let input = widened.as_ptr().wrapping_add(start);
        for (quad, weights) in weights.iter().enumerate() {
            for (half, weights) in weights.iter().enumerate() {
                let [low, high] = halves(weights);
                for (p, sums) in sums.iter_mut().enumerate() {
                    let pair = input.wrapping_add(p * step + 4 * quad + 2 * half).cast::<i32>();
                    // SAFETY: two widened bytes of the window of pixel `x + p`, by the contract.
                    let pair = _mm256_set1_epi32(unsafe { pair.read_unaligned() });
                    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(pair, low));
                    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(pair, high));
                }
            }
        }
    }
    let start = out.start + block * out.block_stride + 16 * x;
    finish.store(sums, &mut out.row[start..start + 16 * PIXELS]);
}

/// # Safety
/// AVX2; the rows are as long as [`super::check`] asks.
#[target_feature(enable = "avx2")]
unsafe fn depthwise_row(depthwise: &Depthwise, input: (&[&[u8]], usize), mut out: Out<'_>) {
    for (block, affine) in depthwise.affine.iter().enumerate() {
        let finish = Finish::new(affine, depthwise.clip);
        for (x, whole) in tiles(out.width, 2) {
            if whole {
                // SAFETY: as this function's own.
                unsafe { depthwise_tile::<2>(depthwise, input, (block, x), &finish, &mut out) };
            } else {
                // SAFETY: as this function's own.
                unsafe { depthwise_tile::<1>(depthwise, input, (block, x), &finish, &mut out) };
            }
        }
    }
}

/// # Safety
/// As [`depthwise_row`], for `PIXELS` pixels from `x` on.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn depthwise_tile<const PIXELS: usize>(
    depthwise: &Depthwise,
    (rows, block_stride): (&[&[u8]], usize),
    (block, x): (usize, usize),
    finish: &Finish,
    out: &mut Out<'_>,
) {
    let pairs = depthwise.taps.len();
    let weights = &depthwise.weights[block * pairs..][..pairs];
    let mut sums = [finish.first; PIXELS];
    for (taps, weights) in depthwise.taps.iter().zip(weights) {
        let [w_low, w_high] = halves(weights);
        for (p, sums) in sums.iter_mut().enumerate() {
            let mut pixels = [_mm_setzero_si128(); 2];
            for (pixel, tap) in pixels.iter_mut().zip(taps) {
                let start = block * block_stride + tap.at + (x + p) * depthwise.step;
                debug_assert!(start + 16 <= rows[tap.row].len());
                let input = rows[tap.row].as_ptr().wrapping_add(start).cast();
                // SAFETY: sixteen bytes of the window of pixel `x + p`, by the contract.
                *pixel = unsafe { _mm_loadu_si128(input) };
            }
            let [a, b] = pixels;
            let low = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
            let high = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, w_low));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, w_high));
        }
    }
    let start = out.start + block * out.block_stride + 16 * x;
    finish.store(sums, &mut out.row[start..start + 16 * PIXELS]);
}

/// # Safety
/// AVX2.
#[target_feature(enable = "avx2")]
unsafe fn add_row(add: &Add, [a, b]: [&[u8]; 2], made: &mut [u8]) {
    // The bytes of both side by side, times two to their shifts: at most 32, which a signed byte holds.
    let [scale_a, scale_b] = add.shifts.map(|shift| 1_i16 << shift);
    let scales = _mm256_set1_epi16(scale_a | scale_b << 8);
    let zero = i16::from(add.zeros[0]) * scale_a + i16::from(add.zeros[1]) * scale_b;
    let zero = _mm256_set1_epi16(zero);
    let back = _mm_cvtsi32_si128(add.back.cast_signed());
    let one = _mm256_set1_epi16(i16::from(add.back > 0));
    let half = _mm256_set1_epi16(if add.back > 0 { (1 << (add.back - 1)) - 1 } else { 0 });
    let flip = _mm256_set1_epi16(i16::from(add.clip.flip));
    let low = _mm256_set1_epi8(add.clip.low.cast_signed());
    let high = _mm256_set1_epi8(add.clip.high.cast_signed());
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<32>(), b.as_chunks::<32>());
    let (made, made_rest) = made.as_chunks_mut::<32>();
    for ((made, a), b) in made.iter_mut().zip(a).zip(b) {
        // SAFETY: 32 bytes.
        let a = unsafe { _mm256_loadu_si256(a.as_ptr().cast()) };
        // SAFETY: 32 bytes.
        let b = unsafe { _mm256_loadu_si256(b.as_ptr().cast()) };
        let mut numbers = [_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)];
        for numbers in &mut numbers {
            let sum = _mm256_sub_epi16(_mm256_maddubs_epi16(*numbers, scales), zero);
            // Half to even: half less one, and one more where the result would be odd.
            let odd = _mm256_and_si256(_mm256_sra_epi16(sum, back), one);
            let rounded = _mm256_add_epi16(_mm256_add_epi16(sum, half), odd);
            *numbers = _mm256_adds_epi16(_mm256_sra_epi16(rounded, back), flip);
        }
        let stored = _mm256_packus_epi16(numbers[0], numbers[1]);
        let stored = _mm256_min_epu8(_mm256_max_epu8(stored, low), high);
        // SAFETY: 32 bytes.
        unsafe { _mm256_storeu_si256(made.as_mut_ptr().cast(), stored) };
    }
    scalar::add(add, [a_rest, b_rest], made_rest);
}

/// # Safety
/// AVX2.
#[target_feature(enable = "avx2")]
unsafe fn max_pool_row([upper, lower]: [&[u8]; 2], made: &mut [u8]) {
    let pixels = made.as_chunks_mut::<16>().0.iter_mut();
    for ((pixel, upper), lower) in
        pixels.zip(upper.as_chunks::<32>().0).zip(lower.as_chunks::<32>().0)
    {
        // SAFETY: 32 bytes.
        let upper = unsafe { _mm256_loadu_si256(upper.as_ptr().cast()) };
        // SAFETY: 32 bytes.
        let lower = unsafe { _mm256_loadu_si256(lower.as_ptr().cast()) };
        let both = _mm256_max_epu8(upper, lower);
        let largest =
            _mm_max_epu8(_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
        // SAFETY: sixteen bytes.
        unsafe { _mm_storeu_si128(pixel.as_mut_ptr().cast(), largest) };
    }
}

/// # Safety
/// AVX2.
#[target_feature(enable = "avx2")]
unsafe fn interleave_row(planes: [&[u8]; 4], flip_byte: u8, made: &mut [u8]) {
    let flip = _mm256_set1_epi8(flip_byte.cast_signed());
    let [a, b, c, d] = planes.map(|plane| plane.as_chunks::<16>().0);
    let (pixels, rest) = made.as_chunks_mut::<64>();
    let whole = pixels.len();
    for ((((pixels, a), b), c), d) in pixels.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        // SAFETY: sixteen bytes.
        let a = unsafe { _mm_loadu_si128(a.as_ptr().cast()) };
        // SAFETY: sixteen bytes.
        let b = unsafe { _mm_loadu_si128(b.as_ptr().cast()) };
        // SAFETY: sixteen bytes.
        let c = unsafe { _mm_loadu_si128(c.as_ptr().cast()) };
        // SAFETY: sixteen bytes.
        let d = unsafe { _mm_loadu_si128(d.as_ptr().cast()) };
        let (ab, ab_high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
        let (cd, cd_high) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
        let first = _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd));
        let second = _mm256_set_m128i(
            _mm_unpackhi_epi16(ab_high, cd_high),
            _mm_unpacklo_epi16(ab_high, cd_high),
        );
        let (first, second) = (_mm256_xor_si256(first, flip), _mm256_xor_si256(second, flip));
        // SAFETY: the first 32 of 64 bytes.
        unsafe { _mm256_storeu_si256(pixels.as_mut_ptr().cast(), first) };
        // SAFETY: the last 32 of 64 bytes.
        unsafe { _mm256_storeu_si256(pixels[32..].as_mut_ptr().cast(), second) };
    }
    scalar::interleave(planes.map(|plane| &plane[16 * whole..]), flip_byte, rest);
}

/// Of [`Pairs`] or [`super::Bytes`].
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn halves<T>(weights: &T) -> [__m256i; 2] {
    const { assert!(size_of::<T>() == 64) };
    let weights: *const __m256i = std::ptr::from_ref(weights).cast();
    // SAFETY: the first 32 of 64 bytes.
    let low = unsafe { _mm256_loadu_si256(weights) };
    // SAFETY: the last 32 of 64 bytes.
    let high = unsafe { _mm256_loadu_si256(weights.wrapping_add(1)) };
    [low, high]
}

#[target_feature(enable = "avx2")]
#[inline]
fn floats(numbers: &[f32; 16]) -> [__m256; 2] {
    // SAFETY: eight of sixteen numbers.
    let low = unsafe { _mm256_loadu_ps(numbers.as_ptr()) };
    // SAFETY: the other eight.
    let high = unsafe { _mm256_loadu_ps(numbers[8..].as_ptr()) };
    [low, high]
}

/// An [`Affine`] and a [`Clip`] in registers.
pub(super) struct Finish {
    pub(super) first: [__m256i; 2],
    multiplier: [__m256; 2],
    bias: [__m256; 2],
    flip: __m256i,
    low: __m256i,
    high: __m256i,
}

impl Finish {
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn new(affine: &Affine, clip: Clip) -> Self {
        // SAFETY: eight of sixteen numbers.
        let low = unsafe { _mm256_loadu_si256(affine.first.as_ptr().cast()) };
        // SAFETY: the other eight.
        let high = unsafe { _mm256_loadu_si256(affine.first[8..].as_ptr().cast()) };
        Self {
            first: [low, high],
            multiplier: floats(&affine.multiplier),
            bias: floats(&affine.bias),
            flip: _mm256_set1_epi16(i16::from(clip.flip)),
            low: _mm256_set1_epi8(clip.low.cast_signed()),
            high: _mm256_set1_epi8(clip.high.cast_signed()),
        }
    }

    /// Stores pixels of sixteen channels: an even number, or one. By value, so that the sums stay in registers.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn store<const PIXELS: usize>(&self, sums: [[__m256i; 2]; PIXELS], made: &mut [u8]) {
        if PIXELS == 1 {
            let stored = _mm256_castsi256_si128(self.two(sums[0], sums[0]));
            if let Some(made) = made.first_chunk_mut::<16>() {
                // SAFETY: sixteen bytes.
                unsafe { _mm_storeu_si128(made.as_mut_ptr().cast(), stored) };
            }
            return;
        }
        for (i, made) in made.as_chunks_mut::<32>().0.iter_mut().enumerate().take(PIXELS / 2) {
            let stored = self.two(sums[2 * i], sums[2 * i + 1]);
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(made.as_mut_ptr().cast(), stored) };
        }
    }

    /// The stored bytes of two pixels.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn two(&self, a: [__m256i; 2], b: [__m256i; 2]) -> __m256i {
        // Packing works within halves: a0-3 a8-11 b0-3 b8-11, a4-7 a12-15 b4-7 b12-15.
        let packed = _mm256_packus_epi16(self.numbers(a), self.numbers(b));
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let stored = _mm256_permutevar8x32_epi32(packed, order);
        _mm256_min_epu8(_mm256_max_epu8(stored, self.low), self.high)
    }

    /// The numbers of a pixel in 16 bits, as they are stored.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn numbers(&self, sums: [__m256i; 2]) -> __m256i {
        let [low, high] = self.multiplier;
        let low = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[0]), low);
        let high = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[1]), high);
        let low = _mm256_cvtps_epi32(_mm256_add_ps(low, self.bias[0]));
        let high = _mm256_cvtps_epi32(_mm256_add_ps(high, self.bias[1]));
        _mm256_adds_epi16(_mm256_packs_epi32(low, high), self.flip)
    }
}
