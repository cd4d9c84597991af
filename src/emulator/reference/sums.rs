//! Sums of products: the convolution and its transpose.

use super::{Input, Read};
use crate::emulator::graph::{Conv, TensorSpec, Window};

pub(super) fn convolve<R: Read>(
    conv: &Conv,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let sum = sum(conv, input, channel, |tap| conv.window.pixel(input.spec, [row, column], tap));
    scaled(conv, input.spec, channel, sum)
}

pub(super) fn convolve_transposed<R: Read>(
    conv: &Conv,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let sum = sum(conv, input, channel, |tap| conv.window.laid(input.spec, [row, column], tap));
    scaled(conv, input.spec, channel, sum)
}

/// Over all planes of the channel's group and all taps; `pixel` is the input's pixel under a tap.
fn sum<R: Read>(
    conv: &Conv,
    input: &Input<'_, R>,
    channel: usize,
    pixel: impl Fn([usize; 2]) -> Option<[usize; 2]>,
) -> i32 {
    let group = channel / (conv.out_channels / conv.groups);
    let [kernel_rows, kernel_columns] = conv.window.kernel;
    let mut sum = 0_i32;
    for group_channel in 0..conv.group_channels {
        let plane = group * conv.group_channels + group_channel;
        for kernel_row in 0..kernel_rows {
            for kernel_column in 0..kernel_columns {
                // Outside the picture lies zero.
                if let Some([y, x]) = pixel([kernel_row, kernel_column]) {
                    let kernel = channel * conv.group_channels + group_channel;
                    let weight =
                        (kernel * kernel_rows + kernel_row) * kernel_columns + kernel_column;
                    sum += input.steps([plane, y, x]) * i32::from(conv.weights[weight]);
                }
            }
        }
    }
    sum
}

fn scaled(conv: &Conv, input: &TensorSpec, channel: usize, sum: i32) -> f32 {
    let multiplier = input.scale * conv.weight_scales[channel];
    sum as f32 * multiplier + conv.bias[channel]
}

impl Window {
    /// The input pixel under tap `tap` of the window of output pixel `at`; `None` in the padding.
    pub(super) fn pixel(
        &self,
        input: &TensorSpec,
        at: [usize; 2],
        tap: [usize; 2],
    ) -> Option<[usize; 2]> {
        let along = |axis: usize, len: usize| {
            (at[axis] * self.stride[axis] + tap[axis] * self.dilation[axis])
                .checked_sub(self.padding[axis])
                .filter(|&position| position < len)
        };
        Some([along(0, input.height)?, along(1, input.width)?])
    }

    /// The input pixel whose tap `tap` a transposed convolution lays on output pixel `at`, if there is one.
    fn laid(&self, input: &TensorSpec, at: [usize; 2], tap: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize, len: usize| {
            let first =
                (at[axis] + self.padding[axis]).checked_sub(tap[axis] * self.dilation[axis])?;
            let position = first / self.stride[axis];
            (first.is_multiple_of(self.stride[axis]) && position < len).then_some(position)
        };
        Some([along(0, input.height)?, along(1, input.width)?])
    }
}
