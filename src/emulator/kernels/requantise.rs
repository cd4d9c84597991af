//! Sums of products back to stored numbers, four channels at a time.

use bytemuck::cast;
use wide::{f32x4, i16x8, i32x4};

use crate::emulator::graph::{Activation, Conv, TensorSpec};
use crate::emulator::reference;

/// How the sums of one convolution become stored numbers.
///
/// Eight channels are two vectors of sums: the even channels and the odd ones, so that one shift and one
/// mask bring them together again as eight i16.
#[derive(Debug)]
pub(super) struct Requantise {
    /// Per eight channels: multipliers and biases of the even and of the odd ones.
    channels: Vec<[Affine; 2]>,
    steps: Steps,
    /// Set where the activation is not a clip.
    exact: Option<(Activation, TensorSpec)>,
    used: usize,
}

/// `y = sum * multiplier + bias`, two roundings.
#[derive(Debug, Clone, Copy)]
struct Affine {
    multiplier: f32x4,
    bias: f32x4,
}

/// `q = clip(round_half_even(y / scale))`; a ReLU is part of the clip.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    /// 1 / scale, exact: the scale is a power of two.
    per_unit: f32x4,
    low: f32x4,
    high: f32x4,
}

impl Steps {
    pub(super) fn new(activation: Activation, output: &TensorSpec) -> Self {
        let (low, high) = output.range();
        let low = if activation == Activation::Relu { low.max(0) } else { low };
        Self {
            per_unit: f32x4::splat(1.0 / output.scale),
            low: f32x4::splat(low as f32),
            high: f32x4::splat(high as f32),
        }
    }

    /// Clipping first lets the rounding be the plain instruction, which rounds halves to even.
    pub(super) fn of(&self, real: f32x4) -> i32x4 {
        (real * self.per_unit).fast_max(self.low).fast_min(self.high).fast_round_int()
    }
}

/// Even and odd channels side by side again.
pub(super) fn interleave(even: i32x4, odd: i32x4) -> i16x8 {
    cast((even & i32x4::splat(0xffff)) | (odd << 16))
}

/// Even and odd channels as vectors of their own.
pub(super) fn separate(channels: i16x8) -> [i32x4; 2] {
    let pairs: i32x4 = cast(channels);
    [(pairs << 16) >> 16, pairs >> 16]
}

impl Requantise {
    pub(super) fn new(
        conv: &Conv,
        activation: Activation,
        input: &TensorSpec,
        output: &TensorSpec,
    ) -> Self {
        let affine = |first: usize| {
            let of = |values: &dyn Fn(usize) -> f32| {
                f32x4::new([0, 2, 4, 6].map(|i| {
                    let channel = first + i;
                    if channel < conv.out_channels { values(channel) } else { 0.0 }
                }))
            };
            Affine {
                multiplier: of(&|channel| input.scale * conv.weight_scales[channel]),
                bias: of(&|channel| conv.bias[channel]),
            }
        };
        let eights = conv.out_channels.div_ceil(8);
        Self {
            channels: (0..eights).map(|eight| [affine(8 * eight), affine(8 * eight + 1)]).collect(),
            steps: Steps::new(activation, output),
            exact: (activation == Activation::Sigmoid).then(|| (activation, output.clone())),
            used: conv.out_channels,
        }
    }

    /// Stores the channels `8 * eight ..` of a pixel: two vectors of sums for each eight.
    #[inline]
    pub(super) fn store(&self, pixel: &mut [i16], eight: usize, sums: &[i32x4]) {
        let eights = pixel[8 * eight..].as_chunks_mut().0;
        for (i, (lanes, &sums)) in eights.iter_mut().zip(sums.as_chunks().0).enumerate() {
            *lanes = self.eight(eight + i, sums).to_array();
        }
    }

    /// Stored numbers of channels `8 * eight ..`, from the sums of the even and of the odd ones.
    #[inline]
    pub(super) fn eight(&self, eight: usize, sums: [i32x4; 2]) -> i16x8 {
        let affine = &self.channels[eight];
        let real = [0, 1].map(|i| sums[i].round_float() * affine[i].multiplier + affine[i].bias);
        match &self.exact {
            None => interleave(self.steps.of(real[0]), self.steps.of(real[1])),
            Some((activation, output)) => exactly(real, *activation, output, self.used - 8 * eight),
        }
    }
}

/// As the reference does it, for the first `used` of eight channels.
#[cold]
pub(super) fn exactly(
    real: [f32x4; 2],
    activation: Activation,
    output: &TensorSpec,
    used: usize,
) -> i16x8 {
    let real = real.map(f32x4::to_array);
    let mut stored = [0; 8];
    for (lane, number) in stored.iter_mut().enumerate().take(used) {
        let byte = reference::quantise(real[lane % 2][lane / 2], activation, output);
        *number = widen_i16(output, byte);
    }
    i16x8::new(stored)
}

/// A stored byte as the kernels hold it.
pub(in crate::emulator) fn widen_i16(spec: &TensorSpec, byte: u8) -> i16 {
    if spec.signed { i16::from(byte.cast_signed()) } else { i16::from(byte) }
}
