//! Input tensors against bytes written by hand: strides, padding, lines, sign, colour order.

use qsegment::formats::ap_params::InputTensorInfo;
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::tensor::{Dimension, QuantParams};

fn info(sizes: [u16; 3], padding: [u8; 2], signed: bool) -> InputTensorInfo {
    let [channels, height, width] = sizes;
    let dimension = |ordinal, size, padding| Dimension {
        ordinal,
        size,
        serialization_index: 2 - ordinal,
        padding,
    };
    InputTensorInfo {
        id: 0,
        name: "input".into(),
        dimensions: vec![
            dimension(0, channels, 0),
            dimension(1, height, padding[1]),
            dimension(2, width, padding[0]),
        ],
        quant: QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed },
    }
}

#[rustfmt::skip]
const PLANAR: [u8; 12] = [
    10, 11,  12, 13, // plane 0, two rows of two
    20, 21,  22, 23,
    30, 31,  32, 33,
];

#[rustfmt::skip]
const PADDED: [u8; 27] = [
    10, 11, 0,  12, 13, 0,  0, 0, 0, // a byte after each row, a row after each plane
    20, 21, 0,  22, 23, 0,  0, 0, 0,
    30, 31, 0,  32, 33, 0,  0, 0, 0,
];

/// The padded stream with 10 payload bytes a line.
fn over_lines() -> Vec<u8> {
    let mut body = vec![0xee; 3 * 2560];
    body[..10].copy_from_slice(&PADDED[..10]);
    body[2560..2570].copy_from_slice(&PADDED[10..20]);
    body[5120..5127].copy_from_slice(&PADDED[20..]);
    body
}

#[test]
fn drops_padding_and_line_ends() {
    let layout = InputLayout::new(&info([3, 2, 2], [1, 1], false)).unwrap();
    let mut planar = vec![0xa5; 40];
    layout.copy_planar(&over_lines(), 10, &mut planar).unwrap();
    assert_eq!(planar, PLANAR);
    layout.copy_planar(&PADDED, 2560, &mut planar).unwrap();
    assert_eq!(planar, PLANAR);
    let layout = InputLayout::new(&info([3, 2, 2], [0, 0], false)).unwrap();
    layout.copy_planar(&PLANAR, 2560, &mut planar).unwrap();
    assert_eq!(planar, PLANAR);
}

#[test]
fn emits_the_padded_stream_into_a_dirty_buffer() {
    let layout = InputLayout::new(&info([3, 2, 2], [1, 1], false)).unwrap();
    let mut stream = vec![0xa5; 50];
    layout.emit_stream(&PLANAR, &mut stream);
    assert_eq!(stream, PADDED);
}

#[test]
fn refuses_a_body_one_byte_short() {
    let layout = InputLayout::new(&info([3, 2, 2], [1, 1], false)).unwrap();
    let mut planar = vec![0xa5; 4];
    let error = layout.copy_planar(&over_lines()[..5126], 10, &mut planar).unwrap_err();
    assert_eq!(error.to_string(), "input tensor body at byte 0x0000: 5127 bytes wanted, 5126 left");
    assert_eq!(planar, [0xa5; 4], "a refusal leaves the buffer as it was");
    layout.copy_planar(&over_lines()[..5127], 10, &mut planar).unwrap();
}

#[test]
fn refuses_line_lengths_no_line_can_have() {
    let layout = InputLayout::new(&info([1, 1, 1], [0, 0], false)).unwrap();
    for line_len in [0, 2561, usize::MAX] {
        let error = layout.copy_planar(&[1; 2560], line_len, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("max_line_len"), "{error}");
    }
}

#[test]
fn shows_pixels_in_red_green_blue_order() {
    let mut rgb = vec![0xa5; 3];
    let layout = InputLayout::new(&info([3, 2, 2], [0, 0], false)).unwrap();
    layout.to_rgb(&PLANAR, ColourOrder::Rgb, &mut rgb);
    assert_eq!(rgb, [10, 20, 30, 11, 21, 31, 12, 22, 32, 13, 23, 33]);
    layout.to_rgb(&PLANAR, ColourOrder::Bgr, &mut rgb);
    assert_eq!(rgb[..3], [30, 20, 10]);
    let layout = InputLayout::new(&info([4, 1, 1], [0, 0], false)).unwrap();
    layout.to_rgb(&[1, 2, 3, 4], ColourOrder::Rgb, &mut rgb);
    assert_eq!(rgb, [1, 2, 3]);
    let layout = InputLayout::new(&info([1, 1, 2], [0, 0], true)).unwrap();
    layout.to_rgb(&[0x80, 0x7f], ColourOrder::Bgr, &mut rgb);
    assert_eq!(rgb, [0, 0, 0, 255, 255, 255], "signed bytes are pixels minus 128");
    layout.to_rgb(&[0x00], ColourOrder::Rgb, &mut rgb);
    assert_eq!(rgb, [128, 128, 128, 0, 0, 0], "missing pixels are black");
}

#[test]
fn refuses_geometry_that_libcamera_refuses() {
    let refusal = |info: &InputTensorInfo| InputLayout::new(info).unwrap_err().to_string();
    let refused = |sizes| refusal(&info(sizes, [0, 0], false));
    assert_eq!(refused([3, 1, 1281]), "input width of tensor 0: got 1281, want 1 to 1280");
    assert_eq!(refused([3, 961, 1]), "input height of tensor 0: got 961, want 1 to 960");
    assert_eq!(refused([2, 1, 1]), "input channels of tensor 0: got 2, want 1, 3 or 4");
    assert_eq!(refused([3, 0, 1]), "input height of tensor 0: got 0, want 1 to 960");
    let mut two = info([3, 1, 1], [0, 0], false);
    two.dimensions.pop();
    assert!(refusal(&two).starts_with("numOfDimensions of tensor 0: got 2"));
    let mut twice = info([3, 1, 1], [0, 0], false);
    twice.dimensions[0].serialization_index = 0;
    assert!(refusal(&twice).starts_with("serializationIndex of tensor 0: got 2"));
}
