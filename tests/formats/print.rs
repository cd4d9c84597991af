//! What `inspect` prints, whole and of buffers that are damaged here and there.

use qsegment::formats::dnn_lines::LINE_LEN_BYTES;
use qsegment::formats::metadata::guess_embedded_line_len;
use qsegment::formats::print::Description;

use crate::buffer::{large_metadata, metadata};

/// Line 1 of the DNN lines, with a Pi 5's embedded lines.
const LINE_1: usize = 2 * 2535 + LINE_LEN_BYTES;

#[test]
fn prints_every_part() {
    let text = Description::new(&metadata(2535), 2535).to_string();
    let want = r#"
metadata    22990 bytes, embedded lines of 2535 bytes
embedded    exposure 1000 lines, analogue gain 2.00, frame 2653 lines, line 9398 pixels, 35 °C
DNN lines   7 x 2560 bytes from byte 0x13ce on
  line 0    KPI     DNN 50000 us, DSP 1000 us
  line 1    input   frame 42, valid, network 7, 2560 bytes a line, ApParams 436 bytes
                    network 7 "two outputs"
                      input 0 "picture" 3x4x5 serialised [2, 1, 0] padding [0, 0, 1], 8 bits unsigned, scale 0.00390625, zero point 0
                      output 0 "mask" 1x4x5 serialised [0, 1, 2], 8 bits unsigned, scale 0.00390625, zero point 0
                      output 1 "scores" 2x3 serialised [1, 0], 16 bits signed, scale 0.00390625, zero point 0
                    line 2: "picture" 3x4x5, stored 0 to 70, mean 35.00
  line 3    output  frame 42, valid, network 7, 2560 bytes a line, ApParams 436 bytes
                    ApParams as the input's
                    line 4: "mask" 1x4x5, stored 64 to 64, mean 64.00
                    line 5: "scores" 2x3, stored -32768 to 4, mean -5459.83
  line 6    PQ      not decoded
"#;
    assert_eq!(text, want[1..], "\n{text}");
}

#[test]
fn says_where_a_tensor_lies_and_what_comes_after_the_pq_line() {
    let mut metadata = large_metadata();
    metadata.resize(metadata.len() + 3 * LINE_LEN_BYTES, 0xa5);
    let text = Description::new(&metadata, 2535).to_string();
    for line in [
        "                    lines 2-121: \"picture\" 3x320x320, stored 0 to 255, mean 127.",
        "  line 122  output  frame 42, valid,",
        "                    lines 123-162: \"mask\" 1x320x320, stored 0 to 255, mean 127.",
        "  line 163  PQ      not decoded",
        "  line 164          to the end: unused, may be stale",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
    }
}

#[test]
fn states_what_is_refused_and_reads_the_rest() {
    let printed = |at: usize, byte: u8| {
        let mut metadata = metadata(2535);
        metadata[at] = byte;
        Description::new(&metadata, 2535).to_string()
    };
    for (what, at, byte, refused, read) in [
        (
            "embedded start",
            0,
            0,
            "embedded    refused: start of embedded line 0 at",
            "KPI     DNN 50000",
        ),
        (
            "tensor type",
            LINE_1 + 8,
            9,
            "line 1    input   refused: tensor_type of",
            "KPI     DNN 50000",
        ),
        (
            "root offset",
            LINE_1 + 15,
            1,
            "    ApParams refused: vtable distance at",
            "line 4: \"mask\"",
        ),
        (
            "network id",
            LINE_1 + 6,
            8,
            "tensor refused: network 8: not among those of",
            "line 5: \"scores\"",
        ),
        ("frame count", LINE_1 + 1, 8, "output  none: no later line has", "line 2: \"picture\""),
        ("line length", LINE_1 + 3, 0, "output  none: no later line has", "ApParams 436 bytes"),
    ] {
        let text = printed(at, byte);
        assert!(text.contains(refused), "{what}: {refused}\n{text}");
        assert!(text.contains(read), "{what}: {read}\n{text}");
    }
    let cut = &metadata(2535)[..LINE_1 + 4 * LINE_LEN_BYTES + 10];
    let text = Description::new(cut, 2535).to_string();
    let refused = "refused: output tensor body at byte 0x0a00: 12 bytes wanted, 10 left";
    assert!(text.contains(&format!("line 5: \"scores\" 2x3, {refused}")), "{text}");
    assert!(!text.contains("PQ"), "{text}");
}

#[test]
fn control_characters_in_names_are_not_printed() {
    let mut metadata = metadata(2535);
    let name = metadata.windows(7).position(|bytes| bytes == b"picture").unwrap();
    metadata[name] = 0x1b;
    let text = Description::new(&metadata, 2535).to_string();
    assert!(text.contains(r#""\u{1b}icture""#) && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_same_is_given_as_json() {
    let json = serde_json::to_value(Description::new(&metadata(2535), 2535)).unwrap();
    for (pointer, want) in [
        ("/embedded/read/exposure_lines", "1000"),
        ("/kpi/read/dnn_runtime_us", "50000"),
        ("/input/read/header/tensor_type", "\"input\""),
        ("/output/read/tensors/read/1/stored/read/min", "-32768"),
        ("/pq_line", "6"),
    ] {
        assert_eq!(json.pointer(pointer).unwrap().to_string(), want, "{pointer}\n{json:#}");
    }
    let json = serde_json::to_value(Description::new(&[], 2535)).unwrap();
    assert!(json.pointer("/input/refused").unwrap().is_string(), "{json:#}");
}

#[test]
fn finds_the_embedded_line_length_of_every_mode_and_receiver() {
    for len in [2535, 2544, 5070, 5072] {
        let sent = metadata(len);
        assert_eq!(guess_embedded_line_len(&sent), Some(len));
        // As good as it can be: without start bytes, without ApParams, without an output.
        for damage in [0..2 * len, 2 * len + 2572..2 * len + 3000, 2 * len + 3 * 2560..sent.len()] {
            let mut metadata = sent.clone();
            metadata[damage.clone()].fill(0);
            assert_eq!(guess_embedded_line_len(&metadata), Some(len), "zeros in {damage:?}");
        }
    }
    assert_eq!(guess_embedded_line_len(&[0; 40_000]), None);
    assert_eq!(guess_embedded_line_len(&[]), None);
}
