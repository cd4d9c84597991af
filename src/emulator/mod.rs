//! The int8 network on the CPU, exactly as the MCTQ ONNX defines it.

pub mod onnx;

/// Placeholder until `graph.rs` is in.
#[derive(Debug, Clone)]
pub struct Network {
    input: TensorSpec,
    output: TensorSpec,
}

/// Shape and meaning of the network's input or output; stored row-major, planes first (C, H, W).
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
    /// Real value of one step; a power of two.
    pub scale: f32,
    /// i8 if true, u8 else. Zero point is 0.
    pub signed: bool,
}

/// Why a model file is refused: names the node, operator or field, and what is supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

impl Network {
    /// Loads an MCTQ ONNX.
    pub fn load(onnx: &[u8]) -> Result<Self, LoadError> {
        let _ = onnx;
        todo!()
    }
    /// The same network for another input size (parameters do not depend on it).
    pub fn with_input_size(&self, height: usize, width: usize) -> Result<Self, LoadError> {
        let _ = (height, width);
        todo!()
    }
    /// The one input.
    #[must_use]
    pub fn input(&self) -> &TensorSpec {
        &self.input
    }
    /// The one output.
    #[must_use]
    pub fn output(&self) -> &TensorSpec {
        &self.output
    }
    /// Multiply-accumulates per inference.
    #[must_use]
    pub fn macs(&self) -> u64 {
        todo!()
    }
    /// Weights and biases.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        todo!()
    }
}

/// The network with all its buffers, ready to run without allocation.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// Plans the layout and allocates every buffer.
    #[must_use]
    pub fn new(network: &Network) -> Self {
        let _ = network;
        todo!()
    }
    /// Runs one inference. `input`: stored bytes C, H, W. `output`: stored bytes C, H, W. Lengths must match the specs.
    pub fn run(&mut self, input: &[u8], output: &mut [u8]) {
        let _ = (input, output);
        todo!()
    }
}
