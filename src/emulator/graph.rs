//! The network as the emulator holds it: quantised tensors, and the nodes that make one from others.
//!
//! ```text
//!   ONNX      Conv -> Relu -> ActivationPOTQuantizer       three nodes, two of their results are real numbers
//!   Graph     Node { Conv, activation: Relu } -> Tensor    one node, every tensor is 8 bits
//! ```
//!
//! Terms. *Stored*: the 8-bit number, u8 or i8 by [`TensorSpec::signed`]. *Real*: stored less
//! [`TensorSpec::zero_point`], times [`TensorSpec::scale`]. In an MCTQ file the scale is a power of two and the
//! zero point 0; a QDQ file is free.
//!
//! Shapes follow from the input's; [`Graph::with_input_size`] works them out anew for another one.

mod op;
mod shape;

pub use self::op::{
    Activation, AveragePool, Conv, ConvTranspose, Coordinates, Op, ResizeLinear, ResizeTo, Window,
};
use self::shape::{MAX_ACTIVATIONS, MAX_ROWS};
pub(super) use self::shape::{MAX_CHANNELS, MAX_SIDE, check_size};
use super::LoadError;

/// Shape and meaning of a tensor; stored row-major, planes first (C, H, W).
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Name in the model file.
    pub name: String,
    /// Planes.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Real value of one step.
    pub scale: f32,
    /// Stored number of the real zero.
    pub zero_point: i32,
    /// i8 if true, u8 else.
    pub signed: bool,
}

impl TensorSpec {
    /// Stored bytes of the whole tensor.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Smallest and largest stored number.
    #[must_use]
    pub fn range(&self) -> (i32, i32) {
        if self.signed { (-128, 127) } else { (0, 255) }
    }

    /// The number that a stored byte stands for.
    #[must_use]
    pub fn widen(&self, byte: u8) -> i32 {
        if self.signed { i32::from(byte.cast_signed()) } else { i32::from(byte) }
    }

    /// The real number of a stored one; exact if the scale is a power of two, else rounded once.
    #[must_use]
    pub fn real(&self, stored: i32) -> f32 {
        (stored - self.zero_point) as f32 * self.scale
    }

    /// Whether the scale is a power of two and the zero point 0, as in every MCTQ file: shifts and divisions
    /// by the scale are exact, and a stored zero is a real one.
    #[must_use]
    pub fn is_power_of_two(&self) -> bool {
        const MANTISSA: u32 = 0x007f_ffff;
        self.zero_point == 0 && self.scale.is_normal() && self.scale.to_bits() & MANTISSA == 0
    }
}

/// A quantised network.
#[derive(Debug, Clone)]
pub struct Graph {
    pub(super) tensors: Vec<TensorSpec>,
    pub(super) nodes: Vec<Node>,
    /// Index of the network's output; its input is tensor 0.
    pub(super) output: usize,
}

/// One step: reads tensors, makes one.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name in the model file.
    pub name: String,
    /// What it computes, in real numbers.
    pub op: Op,
    /// What is applied to the result before it is quantised.
    pub activation: Activation,
    /// Slope of each channel, where a PRelu has several; the activation is then a leaky ReLU. Empty else.
    pub slopes: Vec<f32>,
    /// Tensors read, as indices of [`Graph::tensors`]; all come before `output`.
    pub inputs: Vec<usize>,
    /// Tensor made.
    pub output: usize,
}

impl Graph {
    /// All tensors; the first is the network's input.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// All nodes, in an order in which they can run.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The network's input.
    #[must_use]
    pub fn input(&self) -> &TensorSpec {
        &self.tensors[0]
    }

    /// The network's output.
    #[must_use]
    pub fn output(&self) -> &TensorSpec {
        &self.tensors[self.output]
    }

    /// The same nodes on an input of another size, in pixels.
    ///
    /// # Errors
    /// When a picture in between would vanish, grow past the limits, or no longer fit one it is added to.
    pub fn with_input_size(&self, height: usize, width: usize) -> Result<Self, LoadError> {
        let mut graph = self.clone();
        check_size(&graph.tensors[0].name, [graph.tensors[0].channels, height, width])?;
        graph.tensors[0].height = height;
        graph.tensors[0].width = width;
        for node in &graph.nodes {
            let inputs: Vec<&TensorSpec> = node.inputs.iter().map(|&i| &graph.tensors[i]).collect();
            let [channels, height, width] = node.output_shape(&inputs)?;
            let output = &mut graph.tensors[node.output];
            (output.channels, output.height, output.width) = (channels, height, width);
        }
        graph.check_total()?;
        Ok(graph)
    }

    pub(super) fn check_total(&self) -> Result<(), LoadError> {
        let total: usize = self.tensors.iter().map(TensorSpec::len_bytes).sum();
        if total > MAX_ACTIVATIONS {
            return Err(LoadError::Activations { found: total, limit: MAX_ACTIVATIONS });
        }
        let rows: usize = self.tensors.iter().map(|tensor| tensor.height).sum();
        if rows > MAX_ROWS {
            return Err(LoadError::Rows { found: rows, limit: MAX_ROWS });
        }
        Ok(())
    }

    /// Multiply-accumulates of one inference, padding included.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let conv_macs = |node: &Node| match &node.op {
            Op::Conv(conv) => {
                let output = &self.tensors[node.output];
                (output.height * output.width) as u64 * conv.weights.len() as u64
            }
            // Each input pixel meets every weight of its plane.
            Op::ConvTranspose(ConvTranspose { conv, .. }) => {
                let input = &self.tensors[node.inputs[0]];
                (input.height * input.width) as u64 * conv.weights.len() as u64
            }
            _ => 0,
        };
        self.nodes.iter().map(conv_macs).sum()
    }

    /// Weights, biases and slopes.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let count = |node: &Node| match &node.op {
            Op::Conv(conv) | Op::ConvTranspose(ConvTranspose { conv, .. }) => {
                conv.weights.len() + conv.bias.len() + node.slopes.len()
            }
            _ => node.slopes.len(),
        };
        self.nodes.iter().map(|node| count(node) as u64).sum()
    }

    /// Whether [`TensorSpec::is_power_of_two`] holds for all that `node` reads and makes. Kernels that shift,
    /// or take a stored zero for a real one, may take these nodes only.
    #[must_use]
    pub fn has_powers_of_two(&self, node: &Node) -> bool {
        let tensors = node.inputs.iter().chain([&node.output]);
        tensors.into_iter().all(|&tensor| self.tensors[tensor].is_power_of_two())
    }
}

impl Node {
    /// What is applied to the results of one channel.
    #[must_use]
    pub fn activation_of(&self, channel: usize) -> Activation {
        self.slopes.get(channel).map_or(self.activation, |&slope| Activation::LeakyRelu(slope))
    }
}
