//! Weights, scales and shifts of a node, as the kernels want them.

use super::map::Map;
use crate::emulator::graph::{Activation, Conv, TensorSpec, Window};
use crate::emulator::kernels::{
    Add, Affine, Bytes, Clip, Dense, Depthwise, Instructions, Pairs, Run, flip,
};
use crate::emulator::reference;

/// Groups become zero weights between channels that have nothing to do with each other.
pub(super) fn dense(
    conv: &Conv,
    activation: Activation,
    specs: [&TensorSpec; 2],
    from: &Map,
    instructions: Instructions,
) -> Dense {
    let [rows, columns] = conv.window.kernel;
    let start = from.start(conv.window.padding[1]);
    // The columns of a window lie side by side, unless it is dilated.
    let apart = conv.window.dilation[1];
    let (parts, of_part) = if apart == 1 { (1, columns) } else { (columns, 1) };
    let mut runs = Vec::new();
    for block in 0..from.blocks {
        for row in 0..rows {
            for part in 0..parts {
                let at = block * from.block_stride() + start + part * apart * from.lanes;
                runs.push(Run { row, at });
            }
        }
    }
    let run_len = of_part * from.lanes;
    let weight = |output: usize, byte: usize| {
        let (run, lane) = (byte / run_len, byte % from.lanes);
        let column = run % parts + byte % run_len / from.lanes;
        let (block, row) = (run / parts / rows, run / parts % rows);
        let channel = block * from.lanes + lane;
        if channel < from.channels { conv.weight(output, channel, [row, column]) } else { 0 }
    };
    Dense {
        quads: run_len / 4,
        step: conv.window.stride[1] * from.lanes,
        reach: runs.iter().map(|run| run.at + run_len).max().unwrap_or(0),
        weights: instructions.weights(conv.out_channels, runs.len() * run_len, weight),
        runs,
        affine: affine(conv, specs, instructions.surplus(specs[0].signed)),
        clip: clip(activation, specs[1]),
    }
}

pub(super) fn depthwise(
    conv: &Conv,
    activation: Activation,
    specs: [&TensorSpec; 2],
    from: &Map,
) -> Depthwise {
    let [rows, columns] = conv.window.kernel;
    let taps: Vec<[usize; 2]> =
        (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column])).collect();
    let start = from.start(conv.window.padding[1]);
    let apart = conv.window.dilation[1];
    let run = |[row, column]: [usize; 2]| Run { row, at: start + column * apart * from.lanes };
    let weight = |channel: usize, tap: [usize; 2]| {
        if channel < conv.out_channels { conv.weight(channel, channel, tap) } else { 0 }
    };
    let weights = |block: usize| {
        taps.chunks(2).map(move |pair| {
            Pairs(std::array::from_fn(|i| {
                pair.get(i % 2).map_or(0, |&tap| i16::from(weight(16 * block + i / 2, tap)))
            }))
        })
    };
    let three = |block: usize| {
        [0, 1, 2].map(|row| {
            [0, 1].map(|further| {
                Bytes(std::array::from_fn(|i| match (i % 4).wrapping_sub(further) {
                    column @ 0..3 => weight(16 * block + i / 4, [row, column]),
                    _ => 0,
                }))
            })
        })
    };
    let is_three = conv.window.kernel == [3, 3] && conv.window.stride[1] == 1 && apart == 1;
    let last_block = (from.blocks - 1) * from.block_stride();
    Depthwise {
        step: conv.window.stride[1] * from.lanes,
        reach: last_block + start + conv.window.extent()[1] * from.lanes,
        weights: (0..from.blocks).flat_map(weights).collect(),
        three: is_three.then(|| (0..from.blocks).map(three).collect()),
        taps: taps.chunks(2).map(|pair| [run(pair[0]), run(pair[pair.len() - 1])]).collect(),
        affine: affine(conv, specs, i32::from(flip(specs[0].signed))),
        clip: clip(activation, specs[1]),
    }
}

/// A transposed convolution whose kernel is its stride, for one row of the kernel: as many outputs for each column of
/// the kernel as fill whole blocks, side by side.
pub(super) fn transposed(
    transposed: &Conv,
    row: usize,
    activation: Activation,
    specs: [&TensorSpec; 2],
    from: &Map,
    instructions: Instructions,
) -> Dense {
    let [_, columns] = transposed.window.kernel;
    let filled = transposed.out_channels.next_multiple_of(16);
    let channel = |output: usize| (output % filled).min(transposed.out_channels - 1);
    let mut weights = Vec::new();
    for output in 0..columns * filled {
        for from in 0..specs[0].channels {
            weights.push(transposed.weight(channel(output), from, [row, output / filled]));
        }
    }
    let conv = Conv {
        out_channels: columns * filled,
        group_channels: specs[0].channels,
        groups: 1,
        window: POINT,
        weights,
        weight_scales: (0..columns * filled)
            .map(|o| transposed.weight_scales[channel(o)])
            .collect(),
        bias: (0..columns * filled).map(|o| transposed.bias[channel(o)]).collect(),
    };
    dense(&conv, activation, specs, from, instructions)
}

/// In steps of the output: its scale is a power of two, so multiplier and bias are divided exactly and every
/// rounding stays what it was. `surplus`: what the bytes that are multiplied exceed the stored numbers by.
fn affine(conv: &Conv, [input, output]: [&TensorSpec; 2], surplus: i32) -> Vec<Affine> {
    let products = conv.weights.len() / conv.out_channels;
    let of = |block: usize| {
        let mut affine = Affine { multiplier: [0.0; 16], bias: [0.0; 16], first: [0; 16] };
        for (i, channel) in (16 * block..conv.out_channels).take(16).enumerate() {
            affine.multiplier[i] = input.scale * conv.weight_scales[channel] / output.scale;
            affine.bias[i] = conv.bias[channel] / output.scale;
            let weights = &conv.weights[channel * products..][..products];
            affine.first[i] = -surplus * weights.iter().map(|&w| i32::from(w)).sum::<i32>();
        }
        affine
    };
    (0..conv.out_channels.div_ceil(16)).map(of).collect()
}

/// As [`reference::clip`] says, which the caller has asked whether there is one.
fn clip(activation: Activation, output: &TensorSpec) -> Clip {
    let flip = flip(output.signed);
    let (low, high) = output.range();
    let limits = reference::clip(activation, output).unwrap_or([low, high]);
    let [low, high] = limits.map(|number| number.to_le_bytes()[0] ^ flip);
    Clip { flip, low, high }
}

/// `None` where the sum could leave 16 bits.
pub(super) fn add(
    activation: Activation,
    inputs: [&TensorSpec; 2],
    output: &TensorSpec,
) -> Option<Add> {
    // Scales are powers of two, so the exponent is all there is of them.
    let exponent = |spec: &TensorSpec| (spec.scale.to_bits() >> 23).cast_signed();
    let finest = exponent(inputs[0]).min(exponent(inputs[1])).min(exponent(output));
    let shift = |spec: &TensorSpec| exponent(spec) - finest;
    let (shifts, back) = (inputs.map(shift), shift(output));
    // 255 * 2^5, twice, half a step of 2^7 and 128 more stay below 2^15.
    if shifts.iter().any(|&shift| shift > 5) || back > 8 {
        return None;
    }
    Some(Add {
        zeros: inputs.map(|spec| flip(spec.signed)),
        shifts: shifts.map(i32::cast_unsigned),
        back: back.cast_unsigned(),
        clip: clip(activation, output),
    })
}

impl Conv {
    /// The weight between any output and any input channel; 0 between groups and beyond the last channel.
    fn weight(&self, to: usize, from: usize, [row, column]: [usize; 2]) -> i8 {
        if to >= self.out_channels
            || from / self.group_channels != to * self.groups / self.out_channels
        {
            return 0;
        }
        let [rows, columns] = self.window.kernel;
        let kernel = to * self.group_channels + from % self.group_channels;
        self.weights[(kernel * rows + row) * columns + column]
    }
}

const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], padding: [0; 4], dilation: [1, 1] };
