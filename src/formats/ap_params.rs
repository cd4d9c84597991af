//! ApParams: the FlatBuffer that says which networks the sensor holds and what their tensors mean.
//!
//! ```text
//!   FBApParams     networks
//!   FBNetwork      id, name, type, inputTensors, outputTensors
//!   FBInputTensor  id, name, numOfDimensions, dimensions, shift, scale, format
//!   FBOutputTensor id, name, numOfDimensions, dimensions, bitsPerElement, shift, scale, format
//!   FBDimension    id (ordinal), size, serializationIndex, padding
//! ```
//!
//! The sensor repeats it in front of every tensor. Schema as in libcamera 26bfadc
//! (`imx500_tensor_parser/apParams.flatbuffers_generated.h`); field numbers are the constants'
//! order in this file. libcamera runs no verifier; here every offset is checked and every count
//! bounded.

use super::flat_buffer::Table;
use super::reader::ParseError;
use super::tensor::{Dimension, QuantParams};

pub(super) mod emit;

/// All networks that the sensor holds.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct ApParams {
    /// In the order of the FlatBuffer.
    pub networks: Vec<Network>,
}

/// One network: its id (matched against `DnnHeader::network_id`) and its tensors.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Network {
    /// Matched against the header's `network_id`.
    pub id: u16,
    /// Name, whole.
    pub name: String,
    /// Empty in all files seen.
    pub kind: String,
    /// Input tensors.
    pub inputs: Vec<InputTensorInfo>,
    /// Output tensors, in the order in which they follow each other in the lines.
    pub outputs: Vec<OutputTensorInfo>,
}

/// Description of an input tensor; always 8 bits an element.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct InputTensorInfo {
    /// Ordinal.
    pub id: u8,
    /// At most the last 20 characters of the tensor's name.
    pub name: String,
    /// Three: serialization index 0 is the width, 1 the height, 2 the channels. Networks from Keras
    /// number them H, W, C, those from PyTorch C, H, W.
    pub dimensions: Vec<Dimension>,
    /// Meaning of the stored bytes.
    pub quant: QuantParams,
}

/// Description of an output tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct OutputTensorInfo {
    /// Ordinal.
    pub id: u8,
    /// At most the last 20 characters of the tensor's name.
    pub name: String,
    /// Axes in the FlatBuffer's order.
    pub dimensions: Vec<Dimension>,
    /// 8, 16 or 32.
    pub bits_per_element: u8,
    /// Meaning of the stored integers.
    pub quant: QuantParams,
}

impl ApParams {
    /// Parses a FlatBuffer; every offset, vtable, vector and string is checked against the bytes.
    /// Bytes after the last object are ignored, as every FlatBuffer reader does.
    ///
    /// Allocates at most [`MAX_PARSED_LEN_BYTES`], whatever the bytes say.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let networks = Table::root(bytes)?.tables(AP_PARAMS_NETWORKS, MAX_NETWORKS, "networks")?;
        Ok(Self { networks: collect(networks.len(), networks.map(|n| network(&n?)))? })
    }

    /// Emits the FlatBuffer in the field and object order of Sony's packager, so that
    /// what was parsed from a real file re-emits byte for byte.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        emit::emit(self, |n| Created::in_vector_order(&self.networks[n]))
    }

    /// The same, with the tensors of network `n` created in the order `created(n)`; the bytes of a
    /// FlatBuffer depend on it.
    #[must_use]
    pub(super) fn emit_created(&self, created: impl Fn(usize) -> Created) -> Vec<u8> {
        emit::emit(self, created)
    }

    /// The first network with this id.
    #[must_use]
    pub fn network(&self, id: u16) -> Option<&Network> {
        self.networks.iter().find(|network| network.id == id)
    }
}

/// In which order the tensors of a network are created: indices into its vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Created {
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
}

impl Created {
    fn in_vector_order(network: &Network) -> Self {
        Self {
            inputs: (0..network.inputs.len()).collect(),
            outputs: (0..network.outputs.len()).collect(),
        }
    }
}

fn network(table: &Table<'_>) -> Result<Network, ParseError> {
    let inputs = table.tables(NETWORK_INPUTS, MAX_TENSORS, "inputTensors")?;
    let outputs = table.tables(NETWORK_OUTPUTS, MAX_TENSORS, "outputTensors")?;
    Ok(Network {
        id: table.u16(NETWORK_ID, "network id")?,
        name: table.string(NETWORK_NAME, MAX_NAME_LEN_BYTES, "network name")?.to_owned(),
        kind: table.string(NETWORK_KIND, MAX_NAME_LEN_BYTES, "network type")?.to_owned(),
        inputs: collect(inputs.len(), inputs.map(|t| input_tensor(&t?)))?,
        outputs: collect(outputs.len(), outputs.map(|t| output_tensor(&t?)))?,
    })
}

fn input_tensor(table: &Table<'_>) -> Result<InputTensorInfo, ParseError> {
    Ok(InputTensorInfo {
        id: table.u8(TENSOR_ID, "input tensor id")?,
        name: table.string(TENSOR_NAME, MAX_NAME_LEN_BYTES, "input tensor name")?.to_owned(),
        dimensions: dimensions(table)?,
        quant: QuantParams {
            scale: table.f32(INPUT_SCALE, "input scale")?,
            zero_point: table.u16(INPUT_SHIFT, "input shift")?,
            signed: is_signed(table, INPUT_FORMAT)?,
        },
    })
}

fn output_tensor(table: &Table<'_>) -> Result<OutputTensorInfo, ParseError> {
    Ok(OutputTensorInfo {
        id: table.u8(TENSOR_ID, "output tensor id")?,
        name: table.string(TENSOR_NAME, MAX_NAME_LEN_BYTES, "output tensor name")?.to_owned(),
        dimensions: dimensions(table)?,
        bits_per_element: table.u8(OUTPUT_BITS, "bitsPerElement")?,
        quant: QuantParams {
            scale: table.f32(OUTPUT_SCALE, "output scale")?,
            zero_point: table.u16(OUTPUT_SHIFT, "output shift")?,
            signed: is_signed(table, OUTPUT_FORMAT)?,
        },
    })
}

/// `numOfDimensions` repeats the vector's length; where the two differ, neither can be trusted.
pub(super) fn dimensions(table: &Table<'_>) -> Result<Vec<Dimension>, ParseError> {
    let tables = table.tables(TENSOR_DIMENSIONS, MAX_DIMENSIONS, "dimensions")?;
    let stated = table.u8(TENSOR_DIMENSION_COUNT, "numOfDimensions")?;
    if usize::from(stated) != tables.len() {
        return Err(ParseError::Value {
            field: "numOfDimensions",
            offset: table.offset_of(TENSOR_DIMENSION_COUNT),
            got: u64::from(stated),
            want: "the length of the dimensions vector",
        });
    }
    collect(tables.len(), tables.map(|t| dimension(&t?)))
}

fn dimension(table: &Table<'_>) -> Result<Dimension, ParseError> {
    Ok(Dimension {
        ordinal: table.u8(DIMENSION_ORDINAL, "dimension id")?,
        size: table.u16(DIMENSION_SIZE, "dimension size")?,
        serialization_index: table.u8(DIMENSION_SERIALIZATION_INDEX, "serializationIndex")?,
        padding: table.u8(DIMENSION_PADDING, "dimension padding")?,
    })
}

pub(super) fn is_signed(table: &Table<'_>, id: usize) -> Result<bool, ParseError> {
    match table.u8(id, "format")? {
        0 => Ok(true),
        1 => Ok(false),
        other => Err(ParseError::Value {
            field: "format",
            offset: table.offset_of(id),
            got: u64::from(other),
            want: "0 (signed) or 1 (unsigned)",
        }),
    }
}

/// A vector of exactly `count` places: `collect` into a `Result` would grow by doubling and so
/// allocate up to twice the bound.
fn collect<T>(
    count: usize,
    items: impl Iterator<Item = Result<T, ParseError>>,
) -> Result<Vec<T>, ParseError> {
    let mut collected = Vec::with_capacity(count);
    for item in items {
        collected.push(item?);
    }
    Ok(collected)
}

/// Most networks accepted. The files seen hold 1; the sensor's memory of 8.4 MB holds few.
pub const MAX_NETWORKS: usize = 16;
/// Most input and most output tensors of one network accepted. libcamera carries at most 16.
pub const MAX_TENSORS: usize = 64;
/// Most dimensions of one tensor accepted: what libcamera's tensor info holds.
pub const MAX_DIMENSIONS: usize = 16;
/// Longest name accepted. Tensors' names are cut to 20 characters, networks' names seen are under
/// 40.
pub const MAX_NAME_LEN_BYTES: usize = 255;
/// What a parse allocates at most: every network full of tensors, each with the longest name and
/// all dimensions. A count or name that repeats the same bytes through overlapping offsets is
/// included.
pub const MAX_PARSED_LEN_BYTES: usize = MAX_NETWORKS
    * (size_of::<Network>()
        + 2 * MAX_NAME_LEN_BYTES
        + MAX_TENSORS
            * (size_of::<InputTensorInfo>()
                + size_of::<OutputTensorInfo>()
                + 2 * (MAX_NAME_LEN_BYTES + MAX_DIMENSIONS * size_of::<Dimension>())));

// Field numbers of the schema. A vtable keeps the place of field n at byte 4 + 2n.
const AP_PARAMS_NETWORKS: usize = 0;

pub(super) const NETWORK_ID: usize = 0;
pub(super) const NETWORK_NAME: usize = 1;
pub(super) const NETWORK_KIND: usize = 2;
pub(super) const NETWORK_INPUTS: usize = 3;
pub(super) const NETWORK_OUTPUTS: usize = 4;

pub(super) const TENSOR_ID: usize = 0;
pub(super) const TENSOR_NAME: usize = 1;
pub(super) const TENSOR_DIMENSION_COUNT: usize = 2;
pub(super) const TENSOR_DIMENSIONS: usize = 3;
const INPUT_SHIFT: usize = 4;
const INPUT_SCALE: usize = 5;
const INPUT_FORMAT: usize = 6;
const OUTPUT_BITS: usize = 4;
const OUTPUT_SHIFT: usize = 5;
const OUTPUT_SCALE: usize = 6;
const OUTPUT_FORMAT: usize = 7;

const DIMENSION_ORDINAL: usize = 0;
const DIMENSION_SIZE: usize = 1;
const DIMENSION_SERIALIZATION_INDEX: usize = 2;
const DIMENSION_PADDING: usize = 3;
