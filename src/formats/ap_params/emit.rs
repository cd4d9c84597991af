//! Writes ApParams in the order of Sony's packager, so that equal content gives equal bytes.
//!
//! A FlatBuffer grows from its end to its beginning. Objects are created in this order: for each
//! tensor its dimensions, their vector, its name, the table; then the network's name, type and two
//! vectors; then the network. Tensors are created in the order of the converter's document, and
//! vectors list them by their ordinals. Fields that are zero are left out and equal vtables are shared. The
//! order of fields within a table is that of the calls below, which public networks show: what was
//! parsed from them emits equal bytes.

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, TableFinishedWIPOffset, Vector, WIPOffset};

use super::{ApParams, Created, InputTensorInfo, Network, OutputTensorInfo};
use crate::formats::tensor::{Dimension, QuantParams};

pub(in crate::formats) type TableOffset = WIPOffset<TableFinishedWIPOffset>;
pub(in crate::formats) type VectorOffset<'b> =
    WIPOffset<Vector<'b, ForwardsUOffset<TableFinishedWIPOffset>>>;

pub(super) fn emit(params: &ApParams, created: impl Fn(usize) -> Created) -> Vec<u8> {
    let mut b = FlatBufferBuilder::new();
    let networks = params.networks.iter().enumerate();
    let networks: Vec<_> = networks.map(|(n, it)| network(&mut b, it, &created(n))).collect();
    let networks = b.create_vector(&networks);
    let table = b.start_table();
    b.push_slot_always(slot(super::AP_PARAMS_NETWORKS), networks);
    let root = b.end_table(table);
    b.finish_minimal(root);
    b.finished_data().to_vec()
}

fn network(b: &mut FlatBufferBuilder<'_>, network: &Network, created: &Created) -> TableOffset {
    let inputs = in_order(&network.inputs, &created.inputs, |tensor| input_tensor(b, tensor));
    let outputs = in_order(&network.outputs, &created.outputs, |tensor| output_tensor(b, tensor));
    let name = b.create_string(&network.name);
    let kind = b.create_string(&network.kind);
    let inputs = b.create_vector(&inputs);
    let outputs = b.create_vector(&outputs);
    let table = b.start_table();
    b.push_slot_always(slot(super::NETWORK_OUTPUTS), outputs);
    b.push_slot_always(slot(super::NETWORK_INPUTS), inputs);
    b.push_slot_always(slot(super::NETWORK_KIND), kind);
    b.push_slot_always(slot(super::NETWORK_NAME), name);
    b.push_slot(slot(super::NETWORK_ID), network.id, 0);
    b.end_table(table)
}

fn input_tensor(b: &mut FlatBufferBuilder<'_>, tensor: &InputTensorInfo) -> TableOffset {
    let dimensions = dimensions(b, &tensor.dimensions);
    let name = b.create_string(&tensor.name);
    let table = b.start_table();
    b.push_slot(slot(super::INPUT_SCALE), tensor.quant.scale, 0.0);
    b.push_slot_always(slot(super::TENSOR_DIMENSIONS), dimensions);
    b.push_slot_always(slot(super::TENSOR_NAME), name);
    b.push_slot(slot(super::INPUT_SHIFT), tensor.quant.zero_point, 0);
    b.push_slot(slot(super::INPUT_FORMAT), format(tensor.quant), 0);
    b.push_slot(slot(super::TENSOR_DIMENSION_COUNT), count(&tensor.dimensions), 0);
    b.push_slot(slot(super::TENSOR_ID), tensor.id, 0);
    b.end_table(table)
}

fn output_tensor(b: &mut FlatBufferBuilder<'_>, tensor: &OutputTensorInfo) -> TableOffset {
    let dimensions = dimensions(b, &tensor.dimensions);
    let name = b.create_string(&tensor.name);
    let table = b.start_table();
    b.push_slot(slot(super::OUTPUT_SCALE), tensor.quant.scale, 0.0);
    b.push_slot_always(slot(super::TENSOR_DIMENSIONS), dimensions);
    b.push_slot_always(slot(super::TENSOR_NAME), name);
    b.push_slot(slot(super::OUTPUT_SHIFT), tensor.quant.zero_point, 0);
    b.push_slot(slot(super::OUTPUT_FORMAT), format(tensor.quant), 0);
    b.push_slot(slot(super::OUTPUT_BITS), tensor.bits_per_element, 0);
    b.push_slot(slot(super::TENSOR_DIMENSION_COUNT), count(&tensor.dimensions), 0);
    b.push_slot(slot(super::TENSOR_ID), tensor.id, 0);
    b.end_table(table)
}

/// Creates the tensors' tables in this order and lists them as `tensors` has them.
pub(in crate::formats) fn in_order<T>(
    tensors: &[T],
    created: &[usize],
    mut create: impl FnMut(&T) -> TableOffset,
) -> Vec<TableOffset> {
    let mut tables: Vec<(usize, TableOffset)> =
        created.iter().map(|&n| (n, create(&tensors[n]))).collect();
    tables.sort_by_key(|&(n, _)| n);
    tables.into_iter().map(|(_, table)| table).collect()
}

pub(in crate::formats) fn dimensions<'b>(
    b: &mut FlatBufferBuilder<'b>,
    dimensions: &[Dimension],
) -> VectorOffset<'b> {
    let tables: Vec<_> = dimensions.iter().map(|d| dimension(b, d)).collect();
    b.create_vector(&tables)
}

fn dimension(b: &mut FlatBufferBuilder<'_>, dimension: &Dimension) -> TableOffset {
    let table = b.start_table();
    b.push_slot(slot(super::DIMENSION_SIZE), dimension.size, 0);
    b.push_slot(slot(super::DIMENSION_PADDING), dimension.padding, 0);
    b.push_slot(slot(super::DIMENSION_SERIALIZATION_INDEX), dimension.serialization_index, 0);
    b.push_slot(slot(super::DIMENSION_ORDINAL), dimension.ordinal, 0);
    b.end_table(table)
}

pub(in crate::formats) fn format(quant: QuantParams) -> u8 {
    u8::from(!quant.signed)
}

/// More dimensions than the field can state saturate it, and `parse` then refuses the tensor.
pub(in crate::formats) fn count(dimensions: &[Dimension]) -> u8 {
    u8::try_from(dimensions.len()).unwrap_or(u8::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "field numbers of the schemas are below 10")]
pub(in crate::formats) fn slot(id: usize) -> flatbuffers::VOffsetT {
    4 + 2 * id as flatbuffers::VOffsetT
}
