//! Damaged buffers: an error or a value, never a panic, never an allocation beyond the stated
//! bound.

use qsegment::formats::ap_params::{
    ApParams, MAX_DIMENSIONS, MAX_NAME_LEN_BYTES, MAX_NETWORKS, MAX_PARSED_LEN_BYTES, MAX_TENSORS,
};
use qsegment::formats::dnn_lines::{DnnLines, LINE_LEN_BYTES};
use qsegment::formats::embedded::SensorState;
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::metadata;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::formats::print::Description;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::allocated::allocated;
use crate::buffer::{self, SMALL_LINE_LEN_BYTES};
use crate::exercise;

/// Prints and decodes the buffer and holds the printing to its stated bound.
fn survives(metadata: &[u8], line_len_bytes: usize) {
    let (_, took) = allocated(|| Description::new(metadata, line_len_bytes));
    let bound = 4 * metadata.len() + 4 * MAX_PARSED_LEN_BYTES;
    assert!(took.peak_bytes <= bound, "{took:?}, bound {bound}");
    exercise::buffer(metadata, line_len_bytes);
}

#[test]
fn every_truncation_of_a_small_buffer() {
    let metadata = buffer::small_metadata();
    assert!(metadata.len() <= 16 << 10);
    for len in 0..=metadata.len() {
        survives(&metadata[..len], SMALL_LINE_LEN_BYTES);
    }
}

#[test]
fn every_value_in_every_byte_of_headers_and_ap_params() {
    let mut metadata = buffer::small_metadata();
    let header_len = 12 + buffer::small_params().emit().len();
    let line = |line: usize| 2 * SMALL_LINE_LEN_BYTES + line * LINE_LEN_BYTES;
    let kpi_words = line(0) + 36..line(0) + 44;
    for range in [
        0..2 * SMALL_LINE_LEN_BYTES,
        kpi_words,
        line(1)..line(1) + header_len,
        line(3)..line(3) + 12,
    ] {
        for at in range {
            let sent = metadata[at];
            for value in 0..=u8::MAX {
                metadata[at] = value;
                survives(&metadata, SMALL_LINE_LEN_BYTES);
            }
            metadata[at] = sent;
        }
    }
}

#[test]
fn seeded_damage_all_over_the_buffer() {
    let mut rng = ChaCha8Rng::seed_from_u64(0x1305_0500);
    let sent = buffer::small_metadata();
    for _ in 0..20_000 {
        let mut metadata = sent.clone();
        for _ in 0..rng.random_range(1..16) {
            // Half of the damage meets the header lines, which are a small part of the buffer.
            let line = rng.random_range(0..6) * LINE_LEN_BYTES;
            let columns = if rng.random() { 400 } else { LINE_LEN_BYTES };
            let column = rng.random_range(0..columns);
            let at = line + column;
            metadata[at] = rng.random();
        }
        metadata.truncate(rng.random_range(sent.len() / 2..=2 * sent.len()));
        survives(&metadata, SMALL_LINE_LEN_BYTES);
    }
}

#[test]
fn every_boundary_of_a_large_buffer() {
    let metadata = buffer::large_metadata();
    let first = 2 * buffer::LARGE_LINE_LEN_BYTES;
    for line in 0..=(metadata.len() - first) / LINE_LEN_BYTES {
        let boundary = first + line * LINE_LEN_BYTES;
        for len in [boundary - 1, boundary, boundary + 1, boundary + 11, boundary + 12] {
            survives(&metadata[..len.min(metadata.len())], buffer::LARGE_LINE_LEN_BYTES);
        }
    }
}

/// Distances only lead forward, so tables cannot contain themselves; but all elements of a vector
/// may lead to one table. With every count at its limit this is the most that 779 bytes can ask
/// for.
#[test]
fn overlapping_tables_cost_the_stated_bound_and_no_more() {
    let mut bytes = vec![0; 520];
    let mut put_u16 = |at: usize, values: &[u16]| {
        for (place, value) in bytes[at..].chunks_exact_mut(2).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    };
    put_u16(16, &[6, 8, 4]); // vtable of the root: networks
    put_u16(24, &[14, 24, 0, 4, 8, 12, 16]); // of the network: all but the id
    put_u16(40, &[18, 16, 0, 4, 12, 8, 0, 0, 0]); // of a tensor: name, numOfDimensions, dimensions
    put_u16(60, &[4, 4]); // of a dimension: nothing
    let mut put = |at: u32, value: u32| {
        bytes[at as usize..at as usize + 4].copy_from_slice(&value.to_le_bytes());
    };
    let (root, networks, network, tensors) = (64, 72, 144, 168);
    let (tensor, dimensions, dimension, name) = (432, 448, 516, 520);
    put(0, root);
    for (table, vtable) in [(root, 16), (network, 24), (tensor, 40), (dimension, 60)] {
        put(table, table - vtable);
    }
    for (field, target) in [
        (root + 4, networks),
        (network + 4, name),
        (network + 8, name),
        (network + 12, tensors),
        (network + 16, tensors),
        (tensor + 4, name),
        (tensor + 8, dimensions),
    ] {
        put(field, target - field);
    }
    put(tensor + 12, u32::try_from(MAX_DIMENSIONS).unwrap());
    for (vector, count, target) in [
        (networks, MAX_NETWORKS, network),
        (tensors, MAX_TENSORS, tensor),
        (dimensions, MAX_DIMENSIONS, dimension),
    ] {
        put(vector, u32::try_from(count).unwrap());
        for element in (vector + 4..).step_by(4).take(count) {
            put(element, target - element);
        }
    }
    bytes.extend(u32::try_from(MAX_NAME_LEN_BYTES).unwrap().to_le_bytes());
    bytes.extend([b'n'; MAX_NAME_LEN_BYTES]);

    let (params, took) = allocated(|| ApParams::parse(&bytes));
    assert_eq!(params.unwrap().networks[15].outputs[63].dimensions.len(), MAX_DIMENSIONS);
    assert_eq!(took.peak_bytes, MAX_PARSED_LEN_BYTES);
    for vector in [networks, tensors, dimensions] {
        bytes[vector as usize] += 1;
        assert!(ApParams::parse(&bytes).is_err(), "one more at {vector}");
        bytes[vector as usize] -= 1;
    }
    bytes[name as usize..name as usize + 2].copy_from_slice(&[0, 1]);
    bytes.push(b'n');
    assert!(ApParams::parse(&bytes).is_err(), "a name of 256 bytes");
}

#[test]
fn nothing_is_allocated_for_a_frame_once_the_buffers_have_their_size() {
    let metadata = buffer::large_metadata();
    let params = buffer::large_params();
    let input = InputLayout::new(&params.networks[0].inputs[0]).unwrap();
    let outputs = OutputLayout::all(&params.networks[0].outputs, LINE_LEN_BYTES).unwrap();
    let (mut planar, mut rgb, mut raw, mut real) = (vec![], vec![], vec![], vec![]);
    let mut frame = || {
        let (embedded, dnn_area) =
            metadata::split(&metadata, buffer::LARGE_LINE_LEN_BYTES).unwrap();
        let state = SensorState::parse(embedded, buffer::LARGE_LINE_LEN_BYTES).unwrap();
        let lines = DnnLines::split(dnn_area).unwrap();
        let output = lines.output.unwrap();
        input.copy_planar(lines.input.body().unwrap(), LINE_LEN_BYTES, &mut planar).unwrap();
        input.to_rgb(&planar, ColourOrder::Rgb, &mut rgb);
        for layout in &outputs {
            layout.copy_raw(output.body().unwrap(), LINE_LEN_BYTES, &mut raw).unwrap();
            layout.dequantize(output.body().unwrap(), LINE_LEN_BYTES, &mut real).unwrap();
        }
        state
    };
    let (_, first) = allocated(&mut frame);
    let (_, second) = allocated(&mut frame);
    assert_eq!((first.count, second.count), (4, 0));
}
