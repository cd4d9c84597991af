//! The network as the emulator holds it: quantised tensors, and the nodes that make one from others.
//!
//! ```text
//!   ONNX      Conv -> Relu -> ActivationPOTQuantizer       three nodes, two of their results are real numbers
//!   Graph     Node { Conv, activation: Relu } -> Tensor    one node, every tensor is 8 bits
//! ```
//!
//! Terms. *Stored*: the 8-bit number, u8 or i8 by [`TensorSpec::signed`]. *Real*: stored less
//! [`TensorSpec::zero_point`], times [`TensorSpec::scale`]. In an MCTQ file the scale is a power of two and the
//! zero point 0.
//!
//! Shapes follow from the input's; [`Graph::with_input_size`] works them out anew for another one.

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
    /// Tensors read, as indices of [`Graph::tensors`]; all come before `output`.
    pub inputs: Vec<usize>,
    /// Tensor made.
    pub output: usize,
}

/// Operators. To add one: here, `load.rs`, `reference.rs`, `plan.rs`; `tests/emulator_proptest.rs` compares the last two.
#[derive(Debug, Clone)]
pub enum Op {
    /// 2-D convolution, zero padding.
    Conv(Conv),
    /// Sum of two tensors of one shape.
    Add,
    /// Largest of a window; what lies outside the picture does not take part.
    MaxPool(Window),
    /// Nearest neighbour: output row `y` is input row `floor(y / scale)`.
    Resize(ResizeTo),
    /// The input itself; for an activation or a quantiser that stands alone.
    Copy,
}

/// What is applied between an operator and its quantiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(y, 0)`.
    Relu,
    /// `1 / (1 + exp(-y))`.
    Sigmoid,
}

/// Weights and window of a convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    /// Planes made.
    pub out_channels: usize,
    /// Planes read by each group.
    pub group_channels: usize,
    /// Output plane `o` reads the planes of group `o / (out_channels / groups)`.
    pub groups: usize,
    /// Kernel, stride, padding.
    pub window: Window,
    /// `[out_channels][group_channels][kernel row][kernel column]`.
    pub weights: Vec<i8>,
    /// Real value of one step of a weight, per output plane.
    pub weight_scales: Vec<f32>,
    /// Real value added, per output plane.
    pub bias: Vec<f32>,
}

/// How a window moves over a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows, columns.
    pub kernel: [usize; 2],
    /// Rows, columns from one output pixel to the next.
    pub stride: [usize; 2],
    /// Rows above, columns left, rows below, columns right of the picture.
    pub padding: [usize; 4],
}

/// Size of a resized picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ResizeTo {
    /// Output rows per input row, columns per column; the output size is rounded down.
    Scales([f32; 2]),
    /// Rows, columns.
    Size([usize; 2]),
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
            _ => 0,
        };
        self.nodes.iter().map(conv_macs).sum()
    }

    /// Weights and biases.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let count = |node: &Node| match &node.op {
            Op::Conv(conv) => (conv.weights.len() + conv.bias.len()) as u64,
            _ => 0,
        };
        self.nodes.iter().map(count).sum()
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
    /// Channels, rows, columns of what the node makes of `inputs`.
    pub(super) fn output_shape(&self, inputs: &[&TensorSpec]) -> Result<[usize; 3], LoadError> {
        let first = inputs[0];
        let size = [first.height, first.width];
        let shape = match &self.op {
            Op::Conv(conv) => {
                if conv.group_channels * conv.groups != first.channels {
                    return Err(self.refused(
                        format!("{} input channels", first.channels),
                        format!("{} (weights times groups)", conv.group_channels * conv.groups),
                    ));
                }
                let [height, width] = self.windows(&conv.window, size)?;
                [conv.out_channels, height, width]
            }
            Op::MaxPool(window) => {
                let [height, width] = self.windows(window, size)?;
                [first.channels, height, width]
            }
            Op::Add => {
                let shape = |t: &TensorSpec| [t.channels, t.height, t.width];
                if shape(first) != shape(inputs[1]) {
                    return Err(self.refused(
                        format!("shapes {:?} and {:?}", shape(first), shape(inputs[1])),
                        "one shape (C, H, W) for both inputs".to_owned(),
                    ));
                }
                [first.channels, first.height, first.width]
            }
            Op::Resize(to) => {
                let [height, width] = to.size(size);
                [first.channels, height, width]
            }
            Op::Copy => [first.channels, first.height, first.width],
        };
        check_size(&self.name, shape)?;
        Ok(shape)
    }

    fn windows(&self, window: &Window, size: [usize; 2]) -> Result<[usize; 2], LoadError> {
        window.output_size(size).ok_or_else(|| {
            self.refused(
                format!("a picture of {} x {} pixels", size[0], size[1]),
                format!("at least the kernel's {} x {}", window.kernel[0], window.kernel[1]),
            )
        })
    }

    fn refused(&self, found: String, wanted: String) -> LoadError {
        LoadError::Node {
            node: self.name.clone(),
            operator: self.op.name().to_owned(),
            found,
            wanted,
        }
    }
}

impl Op {
    fn name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::Add => "Add",
            Self::MaxPool(_) => "MaxPool",
            Self::Resize(_) => "Resize",
            Self::Copy => "quantiser",
        }
    }
}

impl Conv {
    /// One input plane for each output plane.
    #[must_use]
    pub fn is_depthwise(&self) -> bool {
        self.group_channels == 1 && self.groups == self.out_channels
    }
}

impl Window {
    /// Rows and columns of windows that fit; `None` if not even one does.
    #[must_use]
    pub fn output_size(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let padded = size[axis] + self.padding[axis] + self.padding[axis + 2];
            Some(padded.checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
        };
        Some([along(0)?, along(1)?])
    }
}

impl ResizeTo {
    /// Rows and columns of the result.
    #[must_use]
    pub fn size(&self, size: [usize; 2]) -> [usize; 2] {
        match *self {
            Self::Size(size) => size,
            Self::Scales(scales) => [0, 1].map(|axis| floor(size[axis] as f32 * scales[axis])),
        }
    }

    /// The input row (axis 0) or column (axis 1) that output position `at` copies, of `len` in all.
    ///
    /// ONNX's `asymmetric` with `floor`, in float32 as onnxruntime computes it.
    #[must_use]
    pub fn source(&self, axis: usize, at: usize, len: usize) -> usize {
        let scale = match *self {
            Self::Scales(scales) => scales[axis],
            Self::Size(size) => size[axis] as f32 / len as f32,
        };
        floor(at as f32 / scale).min(len - 1)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position in a picture, never negative; what is too large saturates and is refused by `check_size`"
)]
fn floor(position: f32) -> usize {
    position.floor() as usize
}

pub(super) fn check_size(name: &str, shape: [usize; 3]) -> Result<(), LoadError> {
    let limits = [MAX_CHANNELS, MAX_SIDE, MAX_SIDE];
    if shape.iter().zip(limits).all(|(&n, limit)| (1..=limit).contains(&n)) {
        return Ok(());
    }
    Err(LoadError::Shape { tensor: name.to_owned(), found: shape, limits })
}

/// Sixteen times the widest layer of the shipped network.
pub(super) const MAX_CHANNELS: usize = 1024;

/// The sensor's picture has 4056 columns; no input tensor can be larger.
pub(super) const MAX_SIDE: usize = 4096;

/// Bytes of all tensors together. The shipped network at 960 x 960 pixels, the size of the paper's
/// pictures, has 230 million.
const MAX_ACTIVATIONS: usize = 512 << 20;
