//! Why a model file is refused: which node, what stands there, what would do.

/// Why a model file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// More bytes than a network for this sensor can have.
    #[error(
        "the model has {found} bytes, more than {limit}: too large for the sensor; is this the network?"
    )]
    TooLarge {
        /// Bytes of the file.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The bytes are not protobuf, or end too early.
    #[error("not an ONNX file, or cut short: {reason}; copy or export the file again")]
    NotOnnx {
        /// What the decoder stumbled over.
        reason: String,
    },
    /// An operator the emulator does not compute.
    #[error(
        "node {node:?}: operator {operator} is not supported; supported: {SUPPORTED}; export the network \
         with these"
    )]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator, with the domain if it is not ONNX's own.
        operator: String,
    },
    /// A supported operator, used in a way that is not.
    #[error("node {node:?} ({operator}): found {found}, want {wanted}")]
    Node {
        /// Name of the node.
        node: String,
        /// Its operator.
        operator: String,
        /// What the file says.
        found: String,
        /// What is supported.
        wanted: String,
    },
    /// An input, output or constant that is missing or malformed.
    #[error("{what}: found {found}, want {wanted}")]
    Model {
        /// Which part of the file.
        what: String,
        /// What the file says.
        found: String,
        /// What is supported.
        wanted: String,
    },
    /// A tensor that is empty or too large.
    #[error("tensor of {tensor:?}: found shape {found:?} (C, H, W), want 1 to {limits:?}")]
    Shape {
        /// Name of the tensor or of the node that makes it.
        tensor: String,
        /// Its channels, rows, columns.
        found: [usize; 3],
        /// The most that is allowed.
        limits: [usize; 3],
    },
    /// All tensors together are too high.
    #[error(
        "the tensors of one inference have {found} rows, more than {limit}; use a smaller input"
    )]
    Rows {
        /// Rows.
        found: usize,
        /// Rows allowed.
        limit: usize,
    },
    /// All tensors together are too large.
    #[error(
        "the tensors of one inference have {found} bytes, more than {limit}; use a smaller input"
    )]
    Activations {
        /// Bytes.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Operators of [`LoadError::Operator`]'s sentence.
const SUPPORTED: &str = "Conv, ConvTranspose, Add, Mul, Concat, MaxPool, AveragePool, GlobalAveragePool, \
                         Resize (nearest, linear), Relu, Clip, LeakyRelu, PRelu, Sigmoid, HardSigmoid, \
                         HardSwish, Softmax, ArgMax, Constant, ActivationPOTQuantizer, \
                         WeightsSymmetricQuantizer, QuantizeLinear, DequantizeLinear";
