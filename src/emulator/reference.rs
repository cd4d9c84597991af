//! The definition of the arithmetic: obvious loops, no cleverness. Never optimise this.
//!
//! Every line is float32 and rounded once for each operation, left to right, unless it says otherwise.
//!
//! ```text
//!   x          = (q - zero point) * scale          exact where the scale is a power of two
//!   Conv       sum  = sum of (q - zero point) * w  int32, exact; outside the picture lies 0
//!              y    = sum * m + b                  m = scale of x * scale of w; no FMA
//!   ConvTranspose                                  the same, over the taps that are laid on the pixel
//!   Add        y    = x1 + x2                      exact for powers of two
//!   Mul        y    = x1 * x2                      exact for powers of two
//!   AveragePool, GlobalAveragePool
//!              y    = (sum of (q - zero point) / n) * scale      sum and quotient float64, then float32
//!   Resize, linear                                 a b above, c d below; fx, fy from the first to the second
//!              up   = a * (1 - fx) + b * fx        a to d are q - zero point; exact for fractions of few
//!              low  = c * (1 - fx) + d * fx        bits, as scales of 2 and 4 have
//!              y    = (up * (1 - fy) + low * fy) * scale
//!   MaxPool, Resize nearest, Concat, Copy
//!              y    = x
//!   Softmax    float64: e = exp(x - largest x)     y = e / sum of e, planes in order
//!   ArgMax     q    = the first plane whose q is largest; nothing follows
//!
//!   then       y    = activation(y)
//!     Relu     max(y, 0)            Clip       min(max(y, low), high)
//!     LeakyRelu, PRelu              y < 0: y * slope
//!     HardSigmoid                   min(max(alpha * y + beta, 0), 1)
//!     HardSwish                     y * (min(max(y * (1 / 6) + 0.5, 0), 1))
//!     Sigmoid                       float64: 1 / (1 + exp(-y))
//!   then       q    = clip(round_half_even(y / scale) + zero point)
//! ```
//!
//! The last division is exact for powers of two; a result in float64 is divided as such and rounded once,
//! straight to the stored number. Every fast kernel equals this in each bit; against onnxruntime single
//! elements differ by one step, since it sums in float32 in an order of its own.

mod picture;
mod sums;

use self::picture::{largest_plane, max_pool, mean, resize, resize_linear, softmax, whole};
use self::sums::{convolve, convolve_transposed};
use super::graph::{Activation, Graph, Node, Op, TensorSpec};

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
    let activation = node.activation_of(at[0]);
    let real = match &node.op {
        Op::Conv(conv) => convolve(conv, &input(0), at),
        Op::ConvTranspose(transposed) => convolve_transposed(&transposed.conv, &input(0), at),
        Op::Add => input(0).real(at) + input(1).real(at),
        Op::Mul => input(0).real_of_pixel(at) * input(1).real_of_pixel(at),
        Op::Concat => {
            let [mut channel, row, column] = at;
            let mut index = 0;
            while channel >= inputs[index].channels {
                channel -= inputs[index].channels;
                index += 1;
            }
            input(index).real([channel, row, column])
        }
        Op::MaxPool(window) => max_pool(window, &input(0), at),
        Op::AveragePool(pool) => mean(pool, &input(0), at),
        Op::GlobalAveragePool => mean(&whole(&inputs[0]), &input(0), at),
        Op::Resize(to) => resize(*to, &input(0), at),
        Op::ResizeLinear(to) => resize_linear(to, &input(0), at),
        Op::Softmax => return store(softmax(&input(0), at) / f64::from(output.scale), output),
        Op::ArgMax => return largest_plane(&input(0), at),
        Op::Copy => input(0).real(at),
    };
    quantise(real, activation, output)
}

/// Applies `activation` to a real number and stores it in the steps of `output`.
#[must_use]
pub fn quantise(real: f32, activation: Activation, output: &TensorSpec) -> u8 {
    let steps = match activation {
        Activation::Sigmoid => 1.0 / (1.0 + (-f64::from(real)).exp()) / f64::from(output.scale),
        other => f64::from(activate(real, other) / output.scale),
    };
    store(steps, output)
}

/// Smallest and largest stored number of `output` behind an activation that clips and does nothing else;
/// `None` for the others.
pub(super) fn clip(activation: Activation, output: &TensorSpec) -> Option<[i32; 2]> {
    // A clip never decreases, nor does rounding: its limits' stored numbers are those of the results.
    let at = |real| output.widen(quantise(real, activation, output));
    match activation {
        Activation::None | Activation::Relu | Activation::Clip { .. } => {
            Some([f32::NEG_INFINITY, f32::INFINITY].map(at))
        }
        _ => None,
    }
}

fn activate(real: f32, activation: Activation) -> f32 {
    let hard_sigmoid = |alpha: f32, beta: f32| (real * alpha + beta).clamp(0.0, 1.0);
    match activation {
        // A sigmoid has been computed in float64, above.
        Activation::None | Activation::Sigmoid => real,
        Activation::Relu => real.max(0.0),
        Activation::Clip { low, high } => real.max(low).min(high),
        Activation::HardSigmoid { alpha, beta } => hard_sigmoid(alpha, beta),
        Activation::HardSwish => real * hard_sigmoid(1.0 / 6.0, 0.5),
        Activation::LeakyRelu(slope) if real < 0.0 => real * slope,
        Activation::LeakyRelu(_) => real,
    }
}

/// `clip(round_half_even(steps) + zero point)`.
fn store(steps: f64, output: &TensorSpec) -> u8 {
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

    /// An input of one pixel has that one everywhere.
    fn real_of_pixel(&self, [channel, row, column]: [usize; 3]) -> f32 {
        let (row, column) = (row.min(self.spec.height - 1), column.min(self.spec.width - 1));
        self.real([channel, row, column])
    }
}
