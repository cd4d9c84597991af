//! The definition of the arithmetic: obvious loops, no cleverness. Never optimise this.
//!
//! ```text
//!   x         (q - zero point) * scale             float32; exact where the scale is a power of two
//!   Conv      sum  = sum of (q - zero point) * w   int32, exact; outside the picture lies 0
//!             y    = f32(f32(sum * m) + b)         m = f32(scale of x * scale of w); two roundings, no FMA
//!   Add       y    = f32(x1 + x2)                  exact for powers of two
//!   MaxPool, Resize, Copy
//!             y    = x
//!   then      y    = activation(y)
//!             q    = clip(round_half_even(f32(y / scale)) + zero point)
//! ```
//!
//! The division is exact for powers of two.
//! A sigmoid is computed in float64 and rounded once, straight to the stored number. Every fast kernel
//! equals this in each bit; against onnxruntime single elements differ by one step, since it sums in
//! float32 in an order of its own.

use super::graph::{Activation, Conv, Graph, Node, Op, ResizeTo, TensorSpec, Window};

/// Runs the network; returns the stored bytes of every tensor of the graph, C, H, W.
///
/// # Panics
/// When `input` is not as long as the network's input.
#[must_use]
pub fn run(graph: &Graph, input: &[u8]) -> Vec<Vec<u8>> {
    let mut tensors = vec![Vec::new(); graph.tensors().len()];
    tensors[0] = input.to_vec();
    for node in graph.nodes() {
        let inputs: Vec<&[u8]> = node.inputs.iter().map(|&i| tensors[i].as_slice()).collect();
        tensors[node.output] = run_node(graph, node, &inputs);
    }
    tensors
}

/// Runs one node on the stored bytes of its inputs; returns those of its output.
///
/// # Panics
/// When an input does not have the length of its tensor.
#[must_use]
pub fn run_node(graph: &Graph, node: &Node, inputs: &[&[u8]]) -> Vec<u8> {
    let specs: Vec<TensorSpec> = node.inputs.iter().map(|&i| graph.tensors()[i].clone()).collect();
    for (spec, bytes) in specs.iter().zip(inputs) {
        assert_eq!(bytes.len(), spec.len_bytes(), "stored bytes of tensor {:?}", spec.name);
    }
    let read = |input: usize, [channel, row, column]: [usize; 3]| {
        let spec = &specs[input];
        spec.widen(inputs[input][(channel * spec.height + row) * spec.width + column])
    };
    let output = &graph.tensors()[node.output];
    let mut stored = Vec::with_capacity(output.len_bytes());
    for channel in 0..output.channels {
        for row in 0..output.height {
            for column in 0..output.width {
                stored.push(value(node, &specs, output, &read, [channel, row, column]));
            }
        }
    }
    stored
}

/// The stored byte of `node`'s output at channel, row, column.
///
/// `read` gives the stored number of an input at a place, so that an engine can compute what it has no fast
/// kernel for over a layout of its own, exact by construction. `inputs`: in the order of the node's.
pub(super) fn value(
    node: &Node,
    inputs: &[TensorSpec],
    output: &TensorSpec,
    read: &impl Read,
    at: [usize; 3],
) -> u8 {
    let input = |index: usize| Input { spec: &inputs[index], index, read };
    let real = match &node.op {
        Op::Conv(conv) => convolve(conv, &input(0), at),
        Op::Add => input(0).real(at) + input(1).real(at),
        Op::MaxPool(window) => max_pool(window, &input(0), at),
        Op::Resize(to) => resize(*to, &input(0), at),
        Op::Copy => input(0).real(at),
    };
    quantise(real, node.activation, output)
}

/// Applies `activation` to a real number and stores it in the steps of `output`.
#[must_use]
pub fn quantise(real: f32, activation: Activation, output: &TensorSpec) -> u8 {
    let steps = match activation {
        Activation::None => f64::from(real / output.scale),
        Activation::Relu => f64::from(real.max(0.0) / output.scale),
        Activation::Sigmoid => 1.0 / (1.0 + (-f64::from(real)).exp()) / f64::from(output.scale),
    };
    let (low, high) = output.range();
    let stored = steps.round_ties_even() + f64::from(output.zero_point);
    let clipped = stored.clamp(f64::from(low), f64::from(high));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clipped to 8 bits, of which a byte keeps the pattern, signed or not"
    )]
    let byte = clipped as i16 as u8;
    byte
}

/// Gives the stored number of an input, by its index among the node's, at channel, row, column.
pub(super) trait Read: Fn(usize, [usize; 3]) -> i32 {}

impl<F: Fn(usize, [usize; 3]) -> i32> Read for F {}

/// One input of a node, read through the caller's layout.
struct Input<'a, R> {
    spec: &'a TensorSpec,
    index: usize,
    read: &'a R,
}

impl<R: Read> Input<'_, R> {
    fn stored(&self, at: [usize; 3]) -> i32 {
        (self.read)(self.index, at)
    }

    /// In steps, so that the real zero is 0.
    fn steps(&self, at: [usize; 3]) -> i32 {
        self.stored(at) - self.spec.zero_point
    }

    fn real(&self, at: [usize; 3]) -> f32 {
        self.spec.real(self.stored(at))
    }
}

fn convolve<R: Read>(conv: &Conv, input: &Input<'_, R>, [channel, row, column]: [usize; 3]) -> f32 {
    let group = channel / (conv.out_channels / conv.groups);
    let [kernel_rows, kernel_columns] = conv.window.kernel;
    let mut sum = 0_i32;
    for group_channel in 0..conv.group_channels {
        let plane = group * conv.group_channels + group_channel;
        for kernel_row in 0..kernel_rows {
            for kernel_column in 0..kernel_columns {
                let tap = [kernel_row, kernel_column];
                // Outside the picture lies zero.
                if let Some([y, x]) = conv.window.pixel(input.spec, [row, column], tap) {
                    let kernel = channel * conv.group_channels + group_channel;
                    let weight =
                        (kernel * kernel_rows + kernel_row) * kernel_columns + kernel_column;
                    sum += input.steps([plane, y, x]) * i32::from(conv.weights[weight]);
                }
            }
        }
    }
    let multiplier = input.spec.scale * conv.weight_scales[channel];
    sum as f32 * multiplier + conv.bias[channel]
}

fn max_pool<R: Read>(
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

fn resize<R: Read>(to: ResizeTo, input: &Input<'_, R>, [channel, row, column]: [usize; 3]) -> f32 {
    let y = to.source(0, row, input.spec.height);
    let x = to.source(1, column, input.spec.width);
    input.real([channel, y, x])
}

impl Window {
    /// The input pixel under tap `tap` of the window of output pixel `at`; `None` in the padding.
    fn pixel(&self, input: &TensorSpec, at: [usize; 2], tap: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize, len: usize| {
            (at[axis] * self.stride[axis] + tap[axis])
                .checked_sub(self.padding[axis])
                .filter(|&position| position < len)
        };
        Some([along(0, input.height)?, along(1, input.width)?])
    }
}
