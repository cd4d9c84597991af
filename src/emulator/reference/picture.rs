//! What picks pixels or planes, or takes a mean of them.

use super::{Input, Read};
use crate::emulator::graph::{AveragePool, ResizeLinear, ResizeTo, TensorSpec, Window};

pub(super) fn max_pool<R: Read>(
    window: &Window,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let mut largest = i32::MIN;
    for kernel_row in 0..window.kernel[0] {
        for kernel_column in 0..window.kernel[1] {
            let pixel = window.pixel(input.spec, [row, column], [kernel_row, kernel_column]);
            if let Some([y, x]) = pixel {
                largest = largest.max(input.stored([channel, y, x]));
            }
        }
    }
    input.spec.real(largest)
}

/// The window of a mean of the whole picture.
pub(super) fn whole(input: &TensorSpec) -> AveragePool {
    let kernel = [input.height, input.width];
    let window = Window { kernel, stride: [1, 1], padding: [0; 4], dilation: [1, 1] };
    AveragePool { window, counts_padding: false }
}

pub(super) fn mean<R: Read>(
    pool: &AveragePool,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let [rows, columns] = pool.window.kernel;
    let (mut sum, mut inside) = (0_i64, 0_u32);
    for kernel_row in 0..rows {
        for kernel_column in 0..columns {
            let pixel = pool.window.pixel(input.spec, [row, column], [kernel_row, kernel_column]);
            if let Some([y, x]) = pixel {
                sum += i64::from(input.steps([channel, y, x]));
                inside += 1;
            }
        }
    }
    let count = if pool.counts_padding { (rows * columns) as f64 } else { f64::from(inside) };
    #[expect(clippy::cast_possible_truncation, reason = "the one rounding to float32")]
    let mean = (sum as f64 / count) as f32;
    mean * input.spec.scale
}

pub(super) fn resize<R: Read>(
    to: ResizeTo,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let y = to.source(0, row, input.spec.height);
    let x = to.source(1, column, input.spec.width);
    input.real([channel, y, x])
}

pub(super) fn resize_linear<R: Read>(
    to: &ResizeLinear,
    input: &Input<'_, R>,
    [channel, row, column]: [usize; 3],
) -> f32 {
    let (rows, down) = to.between(0, row, input.spec.height);
    let (columns, right) = to.between(1, column, input.spec.width);
    let [upper, lower] = rows.map(|y| {
        let [a, b] = columns.map(|x| input.steps([channel, y, x]) as f32);
        a * (1.0 - right) + b * right
    });
    (upper * (1.0 - down) + lower * down) * input.spec.scale
}

pub(super) fn softmax<R: Read>(input: &Input<'_, R>, [channel, row, column]: [usize; 3]) -> f64 {
    let real = |plane| f64::from(input.real([plane, row, column]));
    let planes = 0..input.spec.channels;
    // Less the largest, so that no exponential overflows; the quotient is the same.
    let largest = planes.clone().map(real).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = planes.map(|plane| (real(plane) - largest).exp()).sum();
    (real(channel) - largest).exp() / sum
}

/// The first plane whose number is largest at a pixel.
pub(super) fn largest_plane<R: Read>(input: &Input<'_, R>, [_, row, column]: [usize; 3]) -> u8 {
    let (mut class, mut largest) = (0, input.stored([0, row, column]));
    for plane in 1..input.spec.channels {
        let stored = input.stored([plane, row, column]);
        if stored > largest {
            (class, largest) = (plane, stored);
        }
    }
    // At most 256 planes, see `shape.rs`.
    class.to_le_bytes()[0]
}
