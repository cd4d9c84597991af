//! DSP parameters: the FlatBuffer of section 0x08, which the sensor's DSP reads.
//!
//! ```text
//!   DspParams  networks, l2
//!   Network    id, name, type, inputTensors, outputTensors
//!   Tensor     id, name, numOfDimensions, dimensions, l2Offset, bitsPerElement, shift, scale, format,
//!              persistency (inputs)
//!   L2         totalSize, reservedMemorySize, networksRuntimeSize, coefficientsSize
//! ```
//!
//! It holds what `dnnParams.xml` states, with tensors' names cut to 20 characters. The schema is not
//! published; it was read off the public files, whose sections come out of [`emit`] byte for byte.

use flatbuffers::FlatBufferBuilder;

use super::ap_params::emit::{TableOffset, count, dimensions, format, in_order, slot};
use super::ap_params::{
    self, MAX_NAME_LEN_BYTES, MAX_NETWORKS, MAX_TENSORS, NETWORK_ID, NETWORK_INPUTS, NETWORK_KIND,
    NETWORK_NAME, NETWORK_OUTPUTS, TENSOR_DIMENSION_COUNT, TENSOR_DIMENSIONS, TENSOR_ID,
    TENSOR_NAME, is_signed,
};
use super::dnn_params::{DnnParams, L2Memory, Network, Tensor, by_ordinal};
use super::flat_buffer::Table;
use super::reader::ParseError;
use super::tensor::QuantParams;

/// Parses the FlatBuffer; tensors come in the order of its vectors.
///
/// Allocates at most what [`super::ap_params::MAX_PARSED_LEN_BYTES`] states, twice.
pub fn parse(bytes: &[u8]) -> Result<DnnParams, ParseError> {
    let root = Table::root(bytes)?;
    let networks = root.tables(DSP_NETWORKS, MAX_NETWORKS, "networks")?;
    let networks = networks.map(|table| network(&table?)).collect::<Result<_, _>>()?;
    let l2_memory = match root.table(DSP_L2, "l2")? {
        None => L2Memory::default(),
        Some(l2) => L2Memory {
            total_size: l2.u32(L2_TOTAL, "totalSize")?,
            reserved_memory_size: l2.u32(L2_RESERVED, "reservedMemorySize")?,
            networks_runtime_size: l2.u32(L2_RUNTIME, "networksRuntimeSize")?,
            coefficients_size: l2.u32(L2_COEFFICIENTS, "coefficientsSize")?,
        },
    };
    Ok(DnnParams { networks, l2_memory })
}

fn network(table: &Table<'_>) -> Result<Network, ParseError> {
    let tensors = |id, is_input, field| {
        let tables = table.tables(id, MAX_TENSORS, field)?;
        tables.map(|table| tensor(&table?, is_input)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Network {
        ordinal: table.u16(NETWORK_ID, "network id")?,
        name: table.string(NETWORK_NAME, MAX_NAME_LEN_BYTES, "network name")?.to_owned(),
        kind: table.string(NETWORK_KIND, MAX_NAME_LEN_BYTES, "network type")?.to_owned(),
        inputs: tensors(NETWORK_INPUTS, true, "inputTensors")?,
        outputs: tensors(NETWORK_OUTPUTS, false, "outputTensors")?,
    })
}

fn tensor(table: &Table<'_>, is_input: bool) -> Result<Tensor, ParseError> {
    let persistency = table.u8(TENSOR_PERSISTENCY, "persistency")?;
    Ok(Tensor {
        ordinal: table.u8(TENSOR_ID, "tensor id")?,
        name: table.string(TENSOR_NAME, MAX_NAME_LEN_BYTES, "tensor name")?.to_owned(),
        dimensions: ap_params::dimensions(table)?,
        l2_offset: table.u32(TENSOR_L2_OFFSET, "l2Offset")?,
        bits_per_element: table.u8(TENSOR_BITS, "bitsPerElement")?,
        quant: QuantParams {
            scale: table.f32(TENSOR_SCALE, "scale")?,
            zero_point: table.u16(TENSOR_SHIFT, "shift")?,
            signed: is_signed(table, TENSOR_FORMAT)?,
        },
        persistency: is_input.then_some(persistency),
    })
}

/// Emits the FlatBuffer in the field and object order of Raspberry Pi's packager.
#[must_use]
pub fn emit(params: &DnnParams) -> Vec<u8> {
    let mut b = FlatBufferBuilder::new();
    let networks: Vec<_> = params.networks.iter().map(|n| emit_network(&mut b, n)).collect();
    let networks = b.create_vector(&networks);
    let memory = &params.l2_memory;
    let table = b.start_table();
    b.push_slot(slot(L2_COEFFICIENTS), memory.coefficients_size, 0);
    b.push_slot(slot(L2_RUNTIME), memory.networks_runtime_size, 0);
    b.push_slot(slot(L2_RESERVED), memory.reserved_memory_size, 0);
    b.push_slot(slot(L2_TOTAL), memory.total_size, 0);
    let l2 = b.end_table(table);
    let table = b.start_table();
    b.push_slot_always(slot(DSP_L2), l2);
    b.push_slot_always(slot(DSP_NETWORKS), networks);
    let root = b.end_table(table);
    b.finish_minimal(root);
    b.finished_data().to_vec()
}

fn emit_network(b: &mut FlatBufferBuilder<'_>, network: &Network) -> TableOffset {
    let created = network.created();
    let inputs: Vec<&Tensor> = by_ordinal(&network.inputs).collect();
    let outputs: Vec<&Tensor> = by_ordinal(&network.outputs).collect();
    let inputs = in_order(&inputs, &created.inputs, |tensor| emit_tensor(b, tensor));
    let outputs = in_order(&outputs, &created.outputs, |tensor| emit_tensor(b, tensor));
    let name = b.create_string(&network.name);
    let kind = b.create_string(&network.kind);
    let inputs = b.create_vector(&inputs);
    let outputs = b.create_vector(&outputs);
    let table = b.start_table();
    b.push_slot_always(slot(NETWORK_OUTPUTS), outputs);
    b.push_slot_always(slot(NETWORK_INPUTS), inputs);
    b.push_slot_always(slot(NETWORK_KIND), kind);
    b.push_slot_always(slot(NETWORK_NAME), name);
    b.push_slot(slot(NETWORK_ID), network.ordinal, 0);
    b.end_table(table)
}

fn emit_tensor(b: &mut FlatBufferBuilder<'_>, tensor: &Tensor) -> TableOffset {
    let axes = dimensions(b, &tensor.dimensions);
    let name = b.create_string(tensor.short_name());
    let table = b.start_table();
    b.push_slot(slot(TENSOR_SCALE), tensor.quant.scale, 0.0);
    b.push_slot(slot(TENSOR_L2_OFFSET), tensor.l2_offset, 0);
    b.push_slot_always(slot(TENSOR_DIMENSIONS), axes);
    b.push_slot_always(slot(TENSOR_NAME), name);
    b.push_slot(slot(TENSOR_SHIFT), tensor.quant.zero_point, 0);
    if let Some(persistency) = tensor.persistency {
        b.push_slot(slot(TENSOR_PERSISTENCY), persistency, 0);
    }
    b.push_slot(slot(TENSOR_FORMAT), format(tensor.quant), 0);
    b.push_slot(slot(TENSOR_BITS), tensor.bits_per_element, 0);
    b.push_slot(slot(TENSOR_DIMENSION_COUNT), count(&tensor.dimensions), 0);
    b.push_slot(slot(TENSOR_ID), tensor.ordinal, 0);
    b.end_table(table)
}

// Field numbers of the schema, where they are not those of ApParams.
const DSP_NETWORKS: usize = 0;
const DSP_L2: usize = 1;

const TENSOR_L2_OFFSET: usize = 4;
const TENSOR_BITS: usize = 5;
const TENSOR_SHIFT: usize = 6;
const TENSOR_SCALE: usize = 7;
const TENSOR_FORMAT: usize = 8;
const TENSOR_PERSISTENCY: usize = 9;

const L2_TOTAL: usize = 0;
const L2_RESERVED: usize = 1;
const L2_RUNTIME: usize = 2;
const L2_COEFFICIENTS: usize = 3;
