//! Dense convolutions for x86-64 with VNNI on vectors of 256 bits: sums of four byte products.
//!
//! The same instruction has two encodings: that of AVX-VNNI (Alder Lake and later, Zen 5) and that of AVX-512 VL,
//! which lets it be tested on processors that have only the other. Everything else is AVX2's.
#![allow(unsafe_code)]

use std::arch::x86_64::{_mm256_dpbusd_avx_epi32, _mm256_dpbusd_epi32, _mm256_set1_epi32};

use super::avx2::{Avx2, Finish, halves};
use super::{Bytes, Dense, Out, Weights, tiles};

/// Proof that the processor has AVX2 and one of the encodings.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct YmmVnni {
    avx2: Avx2,
    encoding: Encoding,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    AvxVnni,
    Avx512,
}

impl YmmVnni {
    pub(super) fn detect() -> Option<Self> {
        let encoding = if is_x86_feature_detected!("avxvnni") {
            Encoding::AvxVnni
        } else if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
            Encoding::Avx512
        } else {
            return None;
        };
        Some(Self { avx2: Avx2::detect()?, encoding })
    }

    pub(super) fn avx2(self) -> Avx2 {
        self.avx2
    }

    /// Does `rounds` times twelve dot products in registers and nothing else; how many multiply-accumulates that were.
    pub(super) fn dot_products(self, rounds: usize) -> u64 {
        match self.encoding {
            // SAFETY: `self` proves the features, which is the function's whole contract.
            Encoding::AvxVnni => unsafe { avx_vnni::dot_products(rounds) },
            // SAFETY: `self` proves the features, which is the function's whole contract.
            Encoding::Avx512 => unsafe { avx512::dot_products(rounds) },
        }
    }

    pub(super) fn dense(self, dense: &Dense, rows: &[&[u8]], out: Out<'_>) {
        let Weights::Bytes(weights) = &dense.weights else { return };
        match self.encoding {
            // SAFETY: `self` proves the features; the caller has checked the lengths of the rows.
            Encoding::AvxVnni => unsafe { avx_vnni::row(dense, weights, rows, out) },
            // SAFETY: `self` proves the features; the caller has checked the lengths of the rows.
            Encoding::Avx512 => unsafe { avx512::row(dense, weights, rows, out) },
        }
    }
}

/// What is done with one of the two encodings.
macro_rules! encoded {
    ($name:ident, $features:literal, $dot:ident) => {
        mod $name {
            use super::{_mm256_set1_epi32, Bytes, Dense, Finish, Out, halves, tiles, $dot};

            /// # Safety
            /// The features.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn dot_products(rounds: usize) -> u64 {
                let four = _mm256_set1_epi32(std::hint::black_box(0x0102_0304));
                let weights = _mm256_set1_epi32(std::hint::black_box(0x0101_0101));
                let mut sums = [_mm256_set1_epi32(0); 12];
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = $dot(*sum, four, weights);
                    }
                }
                std::hint::black_box(sums);
                12 * 32 * rounds as u64
            }

            /// # Safety
            /// The features; the rows are as long as [`super::super::check`] asks.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn row(
                dense: &Dense,
                weights: &[Bytes],
                rows: &[&[u8]],
                mut out: Out<'_>,
            ) {
                let per_block = weights.len() / dense.affine.len();
                for (block, affine) in dense.affine.iter().enumerate() {
                    let weights = &weights[block * per_block..][..per_block];
                    let finish = Finish::new(affine, dense.clip);
                    for (x, whole) in tiles(out.width, 4) {
                        if whole {
                            // SAFETY: as this function's own.
                            unsafe {
                                tile::<4>(dense, weights, rows, (block, x), &finish, &mut out)
                            };
                        } else {
                            // SAFETY: as this function's own.
                            unsafe {
                                tile::<1>(dense, weights, rows, (block, x), &finish, &mut out)
                            };
                        }
                    }
                }
            }

            /// # Safety
            /// As [`row`], for `PIXELS` pixels from `x` on.
            #[target_feature(enable = $features)]
            #[inline]
            unsafe fn tile<const PIXELS: usize>(
                dense: &Dense,
                weights: &[Bytes],
                rows: &[&[u8]],
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
                    for (quad, weights) in weights.iter().enumerate() {
                        let [low, high] = halves(weights);
                        for (p, sums) in sums.iter_mut().enumerate() {
                            let four = input.wrapping_add(p * step + 4 * quad).cast::<i32>();
                            // SAFETY: four bytes of the window of pixel `x + p`, by the contract.
                            let four = _mm256_set1_epi32(unsafe { four.read_unaligned() });
                            sums[0] = $dot(sums[0], four, low);
                            sums[1] = $dot(sums[1], four, high);
                        }
                    }
                }
                let start = out.start + block * out.block_stride + 16 * x;
                finish.store(sums, &mut out.row[start..start + 16 * PIXELS]);
            }
        }
    };
}

encoded!(avx_vnni, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);
encoded!(avx512, "avx2,avx512vnni,avx512vl", _mm256_dpbusd_epi32);
