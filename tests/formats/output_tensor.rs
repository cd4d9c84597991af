//! Output tensors against bytes written by hand: order, element widths, lines.

use qsegment::formats::ap_params::OutputTensorInfo;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::formats::tensor::{Dimension, QuantParams};

/// `(size, serialization index)` by ordinal.
fn info(axes: &[(u16, u8)], bits_per_element: u8, signed: bool) -> OutputTensorInfo {
    let dimensions = (0..)
        .zip(axes)
        .map(|(ordinal, &(size, serialization_index))| Dimension {
            ordinal,
            size,
            serialization_index,
            padding: 0,
        })
        .collect();
    let quant = QuantParams { scale: 0.5, zero_point: 0, signed };
    OutputTensorInfo { id: 0, name: "mask".into(), dimensions, bits_per_element, quant }
}

fn only(info: OutputTensorInfo) -> OutputLayout {
    OutputLayout::all(&[info], 2560).unwrap().remove(0)
}

fn raw(info: OutputTensorInfo, body: &[u8], max_line_len_bytes: usize) -> Vec<u8> {
    let mut into = vec![0xa5; 100];
    only(info).copy_raw(body, max_line_len_bytes, &mut into).unwrap();
    into
}

fn real(info: OutputTensorInfo, body: &[u8], max_line_len_bytes: usize) -> Vec<f32> {
    let mut into = vec![f32::NAN; 100];
    only(info).dequantize(body, max_line_len_bytes, &mut into).unwrap();
    into
}

#[test]
fn equal_orders_leave_the_elements_as_they_lie() {
    // H = 2, W = 3, column-major: (0,0) (1,0) (0,1) (1,1) (0,2) (1,2)
    let body = [0, 10, 1, 11, 2, 12];
    assert_eq!(raw(info(&[(2, 0), (3, 1)], 8, false), &body, 2560), body);
}

#[test]
fn row_major_elements_become_column_major() {
    // Serialization index 0 is W: memory order is row by row.
    let body = [0, 1, 2, 10, 11, 12];
    assert_eq!(raw(info(&[(2, 1), (3, 0)], 8, false), &body, 2560), [0, 10, 1, 11, 2, 12]);
    let halves = [0.0, 5.0, 0.5, 5.5, 1.0, 6.0];
    assert_eq!(real(info(&[(2, 1), (3, 0)], 8, false), &body, 2560), halves);
}

#[test]
fn three_axes_in_turned_order_become_ordinal_order() {
    // Ordinals 0, 1, 2 have sizes 2, 3, 2; memory: ordinal 1 fastest, then 2, then 0.
    // An element is named by its indices: 100 * i0 + 10 * i1 + i2.
    let body = [0, 10, 20, 1, 11, 21, 100, 110, 120, 101, 111, 121];
    let want = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
    assert_eq!(raw(info(&[(2, 2), (3, 0), (2, 1)], 8, false), &body, 2560), want);
    // The same over lines of five payload bytes.
    let mut lines = vec![0xee; 3 * 2560];
    lines[..5].copy_from_slice(&body[..5]);
    lines[2560..2565].copy_from_slice(&body[5..10]);
    lines[5120..5122].copy_from_slice(&body[10..]);
    assert_eq!(raw(info(&[(2, 2), (3, 0), (2, 1)], 8, false), &lines, 5), want);
}

#[test]
fn elements_of_every_width_and_sign_become_numbers() {
    let axes = [(2, 0)];
    let with_zero_point = |bits, signed, zero_point| {
        let mut info = info(&axes, bits, signed);
        info.quant.zero_point = zero_point;
        info
    };
    assert_eq!(real(with_zero_point(8, true, 1), &[0x80, 0x7f], 2560), [-64.5, 63.0]);
    assert_eq!(real(with_zero_point(8, false, 300), &[0x80, 0xff], 2560), [-86.0, -22.5]);
    let body = [0x00, 0x80, 0xff, 0x7f];
    assert_eq!(real(with_zero_point(16, true, 1), &body, 2560), [-16384.5, 16383.0]);
    assert_eq!(real(with_zero_point(16, false, 0), &body, 2560), [16384.0, 16383.5]);
    let body = [0, 0, 0, 0x80, 3, 0, 0, 0];
    assert_eq!(real(with_zero_point(32, true, 4), &body, 2560), [-1_073_741_826.0, -0.5]);
    assert_eq!(real(with_zero_point(32, false, 4), &body, 2560), [1_073_741_822.0, -0.5]);
}

#[test]
fn elements_are_read_over_line_ends_with_and_without_a_straddle() {
    let mut body = vec![0xee; 3 * 2560];
    body[..4].copy_from_slice(&[1, 0, 2, 0]);
    body[2560..2564].copy_from_slice(&[3, 0, 4, 0]);
    assert_eq!(real(info(&[(4, 0)], 16, false), &body, 4), [0.5, 1.0, 1.5, 2.0]);
    let mut body = vec![0xee; 3 * 2560];
    body[..3].copy_from_slice(&[1, 0, 2]);
    body[2560..2563].copy_from_slice(&[0, 3, 0]);
    body[5120..5122].copy_from_slice(&[4, 0]);
    assert_eq!(real(info(&[(4, 0)], 16, false), &body, 3), [0.5, 1.0, 1.5, 2.0]);
    assert_eq!(raw(info(&[(4, 0)], 16, false), &body, 3), [1, 0, 2, 0, 3, 0, 4, 0]);
}

#[test]
fn each_tensor_starts_on_a_new_line_and_must_lie_in_the_body() {
    let infos =
        [info(&[(2561, 0)], 8, false), info(&[(1, 0)], 8, false), info(&[(1280, 0)], 16, true)];
    let layouts = OutputLayout::all(&infos, 2560).unwrap();
    let lines: Vec<_> = layouts.iter().map(|layout| layout.first_line).collect();
    assert_eq!(lines, [0, 2, 3]);
    let (body, mut into) = (vec![7; 4 * 2560], Vec::new());
    for layout in &layouts {
        layout.copy_raw(&body, 2560, &mut into).unwrap();
        assert_eq!(into.len(), layout.len_bytes());
    }
    let error = layouts[2].copy_raw(&body[..4 * 2560 - 1], 2560, &mut into).unwrap_err();
    assert_eq!(
        error.to_string(),
        "output tensor body at byte 0x1e00: 2560 bytes wanted, 2559 left"
    );
    assert!(layouts[2].dequantize(&body[..2560], 2560, &mut Vec::new()).is_err());
    let lines: Vec<_> =
        OutputLayout::all(&infos, 100).unwrap().iter().map(|layout| layout.first_line).collect();
    assert_eq!(lines, [0, 26, 27]);
}

#[test]
fn refuses_what_cannot_be_laid_out() {
    let refusal =
        |info: OutputTensorInfo| OutputLayout::all(&[info], 2560).unwrap_err().to_string();
    assert_eq!(
        refusal(info(&[(1, 0)], 4, true)),
        "bitsPerElement of tensor 0: got 4, want 8, 16 or 32"
    );
    assert_eq!(refusal(info(&[], 8, true)), "numOfDimensions of tensor 0: got 0, want 1 or more");
    assert_eq!(
        refusal(info(&[(0, 0)], 8, true)),
        "dimension size of tensor 0: got 0, want 1 or more"
    );
    let mut padded = info(&[(1, 0)], 8, true);
    padded.dimensions[0].padding = 1;
    assert_eq!(refusal(padded), "padding of tensor 0: got 1, want 0 for an output tensor");
    let huge = info(&[(u16::MAX, 0); 16], 8, true);
    assert!(refusal(huge).starts_with("product of sizes of tensor 0"));
    let long = info(&[(2045, 0), (640, 1)], 32, true);
    assert!(refusal(long).starts_with("last body line of tensor 0: got 2045"));
    assert!(OutputLayout::all(&[info(&[(2044, 0), (640, 1)], 32, true)], 2560).is_ok());
    let four = info(&[(1, 1), (1, 0), (1, 2), (1, 3)], 8, true);
    assert!(refusal(four).starts_with("numOfDimensions of tensor 0: got 4, want at most 3"));
    assert!(OutputLayout::all(&[info(&[(1, 0), (1, 1), (1, 2), (1, 3)], 8, true)], 2560).is_ok());
    assert!(refusal(info(&[(2, 1), (2, 1)], 8, true)).starts_with("serialization indices"));
    let mut twice = info(&[(2, 0), (2, 1)], 8, true);
    twice.dimensions[1].ordinal = 0;
    assert!(refusal(twice).starts_with("dimension ids of tensor 0"));
    assert!(OutputLayout::all(&[info(&[(1, 0)], 8, true)], 0).is_err());
    assert!(OutputLayout::all(&[info(&[(1, 0)], 8, true)], 2561).is_err());
}
