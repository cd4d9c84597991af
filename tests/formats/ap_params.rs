//! ApParams against a FlatBuffer written by hand and against those of public networks.

use std::io::Write;
use std::path::PathBuf;

use qsegment::formats::ap_params::{ApParams, Network, OutputTensorInfo};
use qsegment::formats::dnn_lines::{DnnLinesLayout, Kpi, LINE_LEN_BYTES};
use qsegment::formats::embedded::SensorState;
use qsegment::formats::input_tensor::InputLayout;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::formats::print::Description;
use qsegment::formats::reader::ParseError;
use qsegment::formats::tensor::{Dimension, QuantParams};

#[rustfmt::skip]
pub(crate) const ONE_OUTPUT: [u8; 168] = [
    0x0c, 0, 0, 0,    // 000 root table is 12 further, at 00c
    0, 0,             //     padding
    6, 0, 8, 0, 4, 0, // 006 vtable of the root: 6 long, table 8 long, field 0 at 4
    6, 0, 0, 0,       // 00c root: vtable is 6 back
    4, 0, 0, 0,       // 010   networks, 4 further
    1, 0, 0, 0,       // 014 networks: 1
    0x14, 0, 0, 0,    // 018   20 further, at 02c
    0, 0,             //     padding
    14, 0, 24, 0, 6, 0, 8, 0, 12, 0, 16, 0, 20, 0, // 01e vtable of the network
    14, 0, 0, 0,      // 02c network: vtable is 14 back
    0, 0, 7, 0,       //     padding, id 7
    36, 0, 0, 0,      // 034   name at 058
    24, 0, 0, 0,      // 038   type at 050
    16, 0, 0, 0,      // 03c   inputTensors at 04c
    4, 0, 0, 0,       // 040   outputTensors at 044
    1, 0, 0, 0,       // 044 outputTensors: 1
    44, 0, 0, 0,      // 048   44 further, at 074
    0, 0, 0, 0,       // 04c inputTensors: none
    0, 0, 0, 0,       // 050 type: empty
    0, 0, 0, 0,       //     NUL, padding
    3, 0, 0, 0,       // 058 name: 3 long
    b'n', b'e', b't', 0,
    20, 0, 20, 0, 0, 0, 8, 0, 5, 0, 12, 0, 6, 0, 0, 0, 16, 0, 7, 0, // 060 vtable, no id, no shift
    20, 0, 0, 0,      // 074 output tensor: vtable is 20 back
    0, 1, 8, 1,       //     padding, numOfDimensions 1, bitsPerElement 8, format 1 (unsigned)
    12, 0, 0, 0,      // 07c   name at 088
    16, 0, 0, 0,      // 080   dimensions at 090
    0, 0, 0, 0x3f,    //     scale 0.5
    1, 0, 0, 0,       // 088 name: 1 long
    b'm', 0, 0, 0,
    1, 0, 0, 0,       // 090 dimensions: 1
    12, 0, 0, 0,      // 094   12 further, at 0a0
    8, 0, 8, 0, 0, 0, 6, 0, // 098 vtable: id absent, size at 6
    8, 0, 0, 0,       // 0a0 dimension: vtable is 8 back
    0, 0, 4, 0,       //     padding, size 4
];

pub(crate) fn one_output() -> ApParams {
    let dimension = Dimension { ordinal: 0, size: 4, serialization_index: 0, padding: 0 };
    let output = OutputTensorInfo {
        id: 0,
        name: "m".into(),
        dimensions: vec![dimension],
        bits_per_element: 8,
        quant: QuantParams { scale: 0.5, zero_point: 0, signed: false },
    };
    let (id, name, kind) = (7, "net".into(), String::new());
    ApParams { networks: vec![Network { id, name, kind, inputs: vec![], outputs: vec![output] }] }
}

#[test]
fn parses_a_flat_buffer_written_by_hand() {
    assert_eq!(ApParams::parse(&ONE_OUTPUT), Ok(one_output()));
}

#[test]
fn emits_the_bytes_written_by_hand() {
    assert_eq!(one_output().emit(), ONE_OUTPUT);
}

#[test]
fn refuses_every_truncation() {
    for len in 0..ONE_OUTPUT.len() {
        let got = ApParams::parse(&ONE_OUTPUT[..len]);
        assert!(got.is_err(), "len {len}: {got:?}");
    }
}

#[test]
fn ignores_bytes_behind_the_last_object() {
    let mut bytes = ONE_OUTPUT.to_vec();
    bytes.extend([0xa5; 9]);
    assert_eq!(ApParams::parse(&bytes), Ok(one_output()));
}

#[test]
fn an_error_leads_to_the_byte() {
    let error = |at: usize, value: u8| {
        let mut bytes = ONE_OUTPUT;
        bytes[at] = value;
        ApParams::parse(&bytes).unwrap_err().to_string()
    };
    assert_eq!(error(0x7b, 2), "format at byte 0x007b: got 2, want 0 (signed) or 1 (unsigned)");
    let want = "numOfDimensions at byte 0x0079: got 3, want the length of the dimensions vector";
    assert_eq!(error(0x79, 3), want);
    assert_eq!(error(0x5d, 0xff), "network name at byte 0x005d: got 255, want UTF-8");
    assert_eq!(error(0x03, 1), "vtable distance at byte 0x100000c: 4 bytes wanted, 0 left");
}

#[test]
fn refuses_a_scale_that_is_no_number() {
    let mut bytes = ONE_OUTPUT;
    bytes[0x84..0x88].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let error = ApParams::parse(&bytes).unwrap_err().to_string();
    assert_eq!(error, "output scale at byte 0x0084: got 2139095040, want bits of a number");
}

#[test]
fn refuses_counts_over_their_limit_before_reading_further() {
    for (at, field) in [(0x14, "networks"), (0x44, "outputTensors"), (0x90, "dimensions")] {
        let mut bytes = ONE_OUTPUT;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = ApParams::parse(&bytes).unwrap_err();
        assert!(
            matches!(error, ParseError::Value { field: f, offset, .. } if f == field && offset == at),
            "{error}"
        );
    }
}

/// `.rpk` files of public networks may not be redistributed, so this needs a folder of them.
#[test]
fn public_networks_re_emit_byte_for_byte() {
    let Some(folder) = std::env::var_os("QSEGMENT_RPK_DIR").map(PathBuf::from) else {
        // Straight to standard error: what a passing test prints is not shown.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED public networks: QSEGMENT_RPK_DIR names no folder of .rpk files")
            .unwrap();
        return;
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rpk") {
            continue;
        }
        let bytes = first_section(&std::fs::read(&path).unwrap());
        let params = ApParams::parse(&bytes).unwrap();
        assert_eq!(params.emit(), bytes, "{}", path.display());
        let description = Description::new(&frame(&params.networks[0], &bytes), 2535).to_string();
        assert!(!description.contains("refused"), "{}\n{description}", path.display());
        println!("{}\n{description}", path.display());
        checked += 1;
    }
    assert!(checked > 0, "no .rpk file in QSEGMENT_RPK_DIR");
}

/// A frame of this network with all tensors 0, its ApParams as they are in the `.rpk`.
fn frame(network: &Network, ap_params: &[u8]) -> Vec<u8> {
    let input = vec![0; InputLayout::new(&network.inputs[0]).unwrap().stream_len_bytes()];
    let outputs: Vec<_> = OutputLayout::all(&network.outputs, LINE_LEN_BYTES)
        .unwrap()
        .iter()
        .map(|layout| vec![0; layout.len_bytes()])
        .collect();
    let mut metadata = Vec::new();
    SensorState::default().emit(2535, &mut metadata);
    DnnLinesLayout {
        kpi: Kpi::default(),
        frame_count: 0,
        input_valid: true,
        output_valid: true,
        network_id: network.id,
        ap_params,
        input: &input,
        outputs: &outputs.iter().map(Vec::as_slice).collect::<Vec<_>>(),
    }
    .append(&mut metadata);
    metadata
}

/// Content of the first section of an `.rpk`, which is the ApParams (type 4): after 32 bytes of
/// block header and 32 of preamble, 32 of section header. Every 32-bit word of the file is
/// byte-swapped.
fn first_section(rpk: &[u8]) -> Vec<u8> {
    let swapped: Vec<u8> =
        rpk[..4096].as_chunks::<4>().0.iter().flat_map(|&[a, b, c, d]| [d, c, b, a]).collect();
    let section = &swapped[32 + 32..];
    assert_eq!(section[..4], [4, 0, 0, 0]);
    let len = usize::from(u16::from_le_bytes([section[8], section[9]]));
    let data = &section[32..32 + len];
    // Padded to 16 with bytes that hold the count of padding bytes; no padding where none is
    // needed.
    let padding = usize::from(data[len - 1]);
    let is_padded = (1..16).contains(&padding)
        && data[len - padding..].iter().all(|&byte| usize::from(byte) == padding);
    data[..len - if is_padded { padding } else { 0 }].to_vec()
}
