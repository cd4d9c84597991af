//! One node, prepared: its weights laid out, its tables made, and which rows of its inputs a row of it reads.

use std::ops::Range;

use super::map::Map;
use super::prepare;
use super::stage::{Scratch, Source};
use crate::emulator::graph::{
    AveragePool, Conv, ConvTranspose, Graph, Node, Op, TensorSpec, Window,
};
use crate::emulator::kernels::{Add, Dense, Depthwise, Instructions, Out, SLACK, flip};
use crate::emulator::reference;

/// Makes one tensor, row by row.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) inputs: Vec<usize>,
    pub(super) output: usize,
    kernel: Kernel,
    /// Applied to every row made.
    table: Option<Table>,
    instructions: Instructions,
    /// Of a node: how it reads rows, and what the reference needs for it.
    plain: Option<Plain>,
}

#[derive(Debug)]
enum Kernel {
    /// The picture's stored bytes to the first map.
    Unpack,
    Dense(Dense, Window),
    Depthwise(Depthwise, Window),
    /// One convolution for each row of the kernel.
    Transposed(Vec<Dense>),
    Add(Add),
    /// What each byte of each input becomes.
    Concat(Vec<Option<Table>>),
    /// 2 x 2, stride 2, no padding.
    MaxPool,
    /// The input column of each output column.
    Pick(Vec<usize>),
    /// The reference's arithmetic, one number at a time.
    Plain,
}

#[derive(Debug)]
struct Plain {
    node: Node,
    inputs: Vec<TensorSpec>,
    output: TensorSpec,
}

impl Step {
    pub(super) fn unpack(instructions: Instructions) -> Self {
        Self {
            inputs: Vec::new(),
            output: 0,
            kernel: Kernel::Unpack,
            table: None,
            instructions,
            plain: None,
        }
    }

    pub(super) fn new(
        graph: &Graph,
        node: &Node,
        maps: &[Map],
        instructions: Instructions,
    ) -> Self {
        let spec = |&tensor: &usize| graph.tensors()[tensor].clone();
        let plain = Plain {
            node: node.clone(),
            inputs: node.inputs.iter().map(spec).collect(),
            output: spec(&node.output),
        };
        let kernel = if is_fast(graph, node) {
            kernel(&plain, &maps[node.inputs[0]], instructions)
        } else {
            Kernel::Plain
        };
        let table = match kernel {
            Kernel::MaxPool | Kernel::Pick(_) => table(node, &plain.inputs[0], &plain.output),
            _ => None,
        };
        let (inputs, output) = (node.inputs.clone(), node.output);
        Self { inputs, output, kernel, table, instructions, plain: Some(plain) }
    }

    /// The rows of input `index` that row `y` of the output reads; all of them on the picture.
    pub(super) fn rows_read(&self, index: usize, y: usize) -> Range<usize> {
        let Some(Plain { node, inputs, .. }) = &self.plain else { return 0..0 };
        let height = inputs[index].height;
        match &node.op {
            Op::Conv(Conv { window, .. })
            | Op::MaxPool(window)
            | Op::AveragePool(AveragePool { window, .. }) => window.inside(0, y, height),
            Op::ConvTranspose(transposed) => transposed.inside(0, y, height),
            Op::Resize(to) => {
                let source = to.source(0, y, height);
                source..source + 1
            }
            Op::ResizeLinear(to) => {
                let ([first, last], _) = to.between(0, y, height);
                first..last + 1
            }
            Op::GlobalAveragePool => 0..height,
            // One pixel is multiplied with every row.
            Op::Mul if height == 1 => 0..1,
            Op::Add | Op::Mul | Op::Concat | Op::Softmax | Op::ArgMax | Op::Copy => y..y + 1,
        }
    }

    /// Bytes widened at a time.
    pub(super) fn scratch_len(&self, maps: &[Map]) -> usize {
        match &self.kernel {
            Kernel::Dense(_, window) => window.kernel[0] * (maps[self.inputs[0]].row_len() + SLACK),
            Kernel::Transposed(_) => maps[self.inputs[0]].row_len() + SLACK,
            _ => 0,
        }
    }

    /// Bytes of what is made before it is laid out.
    pub(super) fn spare_len(&self, maps: &[Map]) -> usize {
        match &self.kernel {
            Kernel::Transposed(rows) => rows[0].affine.len() * 16 * maps[self.inputs[0]].width,
            _ => 0,
        }
    }

    /// Multiply-accumulates of a row, and its bytes: what it costs, roughly.
    pub(super) fn row_cost(&self, maps: &[Map]) -> usize {
        let map = &maps[self.output];
        let products = match self.plain.as_ref().map(|plain| &plain.node.op) {
            Some(Op::Conv(conv) | Op::ConvTranspose(ConvTranspose { conv, .. })) => {
                conv.weights.len() / 16
            }
            _ => 0,
        };
        map.width * (products + map.blocks)
    }

    /// Makes row `y`, except its border.
    pub(super) fn row(&self, y: usize, source: Source<'_>, made: &mut [u8], scratch: &mut Scratch) {
        let to = source.map(self.output);
        let input = |index: usize, y: usize| source.row(self.inputs[index], Some(y));
        match &self.kernel {
            Kernel::Unpack => return to.unpack(source.input(), y, made, self.instructions),
            Kernel::Dense(dense, window) => {
                let mut rows: [&[u8]; MAX_WINDOW_ROWS] = [&[]; MAX_WINDOW_ROWS];
                let rows = self.window(window, y, source, &mut rows);
                self.instructions.dense(dense, rows, to.out(made), &mut scratch.widened);
            }
            Kernel::Depthwise(depthwise, window) => {
                let mut rows: [&[u8]; MAX_WINDOW_ROWS] = [&[]; MAX_WINDOW_ROWS];
                let rows = self.window(window, y, source, &mut rows);
                let block_stride = source.map(self.inputs[0]).block_stride();
                self.instructions.depthwise(depthwise, (rows, block_stride), to.out(made));
            }
            Kernel::Transposed(rows) => {
                let dense = &rows[y % rows.len()];
                let row = [input(0, y / rows.len())];
                let width = source.map(self.inputs[0]).width;
                let spare = &mut scratch.spare[..dense.affine.len() * 16 * width];
                let out = Out { row: &mut *spare, start: 0, block_stride: 16 * width, width };
                self.instructions.dense(dense, &row, out, &mut scratch.widened);
                let columns = dense.affine.len() / to.blocks;
                for (index, line) in spare.as_chunks::<16>().0.chunks_exact(width).enumerate() {
                    let (column, block) = (index / to.blocks, index % to.blocks);
                    let pixels = made[to.pixels(block)].as_chunks_mut::<16>().0;
                    for (pixel, &sum) in pixels[column..].iter_mut().step_by(columns).zip(line) {
                        *pixel = sum;
                    }
                }
            }
            Kernel::Concat(tables) => {
                let mut first = 0;
                for (index, table) in tables.iter().enumerate() {
                    let from = source.map(self.inputs[index]);
                    concat_row((from, input(index, y)), (to, first), made, table.as_deref());
                    first += from.channels;
                }
            }
            Kernel::Add(add) => {
                let rows = [0, 1].map(|i| (i, input(i, y)));
                for block in 0..to.blocks {
                    let read = rows.map(|(i, row)| &row[source.map(self.inputs[i]).pixels(block)]);
                    self.instructions.add(add, read, &mut made[to.pixels(block)]);
                }
            }
            Kernel::MaxPool => {
                let rows = [input(0, 2 * y), input(0, 2 * y + 1)];
                let from = source.map(self.inputs[0]);
                for block in 0..to.blocks {
                    let read = rows.map(|row| &row[from.pixels(block)]);
                    self.instructions.max_pool_2x2(read, &mut made[to.pixels(block)]);
                }
            }
            Kernel::Pick(columns) => {
                let row = input(0, self.rows_read(0, y).start);
                let from = source.map(self.inputs[0]);
                for block in 0..to.blocks {
                    let pixels = row[from.pixels(block)].as_chunks::<16>().0;
                    let made = made[to.pixels(block)].as_chunks_mut::<16>().0;
                    for (pixel, &column) in made.iter_mut().zip(columns) {
                        *pixel = pixels[column];
                    }
                }
            }
            Kernel::Plain => self.plain_row(y, source, made),
        }
        if let Some(table) = &self.table {
            for block in 0..to.blocks {
                for byte in &mut made[to.pixels(block)] {
                    *byte = table[usize::from(*byte)];
                }
            }
        }
    }

    /// The rows under the window of output row `y`.
    fn window<'a, 'b>(
        &self,
        window: &Window,
        y: usize,
        source: Source<'a>,
        rows: &'b mut [&'a [u8]; MAX_WINDOW_ROWS],
    ) -> &'b [&'a [u8]] {
        for (tap, row) in rows.iter_mut().enumerate().take(window.kernel[0]) {
            let y = y * window.stride[0] + tap * window.dilation[0];
            let y = y.checked_sub(window.padding[0]);
            *row = source.row(self.inputs[0], y);
        }
        &rows[..window.kernel[0]]
    }

    fn plain_row(&self, y: usize, source: Source<'_>, made: &mut [u8]) {
        let Some(Plain { node, inputs, output }) = &self.plain else { return };
        let read = |index: usize, [channel, y, x]: [usize; 3]| {
            let tensor = self.inputs[index];
            let map = source.map(tensor);
            i32::from(source.row(tensor, Some(y))[map.at(channel, x)]) - i32::from(map.zero)
        };
        let to = source.map(self.output);
        for channel in 0..to.channels {
            for x in 0..to.width {
                let stored = reference::value(node, inputs, output, &read, [channel, y, x]);
                made[to.at(channel, x)] = stored ^ to.zero;
            }
        }
    }
}

/// Whether there may be a kernel for a node: shifts instead of products, an activation that is a table or a clip, and
/// sums that fit the conversion to int32.
pub(super) fn is_fast(graph: &Graph, node: &Node) -> bool {
    let [input, output] = [node.inputs[0], node.output].map(|tensor| &graph.tensors()[tensor]);
    let fits = match &node.op {
        Op::Conv(conv) | Op::ConvTranspose(ConvTranspose { conv, .. }) => {
            fits(conv, [input, output])
        }
        _ => true,
    };
    let takes_table = matches!(node.op, Op::MaxPool(_) | Op::Resize(_) | Op::Copy | Op::Concat);
    fits && graph.has_powers_of_two(node)
        && node.slopes.is_empty()
        && (takes_table || reference::clip(node.activation, output).is_some())
}

/// What computes a node for which [`is_fast`] holds.
fn kernel(plain: &Plain, from: &Map, instructions: Instructions) -> Kernel {
    let Plain { node, inputs, output } = plain;
    let (a, activation) = (&inputs[0], node.activation);
    let specs = [a, output];
    match &node.op {
        Op::Conv(conv) => {
            if conv.is_depthwise() {
                Kernel::Depthwise(prepare::depthwise(conv, activation, specs, from), conv.window)
            } else {
                let dense = prepare::dense(conv, activation, specs, from, instructions);
                Kernel::Dense(dense, conv.window)
            }
        }
        Op::ConvTranspose(ConvTranspose { conv, output_padding: [0, 0] })
            if conv.window.kernel == conv.window.stride
                && conv.window.padding == [0; 4]
                && conv.window.dilation == [1, 1] =>
        {
            let row = |row| prepare::transposed(conv, row, activation, specs, from, instructions);
            Kernel::Transposed((0..conv.window.kernel[0]).map(row).collect())
        }
        Op::Add => {
            let add = prepare::add(activation, [a, &inputs[1]], output);
            add.map_or(Kernel::Plain, Kernel::Add)
        }
        Op::Concat => {
            Kernel::Concat(inputs.iter().map(|input| table(node, input, output)).collect())
        }
        Op::MaxPool(window) if *window == HALVING => Kernel::MaxPool,
        Op::Resize(to) => {
            Kernel::Pick((0..output.width).map(|x| to.source(1, x, a.width)).collect())
        }
        Op::Copy => Kernel::Pick((0..a.width).collect()),
        _ => Kernel::Plain,
    }
}

/// Whether the kernels take the window, and the results fit the conversion to int32.
fn fits(conv: &Conv, [input, output]: [&TensorSpec; 2]) -> bool {
    let products = conv.weights.len() / conv.out_channels;
    let fits = |channel: usize| {
        let weights = &conv.weights[channel * products..][..products];
        let sum: f32 = weights.iter().map(|&w| f32::from(w).abs() * 255.0).sum();
        let multiplier = input.scale * conv.weight_scales[channel] / output.scale;
        sum * multiplier.abs() + (conv.bias[channel] / output.scale).abs() < MAX_STEPS
    };
    let [_, left, _, right] = conv.window.padding;
    conv.window.kernel[0] <= MAX_WINDOW_ROWS
        && left.max(right) <= MAX_BORDER
        && (0..conv.out_channels).all(fits)
}

/// Lays one input of a concatenation out behind `first` channels.
fn concat_row(
    (from, row): (&Map, &[u8]),
    (to, first): (&Map, usize),
    made: &mut [u8],
    table: Option<&[u8; 256]>,
) {
    let become_of = |byte: u8| table.map_or(byte, |table| table[usize::from(byte)]);
    for channel in 0..from.channels {
        let read = row[from.at(channel, 0)..].iter().step_by(from.lanes);
        let written = made[to.at(first + channel, 0)..].iter_mut().step_by(to.lanes);
        for (byte, &stored) in written.zip(read).take(to.width) {
            *byte = become_of(stored);
        }
    }
}

/// What each stored byte of one tensor becomes in another.
type Table = Box<[u8; 256]>;

/// `None` if every byte stays what it is.
fn table(node: &Node, from: &TensorSpec, to: &TensorSpec) -> Option<Table> {
    let entry = |byte: u8| {
        let real = from.real(from.widen(byte ^ flip(from.signed)));
        reference::quantise(real, node.activation, to) ^ flip(to.signed)
    };
    let table: [u8; 256] = std::array::from_fn(|byte| entry(byte.to_le_bytes()[0]));
    let changes = table.iter().enumerate().any(|(byte, &entry)| byte != usize::from(entry));
    changes.then(|| Box::new(table))
}

/// The one window of the pooling kernel.
const HALVING: Window =
    Window { kernel: [2, 2], stride: [2, 2], padding: [0; 4], dilation: [1, 1] };

/// Rows of a window that a kernel takes; larger ones are computed plainly.
const MAX_WINDOW_ROWS: usize = 16;

/// Pixels left and right of a row; a dilated convolution may want a thousand, for every row there is.
const MAX_BORDER: usize = 64;

/// Half of what an int32 holds.
const MAX_STEPS: f32 = (1 << 30) as f32;
