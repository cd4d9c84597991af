//! Weights, scales and shifts of a node, as the kernels want them.

use super::map::Map;
use crate::emulator::graph::{Activation, Conv, TensorSpec};
use crate::emulator::kernels::{
    Add, Affine, Bytes, Clip, Dense, Depthwise, Instructions, Pairs, Run, flip,
};

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
    let run = |block, row| Run { row, at: block * from.block_stride() + start };
    let runs: Vec<Run> =
        (0..from.blocks).flat_map(|block| (0..rows).map(move |row| run(block, row))).collect();
    let run_len = columns * from.lanes;
    let weight = |output: usize, byte: usize| {
        let (run, column) = (byte / run_len, byte % run_len / from.lanes);
        let channel = run / rows * from.lanes + byte % from.lanes;
        if channel < from.channels { conv.weight(output, channel, [run % rows, column]) } else { 0 }
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
    let run = |[row, column]: [usize; 2]| Run { row, at: start + column * from.lanes };
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
    let is_three = conv.window.kernel == [3, 3] && conv.window.stride[1] == 1;
    let last_block = (from.blocks - 1) * from.block_stride();
    Depthwise {
        step: conv.window.stride[1] * from.lanes,
        reach: last_block + start + columns * from.lanes,
        weights: (0..from.blocks).flat_map(weights).collect(),
        three: is_three.then(|| (0..from.blocks).map(three).collect()),
        taps: taps.chunks(2).map(|pair| [run(pair[0]), run(pair[pair.len() - 1])]).collect(),
        affine: affine(conv, specs, i32::from(flip(specs[0].signed))),
        clip: clip(activation, specs[1]),
    }
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

fn clip(activation: Activation, output: &TensorSpec) -> Clip {
    let flip = flip(output.signed);
    Clip { flip, low: if activation == Activation::Relu { flip } else { 0 }, high: u8::MAX }
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
