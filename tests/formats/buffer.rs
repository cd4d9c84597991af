//! Whole metadata buffers for the tests, small enough to be damaged at every byte.

use qsegment::formats::ap_params::{ApParams, InputTensorInfo, Network, OutputTensorInfo};
use qsegment::formats::dnn_lines::{DnnLinesLayout, Kpi, LINE_LEN_BYTES};
use qsegment::formats::embedded::SensorState;
use qsegment::formats::tensor::{Dimension, QuantParams};

/// One embedded line of the small buffers; no receiver makes it, so that they stay under 16 KB.
pub(crate) const SMALL_LINE_LEN_BYTES: usize = 60;

fn dimensions<const N: usize>(sizes: [u16; N], serialization: [u8; N]) -> Vec<Dimension> {
    (0..)
        .zip(sizes.into_iter().zip(serialization))
        .map(|(ordinal, (size, serialization_index))| Dimension {
            ordinal,
            size,
            serialization_index,
            padding: 0,
        })
        .collect()
}

/// A 3 x 4 x 5 input with a byte of padding in each row; a mask and 16-bit scores.
pub(crate) fn params() -> ApParams {
    let quant = QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed: false };
    let mut input = dimensions([3, 4, 5], [2, 1, 0]);
    input[2].padding = 1;
    let output = |id, name: &str, dimensions, bits_per_element, signed| OutputTensorInfo {
        id,
        name: name.into(),
        dimensions,
        bits_per_element,
        quant: QuantParams { signed, ..quant },
    };
    ApParams {
        networks: vec![Network {
            id: 7,
            name: "two outputs".into(),
            kind: String::new(),
            inputs: vec![InputTensorInfo {
                id: 0,
                name: "picture".into(),
                dimensions: input,
                quant,
            }],
            outputs: vec![
                output(0, "mask", dimensions([1, 4, 5], [0, 1, 2]), 8, false),
                output(1, "scores", dimensions([2, 3], [1, 0]), 16, true),
            ],
        }],
    }
}

/// The same with the scores alone: a buffer of it stays under 16 KB.
pub(crate) fn small_params() -> ApParams {
    let mut params = params();
    params.networks[0].outputs.remove(0);
    params
}

/// A whole buffer with [`params`].
pub(crate) fn metadata(embedded_line_len_bytes: usize) -> Vec<u8> {
    emit(embedded_line_len_bytes, &params(), &[&[0x40; 20], SCORES.as_flattened()])
}

/// A whole buffer with [`small_params`], 120 + 6 x 2560 bytes.
pub(crate) fn small_metadata() -> Vec<u8> {
    emit(SMALL_LINE_LEN_BYTES, &small_params(), &[SCORES.as_flattened()])
}

/// The same with fewer payload bytes a line, as no sensor sends it; the bodies then end early.
pub(crate) fn small_metadata_with_line_len(max_line_len_bytes: u8) -> Vec<u8> {
    let mut metadata = small_metadata();
    for line in [1, 3] {
        let at = 2 * SMALL_LINE_LEN_BYTES + line * LINE_LEN_BYTES + 2;
        metadata[at..at + 2].copy_from_slice(&[max_line_len_bytes, 0]);
    }
    metadata
}

/// Embedded line of a binned frame on a Pi 5.
pub(crate) const LARGE_LINE_LEN_BYTES: usize = 2535;

/// A segmentation network at 320 x 320 as PyTorch gives it.
pub(crate) fn large_params() -> ApParams {
    let mut params = params();
    let network = &mut params.networks[0];
    network.inputs[0].dimensions = dimensions([3, 320, 320], [2, 1, 0]);
    network.outputs.truncate(1);
    network.outputs[0].dimensions = dimensions([1, 320, 320], [0, 1, 2]);
    params
}

/// A whole buffer with [`large_params`].
pub(crate) fn large_metadata() -> Vec<u8> {
    let noise: Vec<u8> =
        (0..3 * 320 * 320_u32).map(|n| n.wrapping_mul(0x9e37_79b1).to_be_bytes()[0]).collect();
    emit_tensors(LARGE_LINE_LEN_BYTES, &large_params(), &noise, &[&noise[..320 * 320]])
}

const SCORES: [[u8; 2]; 6] = [[0xff, 0xff], [1, 0], [2, 0], [3, 0], [4, 0], [0, 0x80]];

fn emit(embedded_line_len_bytes: usize, params: &ApParams, outputs: &[&[u8]]) -> Vec<u8> {
    let input: Vec<u8> = (0..3 * 4 * 6).collect();
    emit_tensors(embedded_line_len_bytes, params, &input, outputs)
}

fn emit_tensors(
    embedded_line_len_bytes: usize,
    params: &ApParams,
    input: &[u8],
    outputs: &[&[u8]],
) -> Vec<u8> {
    let mut metadata = Vec::new();
    let state = SensorState {
        exposure_lines: Some(1000),
        analogue_gain_code: Some(512),
        frame_length_lines: Some(2653),
        line_length_pixels: Some(9398),
        temperature_celsius: Some(35),
    };
    state.emit(embedded_line_len_bytes, &mut metadata);
    DnnLinesLayout {
        kpi: Kpi { dnn_runtime_us: 50_000, dsp_runtime_us: 1000 },
        frame_count: 42,
        input_valid: true,
        output_valid: true,
        network_id: 7,
        ap_params: &params.emit(),
        input,
        outputs,
    }
    .append(&mut metadata);
    metadata
}
