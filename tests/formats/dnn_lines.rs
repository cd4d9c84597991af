//! Headers and line layout against bytes written by hand.

use qsegment::formats::dnn_lines::{
    DnnHeader, DnnLines, DnnLinesLayout, Kpi, LINE_LEN_BYTES, TensorType, network_of,
};
use qsegment::formats::reader::{ParseError, Reader};

use crate::ap_params::{ONE_OUTPUT, one_output};

#[rustfmt::skip]
const OUTPUT_HEADER: [u8; 12] = [
    0x01,       // frame valid
    0x2a,       // frame count = 42
    0x90, 0x09, // max line length = 2448
    0x44, 0x01, // ApParams size = 324
    0x07, 0x00, // network id = 7
    0x01,       // tensor type = output
    0, 0, 0,    // reserved
];

fn output_header() -> DnnHeader {
    DnnHeader {
        frame_valid: true,
        frame_count: 42,
        max_line_len_bytes: 2448,
        ap_params_size: 324,
        network_id: 7,
        tensor_type: TensorType::Output,
    }
}

#[test]
fn parses_and_emits_a_header_written_by_hand() {
    assert_eq!(DnnHeader::parse(&mut Reader::new(&OUTPUT_HEADER)), Ok(output_header()));
    assert_eq!(output_header().emit(), OUTPUT_HEADER);
}

#[test]
fn refuses_every_truncation_of_a_header() {
    for len in 0..OUTPUT_HEADER.len() {
        let got = DnnHeader::parse(&mut Reader::new(&OUTPUT_HEADER[..len]));
        assert!(matches!(got, Err(ParseError::Truncated { .. })), "len {len}: {got:?}");
    }
}

/// Seven lines as the sensor sends them, each field put in place by hand.
fn seven_lines() -> Vec<u8> {
    let mut lines = vec![0; 7 * LINE_LEN_BYTES];
    let mut put = |line: usize, at: usize, bytes: &[u8]| {
        lines[line * LINE_LEN_BYTES + at..][..bytes.len()].copy_from_slice(bytes);
    };
    put(0, 36, &[0x50, 0xc3, 0, 0]); // KPI word 9: 50000
    put(0, 40, &[0xe8, 0x03, 0, 0]); // KPI word 10: 1000
    put(1, 0, &[1, 42, 0x00, 0x0a, 168, 0, 7, 0, 0]); // valid, 42, 2560, 168, network 7, input
    put(1, 12, &ONE_OUTPUT);
    put(2, 0, &[0x11; 2560]);
    put(3, 0, &[0x12; 40]); // input body: 2600 bytes
    put(4, 0, &[0, 42, 0x00, 0x0a, 168, 0, 7, 0, 1]); // not valid, the rest equal, output
    put(4, 12, &ONE_OUTPUT);
    put(5, 0, &[0x21, 0x22, 0x23, 0x24]); // output body
    lines // line 6 is PQ
}

fn layout<'a>(input: &'a [u8], outputs: &'a [&'a [u8]]) -> DnnLinesLayout<'a> {
    DnnLinesLayout {
        kpi: Kpi { dnn_runtime_us: 50_000, dsp_runtime_us: 1000 },
        frame_count: 42,
        input_valid: true,
        output_valid: false,
        network_id: 7,
        ap_params: &ONE_OUTPUT,
        input,
        outputs,
    }
}

fn input_body() -> Vec<u8> {
    [vec![0x11; 2560], vec![0x12; 40]].concat()
}

#[test]
fn emits_the_lines_written_by_hand_into_a_dirty_buffer() {
    let input = input_body();
    let outputs: [&[u8]; 1] = [&[0x21, 0x22, 0x23, 0x24]];
    let layout = layout(&input, &outputs);
    for dirty in [0, 5, 9 * LINE_LEN_BYTES] {
        let mut into = vec![0xa5; dirty];
        layout.emit(&mut into);
        assert!(into == seven_lines(), "into {dirty} dirty bytes");
    }
    assert_eq!(layout.line_count(), 7);
    let mut into = vec![0xa5; 10];
    layout.append(&mut into);
    assert_eq!(into[..10], [0xa5; 10]);
    assert!(into[10..] == seven_lines());
}

#[test]
fn splits_the_lines_written_by_hand() {
    let bytes = seven_lines();
    let lines = DnnLines::split(&bytes).unwrap();
    assert_eq!(lines.kpi, Kpi { dnn_runtime_us: 50_000, dsp_runtime_us: 1000 });
    let output = lines.output.unwrap();
    assert_eq!((lines.input.line, output.line), (1, 4));
    assert_eq!((lines.input.header.frame_valid, output.header.frame_valid), (true, false));
    assert_eq!(lines.input.bytes.len(), 3 * LINE_LEN_BYTES);
    assert_eq!(output.bytes.len(), 3 * LINE_LEN_BYTES);
    assert_eq!(lines.input.ap_params_bytes().unwrap(), ONE_OUTPUT);
    assert_eq!(lines.input.body().unwrap()[..2600], input_body());
    assert_eq!(output.body().unwrap()[..4], [0x21, 0x22, 0x23, 0x24]);
    let params = one_output();
    assert_eq!(network_of(&output.header, &params), Some(&params.networks[0]));
}

#[test]
fn refuses_an_output_header_that_does_not_repeat_the_inputs() {
    for (at, what) in [(1, "frame count"), (2, "line length"), (4, "ApParams size"), (8, "type")] {
        let mut bytes = seven_lines();
        bytes[4 * LINE_LEN_BYTES + at] ^= 0x40;
        let lines = DnnLines::split(&bytes).unwrap();
        assert!(lines.output.is_none(), "{what} differs");
        assert_eq!(lines.input.bytes.len(), 6 * LINE_LEN_BYTES);
    }
}

#[test]
fn an_output_header_with_another_network_id_still_counts() {
    let mut bytes = seven_lines();
    bytes[4 * LINE_LEN_BYTES + 6] ^= 1;
    assert_eq!(DnnLines::split(&bytes).unwrap().output.unwrap().line, 4);
}

#[test]
fn refuses_another_tensor_where_the_input_belongs() {
    let mut bytes = seven_lines();
    bytes[LINE_LEN_BYTES + 8] = 9;
    let error = DnnLines::split(&bytes).unwrap_err();
    let want = "tensor_type of the input at byte 0x0a08: got 9, want 0 (input)";
    assert_eq!(error.to_string(), want);
}

#[test]
fn a_layout_without_outputs_has_no_output_region() {
    let input = input_body();
    let mut bytes = Vec::new();
    layout(&input, &[]).emit(&mut bytes);
    assert_eq!(bytes.len(), 5 * LINE_LEN_BYTES);
    assert!(DnnLines::split(&bytes).unwrap().output.is_none());
}

#[test]
fn both_flags_off_still_lays_out_both_regions() {
    let (input, outputs) = ([3; 10], [&[4; 10][..], &[5; 10]]);
    let mut bytes = Vec::new();
    DnnLinesLayout { input_valid: false, ..layout(&input, &outputs) }.emit(&mut bytes);
    let lines = DnnLines::split(&bytes).unwrap();
    let output = lines.output.unwrap();
    assert!(!lines.input.header.frame_valid && !output.header.frame_valid);
    assert_eq!(lines.input.body().unwrap()[..10], input);
    let body = output.body().unwrap();
    assert_eq!((body[9], body[10], body[LINE_LEN_BYTES]), (4, 0, 5));
    assert_eq!(lines.input.ap_params_bytes(), output.ap_params_bytes());
}

#[test]
fn ap_params_may_run_over_into_the_next_line_but_not_over_the_end() {
    let mut bytes = seven_lines();
    bytes[LINE_LEN_BYTES + 4..][..2].copy_from_slice(&3000_u16.to_le_bytes());
    let lines = DnnLines::split(&bytes).unwrap();
    assert_eq!(lines.input.ap_params_bytes().unwrap()[2548..], [0x11; 452]);
    let lines = DnnLines::split(&bytes[..2 * LINE_LEN_BYTES]).unwrap();
    let error = lines.input.ap_params_bytes().unwrap_err().to_string();
    assert_eq!(error, "ApParams at byte 0x0a0c: 3000 bytes wanted, 2548 left");
    assert_eq!(lines.input.body(), Ok(&[][..]));
}
