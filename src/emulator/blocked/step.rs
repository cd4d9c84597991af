//! One node, prepared for the blocked layout.

use super::map::Map;
use super::plain::{self, Plain};
use crate::emulator::graph::{Activation, Conv, Graph, Node, Op, ResizeTo, TensorSpec, Window};
use crate::emulator::kernels::spatial::sources;
use crate::emulator::kernels::vnni::{self, Affine, Clip, Out, Vnni, Weights};
use crate::emulator::reference;

/// A node's weights and tables.
#[derive(Debug)]
pub(super) struct Step {
    kernel: Kernel,
    /// Applied to every row made.
    table: Option<Box<[u8; 256]>>,
    vnni: Vnni,
}

#[derive(Debug)]
enum Kernel {
    Dense(vnni::Dense, Window),
    Depthwise(vnni::Depthwise),
    Add(vnni::Add),
    /// 2 x 2, stride 2, no padding.
    MaxPool,
    /// The input row of each output row, the input column of each output column.
    Pick([Vec<usize>; 2]),
    /// Whatever has no kernel of its own.
    Plain(Plain),
}

impl Step {
    pub(super) fn new(graph: &Graph, node: &Node, maps: &[Map], vnni: Vnni) -> Self {
        let input = |index: usize| &graph.tensors()[node.inputs[index]];
        let (a, output) = (input(0), &graph.tensors()[node.output]);
        let (activation, from) = (node.activation, &maps[node.inputs[0]]);
        let plain = || Kernel::Plain(Plain::new(graph, node));
        let pick = |to: Option<ResizeTo>| {
            Kernel::Pick(sources(to, [a.height, a.width], [output.height, output.width]))
        };
        let kernel = match &node.op {
            _ if !graph.has_powers_of_two(node) || !node.slopes.is_empty() => plain(),
            Op::Conv(conv) if takes(graph, node) && conv.is_depthwise() => {
                Kernel::Depthwise(depthwise(conv, activation, [a, output]))
            }
            Op::Conv(conv) if takes(graph, node) => {
                Kernel::Dense(dense(conv, activation, [a, output], from), conv.window)
            }
            Op::Add if reference::clip(activation, output).is_some() => {
                add(activation, [a, input(1)], output).map_or_else(plain, Kernel::Add)
            }
            Op::MaxPool(window) if *window == HALVING => Kernel::MaxPool,
            Op::Resize(to) => pick(Some(*to)),
            Op::Copy => pick(None),
            _ => plain(),
        };
        let copies = matches!(kernel, Kernel::MaxPool | Kernel::Pick(_));
        let table = if copies { plain::table(activation, a, output) } else { None };
        Self { kernel, table, vnni }
    }

    /// Makes the whole tensor, except its border. `input` gives the map and the bytes of the node's n-th input.
    pub(super) fn run<'a>(
        &self,
        input: &impl Fn(usize) -> (&'a Map, &'a [u8]),
        (to, made): (&Map, &mut [u8]),
    ) {
        let (from, map) = input(0);
        match &self.kernel {
            Kernel::Dense(dense, window) => {
                let down = window.stride[0] * from.row_stride();
                for y in 0..to.height {
                    let out = Out {
                        map: &mut *made,
                        start: to.row(0, y),
                        plane_len: to.plane_len(),
                        width: to.width,
                    };
                    self.vnni.dense(dense, (map, y * down), out);
                }
            }
            Kernel::Depthwise(depthwise) => {
                for block in 0..to.blocks {
                    let start = block * from.plane_len() + from.origin(depthwise.padding);
                    for y in 0..to.height {
                        let rows = [0, 1, 2].map(|row| start + (y + row) * from.row_stride());
                        let row = to.row(block, y);
                        let made = &mut made[row..row + to.row_len()];
                        self.vnni.depthwise((depthwise, block), (map, rows), made);
                    }
                }
            }
            Kernel::Plain(plain) => plain.run(input, (to, made)),
            Kernel::Add(add) => {
                let inputs = [(from, map), input(1)];
                for (block, y) in rows(to) {
                    let read = inputs.map(|(from, map)| {
                        let row = from.row(block, y);
                        &map[row..row + from.row_len()]
                    });
                    let row = to.row(block, y);
                    self.vnni.add(add, read, &mut made[row..row + to.row_len()]);
                }
            }
            Kernel::MaxPool => {
                for (block, y) in rows(to) {
                    let read = [0, 1].map(|below| {
                        let row = from.row(block, 2 * y + below);
                        &map[row..row + from.row_len()]
                    });
                    let row = to.row(block, y);
                    self.vnni.max_pool_2x2(read, &mut made[row..row + to.row_len()]);
                }
            }
            Kernel::Pick([from_rows, from_columns]) => {
                for (block, y) in rows(to) {
                    let row = to.row(block, y);
                    if y > 0 && from_rows[y - 1] == from_rows[y] {
                        let above = to.row(block, y - 1);
                        made.copy_within(above..above + to.row_len(), row);
                        continue;
                    }
                    let source = from.row(block, from_rows[y]);
                    let source = map[source..source + from.row_len()].as_chunks::<16>().0;
                    let pixels = made[row..row + to.row_len()].as_chunks_mut::<16>().0;
                    for (pixel, &column) in pixels.iter_mut().zip(from_columns) {
                        *pixel = source[column];
                    }
                    // The rows copied of this one have been through the table with it.
                    self.look_up(&mut made[row..row + to.row_len()]);
                }
                return;
            }
        }
        if self.table.is_some() {
            for (block, y) in rows(to) {
                let row = to.row(block, y);
                self.look_up(&mut made[row..row + to.row_len()]);
            }
        }
    }

    fn look_up(&self, row: &mut [u8]) {
        if let Some(table) = &self.table {
            for byte in row {
                *byte = table[usize::from(*byte)];
            }
        }
    }
}

/// Whether a convolution has a kernel of its own, which reads the border of its input.
pub(super) fn takes(graph: &Graph, node: &Node) -> bool {
    let Op::Conv(conv) = &node.op else { return false };
    let Window { kernel, stride, dilation, .. } = conv.window;
    graph.has_powers_of_two(node)
        && node.slopes.is_empty()
        && reference::clip(node.activation, &graph.tensors()[node.output]).is_some()
        && dilation == [1, 1]
        && (!conv.is_depthwise() || (kernel, stride) == ([3, 3], [1, 1]))
}

/// Block and row of every row of a map.
fn rows(map: &Map) -> impl Iterator<Item = (usize, usize)> + use<> {
    let height = map.height;
    (0..map.blocks).flat_map(move |block| (0..height).map(move |y| (block, y)))
}

/// Groups become zero weights between channels that have nothing to do with each other.
fn dense(conv: &Conv, activation: Activation, specs: [&TensorSpec; 2], from: &Map) -> vnni::Dense {
    let [rows, columns] = conv.window.kernel;
    let [above, left, ..] = conv.window.padding;
    let start = from.origin([above, left]);
    let run = |block, row| block * from.plane_len() + start + row * from.row_stride();
    let runs = (0..from.blocks).flat_map(|block| (0..rows).map(move |row| run(block, row)));
    let mut weights = Vec::new();
    for out in 0..conv.out_channels.div_ceil(16) {
        for block in 0..from.blocks {
            for row in 0..rows {
                for column in 0..columns {
                    for quad in 0..from.lanes / 4 {
                        weights.push(Weights(std::array::from_fn(|i| {
                            let channel = block * from.lanes + 4 * quad + i % 4;
                            if channel < from.channels {
                                conv.weight_i8(16 * out + i / 4, channel, [row, column])
                            } else {
                                0
                            }
                        })));
                    }
                }
            }
        }
    }
    vnni::Dense {
        runs: runs.collect(),
        quads: columns * from.lanes / 4,
        step: conv.window.stride[1] * from.lanes,
        weights,
        affine: affine(conv, specs),
        clip: clip(activation, specs[1]),
    }
}

fn depthwise(conv: &Conv, activation: Activation, specs: [&TensorSpec; 2]) -> vnni::Depthwise {
    let block = |block: usize| {
        [0, 1, 2].map(|row| {
            [0, 1].map(|further| {
                Weights(std::array::from_fn(|i| {
                    let (channel, tap) = (16 * block + i / 4, (i % 4).wrapping_sub(further));
                    if channel < conv.out_channels && tap < 3 {
                        conv.weights[9 * channel + 3 * row + tap]
                    } else {
                        0
                    }
                }))
            })
        })
    };
    vnni::Depthwise {
        padding: [conv.window.padding[0], conv.window.padding[1]],
        weights: (0..conv.out_channels.div_ceil(16)).map(block).collect(),
        affine: affine(conv, specs),
        clip: clip(activation, specs[1]),
    }
}

/// In steps of the output: its scale is a power of two, so multiplier and bias are divided exactly and every
/// rounding stays what it was.
fn affine(conv: &Conv, [input, output]: [&TensorSpec; 2]) -> Vec<Affine> {
    let products = conv.weights.len() / conv.out_channels;
    let of = |block: usize| {
        let mut affine = Affine { multiplier: [0.0; 16], bias: [0.0; 16], first: [0; 16] };
        let channels = (16 * block..conv.out_channels).take(16);
        for (i, channel) in channels.enumerate() {
            affine.multiplier[i] = input.scale * conv.weight_scales[channel] / output.scale;
            affine.bias[i] = conv.bias[channel] / output.scale;
            if input.signed {
                let weights = &conv.weights[channel * products..][..products];
                affine.first[i] = -128 * weights.iter().map(|&w| i32::from(w)).sum::<i32>();
            }
        }
        affine
    };
    (0..conv.out_channels.div_ceil(16)).map(of).collect()
}

fn clip(activation: Activation, output: &TensorSpec) -> Clip {
    let (low, high) = output.range();
    let [low, high] = reference::clip(activation, output).unwrap_or([low, high]);
    Clip { low, high, flip: if output.signed { 128 } else { 0 } }
}

/// `None` where the sum could leave 16 bits.
fn add(activation: Activation, inputs: [&TensorSpec; 2], output: &TensorSpec) -> Option<vnni::Add> {
    // Scales are powers of two, so the exponent is all there is of them.
    let exponent = |spec: &TensorSpec| (spec.scale.to_bits() >> 23).cast_signed();
    let finest = exponent(inputs[0]).min(exponent(inputs[1])).min(exponent(output));
    let shift = |spec: &TensorSpec| exponent(spec) - finest;
    let (shifts, back) = (inputs.map(shift), shift(output));
    // 255 * 2^5, twice, and half a step of 2^7 more stay below 2^15.
    if shifts.iter().any(|&shift| shift > 5) || back > 8 {
        return None;
    }
    let zero = |spec: &TensorSpec| if spec.signed { 128 } else { 0 };
    Some(vnni::Add {
        zeros: inputs.map(zero),
        shifts: shifts.map(i32::cast_unsigned),
        back: back.cast_unsigned(),
        clip: clip(activation, output),
    })
}

/// The one window of the pooling kernel.
const HALVING: Window =
    Window { kernel: [2, 2], stride: [2, 2], padding: [0; 4], dilation: [1, 1] };
