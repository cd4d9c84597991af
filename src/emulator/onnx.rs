//! The messages of an ONNX file that the emulator reads, written by hand for prost.
//!
//! ```text
//!   ModelProto
//!     7  graph: GraphProto
//!          1  node: NodeProto*            5  attribute: AttributeProto*
//!          5  initializer: TensorProto*
//!         11  input, 12 output, 13 value_info: ValueInfoProto*
//! ```
//!
//! Field numbers are those of `onnx.proto3` (onnx 1.17, IR version 9). Fields that nobody here reads,
//! such as documentation, are left out; prost skips them.

use prost::Message;

/// A whole file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Program that wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The computation; every useful file has one.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Operator sets the nodes are written in.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
}

/// One operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty for ONNX itself.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// Nodes in the order they run, and their constants.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Sorted: a node reads only what earlier nodes made.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Constants by name.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Inputs; older files list the initialisers here too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types of tensors in between, where the exporter has written them.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the tensors read; empty for an optional one left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the tensors made.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name of the node, for people.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Its settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Operator set; empty for ONNX itself.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// One setting of an operator; which field counts follows from the name.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// An integer.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// A word, UTF-8.
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// Integers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Which of the fields is meant.
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

/// [`AttributeProto::type`] of a float, an integer, a word, a tensor, integers.
pub mod attribute_type {
    /// `f`.
    pub const FLOAT: i32 = 1;
    /// `i`.
    pub const INT: i32 = 2;
    /// `s`.
    pub const STRING: i32 = 3;
    /// `t`.
    pub const TENSOR: i32 = 4;
    /// `ints`.
    pub const INTS: i32 = 7;
}

/// A constant tensor; the values are in `raw_data` (little-endian) or in the field of their type.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, see [`data_type`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Values, if float and not in `raw_data`.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Values, if int8, uint8 or int32 and not in `raw_data`.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Values, if int64 and not in `raw_data`.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Values, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// 1 if the values are in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// [`TensorProto::data_type`].
pub mod data_type {
    /// f32.
    pub const FLOAT: i32 = 1;
    /// u8.
    pub const UINT8: i32 = 2;
    /// i8.
    pub const INT8: i32 = 3;
    /// i32.
    pub const INT32: i32 = 6;
    /// i64.
    pub const INT64: i32 = 7;
}

/// Name and type of an input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type; only tensors are of use here.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// Tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// Element type and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeProto {
    /// See [`data_type`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// Axes, N C H W.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// One axis.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// Its length; 0 where the file gives a symbol instead.
    #[prost(int64, tag = "1")]
    pub dim_value: i64,
    /// Its symbol, for a length that is left open.
    #[prost(string, tag = "2")]
    pub dim_param: String,
}

/// Upper bound of the values that decoding `file` makes, found without allocating; `None` if the file
/// is cut short or is no protobuf at all.
///
/// A repeated message costs two bytes in a file and some 200 in memory when it is empty, so the length
/// of a file does not bound the memory it takes. Every field counts one, and so does every byte of
/// packed integers.
pub(crate) fn field_count(file: &[u8]) -> Option<usize> {
    count(file, Level::Model)
}

/// Where in the file a message stands; decides which of its fields are messages themselves.
#[derive(Clone, Copy)]
enum Level {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Leaf,
}

enum Content {
    Message(Level),
    Integers,
    Bytes,
}

impl Level {
    fn content(self, tag: u64) -> Content {
        match (self, tag) {
            (Self::Model, 7) => Content::Message(Self::Graph),
            (Self::Model, 8) | (Self::Shape, 1) => Content::Message(Self::Leaf),
            (Self::Graph, 1) => Content::Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5) => Content::Message(Self::Tensor),
            (Self::Graph, 11..=13) => Content::Message(Self::ValueInfo),
            (Self::Node, 5) => Content::Message(Self::Attribute),
            (Self::ValueInfo, 2) => Content::Message(Self::Type),
            (Self::Type, 1) => Content::Message(Self::TensorType),
            (Self::TensorType, 2) => Content::Message(Self::Shape),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7) => Content::Integers,
            _ => Content::Bytes,
        }
    }
}

fn count(mut message: &[u8], level: Level) -> Option<usize> {
    let mut fields = 0;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        fields += 1;
        match key & 7 {
            VARINT => {
                varint(&mut message)?;
            }
            FIXED_64 => message = message.get(8..)?,
            FIXED_32 => message = message.get(4..)?,
            LENGTH_DELIMITED => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                let (content, rest) = message.split_at_checked(len)?;
                message = rest;
                fields += match level.content(key >> 3) {
                    Content::Message(inner) => count(content, inner)?,
                    Content::Integers => len,
                    Content::Bytes => 0,
                };
            }
            // Groups: proto2 only, ONNX has none.
            _ => return None,
        }
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;
