//! Kernels for x86-64 with AVX-512 VNNI and VBMI: sixteen sums of four byte products in one instruction.
//!
//! ```text
//!   input     u8, four channels of one pixel, the same four in every lane
//!   weights   i8, [16 output channels][4 input channels]
//!   sums      i32, 16 output channels
//! ```
//!
//! The instruction wraps, it does not saturate, so a sum is exact as soon as its true value fits. The float
//! steps are the reference's: a conversion, a product, a sum, each rounded once and never fused, in steps of
//! the output, whose scale is a power of two.
//!
//! All unsafe code of the engine is here. Its contracts: the processor has the features ([`Vnni::detect`] is
//! the only way to one), and every address is inside the slice that it was made of, which debug builds check.
#![allow(unsafe_code)]

/// How the sums of sixteen channels become stored numbers: `round(sum * multiplier + bias)`, in steps of the
/// output.
#[derive(Debug, Clone)]
pub(in crate::emulator) struct Affine {
    pub(in crate::emulator) multiplier: [f32; 16],
    pub(in crate::emulator) bias: [f32; 16],
    /// Where the sum begins: what the offset of a signed input adds, taken off.
    pub(in crate::emulator) first: [i32; 16],
}

/// The clip, and what is done to store a signed number as unsigned.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Clip {
    pub(in crate::emulator) low: i32,
    pub(in crate::emulator) high: i32,
    /// 128 where the output is signed, else 0.
    pub(in crate::emulator) flip: u8,
}

/// One vector of weights.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(in crate::emulator) struct Weights(pub(in crate::emulator) [i8; 64]);

/// A dense convolution, ready for its rows.
#[derive(Debug)]
pub(in crate::emulator) struct Dense {
    /// Where the runs of input bytes of output pixel (0, 0) begin: one for each row of the window in each block.
    pub(in crate::emulator) runs: Vec<usize>,
    /// Four-byte groups in a run.
    pub(in crate::emulator) quads: usize,
    /// Bytes from one output pixel's input to the next one's.
    pub(in crate::emulator) step: usize,
    /// By block of output channels, by run, by quad.
    pub(in crate::emulator) weights: Vec<Weights>,
    pub(in crate::emulator) affine: Vec<Affine>,
    pub(in crate::emulator) clip: Clip,
}

/// A depthwise convolution of 3 x 3 with stride 1.
#[derive(Debug)]
pub(in crate::emulator) struct Depthwise {
    /// Rows above, columns left.
    pub(in crate::emulator) padding: [usize; 2],
    /// By block, by row of the window: the weights of three columns, then the same one column further on.
    pub(in crate::emulator) weights: Vec<[[Weights; 2]; 3]>,
    pub(in crate::emulator) affine: Vec<Affine>,
    pub(in crate::emulator) clip: Clip,
}

/// Sum of two maps, in 16-bit integers: `(a << shifts[0]) + (b << shifts[1])`, shifted back by `back`.
#[derive(Debug)]
pub(in crate::emulator) struct Add {
    pub(in crate::emulator) zeros: [u8; 2],
    pub(in crate::emulator) shifts: [u32; 2],
    pub(in crate::emulator) back: u32,
    pub(in crate::emulator) clip: Clip,
}

#[cfg(target_arch = "x86_64")]
pub(in crate::emulator) use x86::Vnni;

/// Never there.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) enum Vnni {}

#[cfg(not(target_arch = "x86_64"))]
impl Vnni {
    pub(in crate::emulator) fn detect() -> Option<Self> {
        None
    }

    pub(in crate::emulator) fn dense(self, _: &Dense, _: (&[u8], usize), _: Out<'_>) {
        match self {}
    }

    pub(in crate::emulator) fn depthwise(
        self,
        _: (&Depthwise, usize),
        _: (&[u8], [usize; 3]),
        _: &mut [u8],
    ) {
        match self {}
    }

    pub(in crate::emulator) fn add(self, _: &Add, _: [&[u8]; 2], _: &mut [u8]) {
        match self {}
    }

    pub(in crate::emulator) fn max_pool_2x2(self, _: [&[u8]; 2], _: &mut [u8]) {
        match self {}
    }
}

/// A row to write: that of the first block at `start`, the others `plane_len` apart, `width` pixels.
pub(in crate::emulator) struct Out<'a> {
    pub(in crate::emulator) map: &'a mut [u8],
    pub(in crate::emulator) start: usize,
    pub(in crate::emulator) plane_len: usize,
    pub(in crate::emulator) width: usize,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m512, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_max_epu8, _mm_set1_epi8,
        _mm_storeu_si128, _mm_xor_si128, _mm256_loadu_si256, _mm256_set1_epi8, _mm256_storeu_si256,
        _mm256_xor_si256, _mm512_add_epi16, _mm512_add_ps, _mm512_and_si512, _mm512_cvtepi16_epi8,
        _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi16, _mm512_cvtps_epi32,
        _mm512_dpbusd_epi32, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_max_epi16,
        _mm512_max_epi32, _mm512_min_epi16, _mm512_min_ps, _mm512_mul_ps, _mm512_permutexvar_epi8,
        _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_sll_epi16, _mm512_sra_epi16,
        _mm512_sub_epi16,
    };

    use super::{Add, Affine, Clip, Dense, Depthwise, Out, Weights};

    /// Proof that the processor has AVX-512 F, BW, VL, VNNI and VBMI.
    #[derive(Debug, Clone, Copy)]
    pub(in crate::emulator) struct Vnni(());

    impl Vnni {
        pub(in crate::emulator) fn detect() -> Option<Self> {
            let there = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512vbmi");
            there.then_some(Self(()))
        }

        /// One row of every block of output channels; `map` is the input, `down` the bytes from the first
        /// row's runs to this row's.
        pub(in crate::emulator) fn dense(
            self,
            dense: &Dense,
            (map, down): (&[u8], usize),
            out: Out<'_>,
        ) {
            let vectors = dense.runs.len() * dense.quads;
            assert_eq!(dense.weights.len(), dense.affine.len() * vectors, "weights of every block");
            let last = dense.runs.iter().max().map_or(0, |run| {
                run + down + out.width.saturating_sub(1) * dense.step + 4 * dense.quads
            });
            assert!(last <= map.len(), "input bytes up to {last} of {}", map.len());
            let end = out.start + (dense.affine.len() - 1) * out.plane_len + 16 * out.width;
            assert!(end <= out.map.len(), "output bytes up to {end} of {}", out.map.len());
            // SAFETY: `self` proves the features; the assertions above are the function's contract.
            unsafe { dense_row(dense, &map[down..], out) }
        }

        /// One row of block `block`; `rows` are where the pixels left of the window's three rows begin.
        pub(in crate::emulator) fn depthwise(
            self,
            (depthwise, block): (&Depthwise, usize),
            (map, rows): (&[u8], [usize; 3]),
            made: &mut [u8],
        ) {
            let furthest = rows.iter().max().map_or(0, |row| row + made.len() + 64);
            assert!(furthest <= map.len(), "input bytes up to {furthest} of {}", map.len());
            // SAFETY: `self` proves the features; the assertion above is the function's contract.
            unsafe {
                depthwise_row(
                    &depthwise.weights[block],
                    &depthwise.affine[block],
                    depthwise.clip,
                    (map, rows),
                    made,
                );
            }
        }

        /// Rows of equal length.
        pub(in crate::emulator) fn add(self, add: &Add, inputs: [&[u8]; 2], made: &mut [u8]) {
            assert!(inputs.iter().all(|input| input.len() == made.len()), "rows of one length");
            // SAFETY: `self` proves the features; the assertion above is the function's contract.
            unsafe { add_row(add, inputs, made) }
        }

        /// The largest of 2 x 2 pixels of sixteen bytes; the input's rows are at least twice as long.
        pub(in crate::emulator) fn max_pool_2x2(self, rows: [&[u8]; 2], made: &mut [u8]) {
            assert!(rows.iter().all(|row| row.len() >= 2 * made.len()), "rows twice as long");
            // SAFETY: `self` proves the features; the assertion above is the function's contract.
            unsafe { max_pool_row(rows, made) }
        }
    }

    /// # Safety
    /// The features of [`Vnni`]; every run is `width - 1` steps and a run's length inside `map`, and every row of
    /// `out` is inside its map.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn dense_row(dense: &Dense, map: &[u8], out: Out<'_>) {
        let mut block = 0;
        while block < dense.affine.len() {
            let out = Out { map: &mut *out.map, start: out.start + block * out.plane_len, ..out };
            if block + 2 <= dense.affine.len() {
                // SAFETY: as this function's own.
                unsafe { dense_blocks::<2, 12>(dense, block, map, out) };
                block += 2;
            } else {
                // SAFETY: as this function's own.
                unsafe { dense_blocks::<1, 16>(dense, block, map, out) };
                block += 1;
            }
        }
    }

    /// `BLOCKS` blocks of sixteen output channels, `PIXELS` pixels at a time.
    ///
    /// # Safety
    /// As [`dense_row`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn dense_blocks<const BLOCKS: usize, const PIXELS: usize>(
        dense: &Dense,
        block: usize,
        map: &[u8],
        mut out: Out<'_>,
    ) {
        let mut x = 0;
        while x < out.width {
            if x + PIXELS <= out.width {
                // SAFETY: as this function's own.
                unsafe { dense_tile::<BLOCKS, PIXELS>(dense, block, map, x, &mut out) };
                x += PIXELS;
            } else if out.width >= PIXELS {
                // The last pixels once more, together with those that are left.
                x = out.width - PIXELS;
            } else {
                // SAFETY: as this function's own.
                unsafe { dense_tile::<BLOCKS, 1>(dense, block, map, x, &mut out) };
                x += 1;
            }
        }
    }

    /// # Safety
    /// As [`dense_row`], for the pixels from `x` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn dense_tile<const BLOCKS: usize, const PIXELS: usize>(
        dense: &Dense,
        block: usize,
        map: &[u8],
        x: usize,
        out: &mut Out<'_>,
    ) {
        let Dense { quads, step, .. } = *dense;
        let affine: [&Affine; BLOCKS] = std::array::from_fn(|b| &dense.affine[block + b]);
        let mut sums = [affine.map(|affine| sixteen(&affine.first)); PIXELS];
        for (i, &run) in dense.runs.iter().enumerate() {
            let start = run + x * step;
            debug_assert!(start + (PIXELS - 1) * step + 4 * quads <= map.len());
            let input = map.as_ptr().wrapping_add(start);
            let weights: [&[Weights]; BLOCKS] = std::array::from_fn(|b| {
                let first = (block + b) * dense.runs.len() + i;
                &dense.weights[first * quads..][..quads]
            });
            for quad in 0..quads {
                let weights = weights.map(|weights| load(&weights[quad].0));
                for (p, sums) in sums.iter_mut().enumerate() {
                    let pixel = input.wrapping_add(p * step + 4 * quad).cast::<i32>();
                    // SAFETY: four bytes of the window of pixel `x + p`, inside `map` by the contract.
                    let four = _mm512_set1_epi32(unsafe { pixel.read_unaligned() });
                    for (sums, &weights) in sums.iter_mut().zip(&weights) {
                        *sums = _mm512_dpbusd_epi32(*sums, four, weights);
                    }
                }
            }
        }
        for (b, affine) in affine.into_iter().enumerate() {
            let finish = Finish::new(affine, dense.clip);
            let row = &mut out.map[out.start + b * out.plane_len + 16 * x..][..16 * PIXELS];
            for (pixel, sums) in row.as_chunks_mut().0.iter_mut().zip(&sums) {
                store(pixel, finish.of(sums[b]));
            }
        }
    }

    /// # Safety
    /// The features of [`Vnni`]; 64 bytes may be read from every pixel of the three rows, of which there are as many
    /// as in `made`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn depthwise_row(
        weights: &[[Weights; 2]; 3],
        affine: &Affine,
        clip: Clip,
        (map, rows): (&[u8], [usize; 3]),
        made: &mut [u8],
    ) {
        let finish = Finish::new(affine, clip);
        let (by_channel, first) = (load(&BY_CHANNEL), sixteen(&affine.first));
        let weights = [0, 1, 2].map(|row| [load(&weights[row][0].0), load(&weights[row][1].0)]);
        for (pair, made) in made.chunks_mut(32).enumerate() {
            let mut sums = [first; 2];
            for (start, weights) in rows.into_iter().zip(&weights) {
                let start = start + 32 * pair;
                debug_assert!(start + 64 <= map.len());
                let pixels = map.as_ptr().wrapping_add(start).cast();
                // SAFETY: inside `map`, by the contract.
                let four =
                    _mm512_permutexvar_epi8(by_channel, unsafe { _mm512_loadu_si512(pixels) });
                sums[0] = _mm512_dpbusd_epi32(sums[0], four, weights[0]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], four, weights[1]);
            }
            for (pixel, sums) in made.as_chunks_mut().0.iter_mut().zip(sums) {
                store(pixel, finish.of(sums));
            }
        }
    }

    /// # Safety
    /// The features of [`Vnni`]; rows of one length, a multiple of 16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn add_row(add: &Add, [a, b]: [&[u8]; 2], made: &mut [u8]) {
        let zeros = add.zeros.map(|zero| _mm512_set1_epi16(i16::from(zero)));
        let shifts = add.shifts.map(|shift| _mm_cvtsi32_si128(shift.cast_signed()));
        let back = _mm_cvtsi32_si128(add.back.cast_signed());
        let one = _mm512_set1_epi16(i16::from(add.back > 0));
        let half = _mm512_set1_epi16(if add.back > 0 { (1 << (add.back - 1)) - 1 } else { 0 });
        let narrow = |number: i32| i16::try_from(number).unwrap_or(0);
        let low = _mm512_set1_epi16(narrow(add.clip.low));
        let high = _mm512_set1_epi16(narrow(add.clip.high));
        let flip = _mm256_set1_epi8(add.clip.flip.cast_signed());
        let sum = |a: __m512i, b: __m512i| {
            let a = _mm512_sll_epi16(_mm512_sub_epi16(a, zeros[0]), shifts[0]);
            let b = _mm512_sll_epi16(_mm512_sub_epi16(b, zeros[1]), shifts[1]);
            let sum = _mm512_add_epi16(a, b);
            // Half to even: half less one, and one more where the result would be odd.
            let odd = _mm512_and_si512(_mm512_sra_epi16(sum, back), one);
            let rounded =
                _mm512_sra_epi16(_mm512_add_epi16(_mm512_add_epi16(sum, half), odd), back);
            _mm512_cvtepi16_epi8(_mm512_min_epi16(_mm512_max_epi16(rounded, low), high))
        };
        let of = |a: &[u8; 32], b: &[u8; 32], made: &mut [u8; 32]| {
            // SAFETY: 32 bytes.
            let [a, b] = [a, b].map(|bytes| unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) });
            let stored = sum(_mm512_cvtepu8_epi16(a), _mm512_cvtepu8_epi16(b));
            let stored = _mm256_xor_si256(stored, flip);
            // SAFETY: 32 bytes.
            unsafe { _mm256_storeu_si256(made.as_mut_ptr().cast(), stored) };
        };
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks());
        let (made, made_rest) = made.as_chunks_mut();
        for ((made, a), b) in made.iter_mut().zip(a).zip(b) {
            of(a, b, made);
        }
        if !made_rest.is_empty() {
            let mut rest = [[0; 32]; 3];
            rest[0][..a_rest.len()].copy_from_slice(a_rest);
            rest[1][..b_rest.len()].copy_from_slice(b_rest);
            let [a, b, made] = &mut rest;
            of(a, b, made);
            made_rest.copy_from_slice(&made[..made_rest.len()]);
        }
    }

    /// # Safety
    /// The features of [`Vnni`]; the input's rows are at least twice as long as `made`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
    unsafe fn max_pool_row([upper, lower]: [&[u8]; 2], made: &mut [u8]) {
        for (x, pixel) in made.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let load = |row: &[u8], at: usize| {
                let pixel = row.as_ptr().wrapping_add(at).cast();
                // SAFETY: pixel 2 x or 2 x + 1, inside the row by the contract.
                unsafe { _mm_loadu_si128(pixel) }
            };
            let left = _mm_max_epu8(load(upper, 32 * x), load(lower, 32 * x));
            let right = _mm_max_epu8(load(upper, 32 * x + 16), load(lower, 32 * x + 16));
            store(pixel, _mm_max_epu8(left, right));
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

    #[target_feature(enable = "sse2")]
    #[inline]
    fn store(pixel: &mut [u8; 16], stored: __m128i) {
        // SAFETY: sixteen bytes.
        unsafe { _mm_storeu_si128(pixel.as_mut_ptr().cast(), stored) };
    }

    /// An [`Affine`] and a [`Clip`] in registers.
    struct Finish {
        multiplier: __m512,
        bias: __m512,
        high: __m512,
        low: __m512i,
        flip: __m128i,
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
                high: _mm512_set1_ps(clip.high as f32),
                low: _mm512_set1_epi32(clip.low),
                flip: _mm_set1_epi8(clip.flip.cast_signed()),
            }
        }

        /// Clipped above before it is converted: what is too large for an i32 would become its smallest, and what is
        /// too small for one does, and is clipped below after.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx512vbmi")]
        #[inline]
        fn of(&self, sums: __m512i) -> __m128i {
            let steps =
                _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), self.multiplier), self.bias);
            let rounded = _mm512_cvtps_epi32(_mm512_min_ps(steps, self.high));
            let stored = _mm512_cvtepi32_epi8(_mm512_max_epi32(rounded, self.low));
            _mm_xor_si128(stored, self.flip)
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
}
