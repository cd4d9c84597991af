//! Embedded lines against bytes written by hand.

use std::time::Duration;

use qsegment::formats::embedded::{LinePacking, SensorState, embedded_line_len_bytes};

const LINE_LEN_BYTES: usize = 70;

/// Two lines of 70 bytes: every fifth byte is the dummy 0x55.
#[rustfmt::skip]
const TWO_LINES: [u8; 2 * LINE_LEN_BYTES] = [
    0x0a, 0xaa, 0x01, 0xa5, 0x55,
    0x3a, 0x5a, 0x23, 0xaa, 0x55, // 0x013a temperature = 35
    0x02, 0xa5, 0x02, 0x5a, 0x55,
    0x03, 0x5a, 0xe8, 0xaa, 0x55, // 0x0202 exposure = 0x03e8 = 1000
    0x02, 0xa5, 0x04, 0x5a, 0x55,
    0x02, 0x5a, 0x00, 0xaa, 0x55, // 0x0204 gain code = 0x0200 = 512
    0x03, 0xa5, 0x40, 0x5a, 0x55,
    0x0a, 0x5a, 0x5d, 0xaa, 0x55, // 0x0340 frame length = 0x0a5d = 2653
    0x03, 0xa5, 0x42, 0x5a, 0x55,
    0x24, 0x5a, 0xb6, 0x07, 0x55, // 0x0342 line length = 0x24b6 = 9398
    0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55,

    0x0a, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55,
    0x07, 0x07, 0x07, 0x07, 0x55,
];

fn state() -> SensorState {
    SensorState {
        exposure_lines: Some(1000),
        analogue_gain_code: Some(512),
        frame_length_lines: Some(2653),
        line_length_pixels: Some(9398),
        temperature_celsius: Some(35),
    }
}

#[test]
fn parses_and_emits_lines_written_by_hand() {
    assert_eq!(SensorState::parse(&TWO_LINES, LINE_LEN_BYTES), Ok(state()));
    let mut lines = vec![0xa5; 300];
    state().emit(LINE_LEN_BYTES, &mut lines);
    assert_eq!(lines, TWO_LINES);
    assert_eq!(state().analogue_gain(), Some(2.0));
    // 1000 lines of 9398 pixels at 744 MHz.
    assert_eq!(state().exposure(), Some(Duration::from_nanos(12_631_720)));
    assert_eq!(SensorState { line_length_pixels: None, ..state() }.exposure(), None);
}

#[test]
fn line_lengths_are_those_of_the_receivers() {
    let lens = [2028, 4056].map(|width| {
        [LinePacking::Pi5, LinePacking::Pi4].map(|packing| embedded_line_len_bytes(width, packing))
    });
    assert_eq!(lens, [[2535, 2544], [5070, 5072]]);
}

#[test]
fn skips_registers_and_joins_halves_of_the_two_lines() {
    // Line 0 ends after 0x0202; line 1 sets the address to 0x0202, skips one, sets 0x0203.
    let lines = [
        0x0a, 0xaa, 0x02, 0xa5, 0x55, 0x02, 0x5a, 0x03, 0x07, 0x55, 0x07, 0x07, 0x07, 0x07, 0x55,
        0x0a, 0xaa, 0x02, 0xa5, 0x55, 0x02, 0x55, 0x00, 0x5a, 0x55, 0xe8, 0x07, 0x07, 0x07, 0x55,
    ];
    let got = SensorState::parse(&lines, 15).unwrap();
    assert_eq!(got, SensorState { exposure_lines: Some(1000), ..SensorState::default() });
    let got = SensorState::parse(&[&lines[..15], &[0; 15]].concat(), 15).unwrap();
    assert_eq!(got, SensorState::default(), "half a register is none");
}

#[test]
fn an_unknown_tag_or_a_missing_dummy_ends_the_line() {
    for at in [8, 9] {
        let mut lines = TWO_LINES;
        lines[at] = 0x33;
        let got = SensorState::parse(&lines, LINE_LEN_BYTES).unwrap();
        let want = SensorState { temperature_celsius: Some(35), ..SensorState::default() };
        assert_eq!(got, want, "byte {at}");
    }
}

#[test]
fn refuses_lines_that_are_cut_or_do_not_start() {
    for len in 0..TWO_LINES.len() {
        assert!(SensorState::parse(&TWO_LINES[..len], LINE_LEN_BYTES).is_err(), "len {len}");
    }
    assert!(SensorState::parse(&[], 0).is_err());
    let error = SensorState::parse(&[0; 20], 10).unwrap_err().to_string();
    assert_eq!(error, "start of embedded line 0 at byte 0x0000: got 0, want 10 (0x0a)");
}

#[test]
fn temperature_is_clamped_and_gain_is_none_where_the_code_has_no_meaning() {
    let mut lines = TWO_LINES;
    for (byte, celsius) in [(0x7f, 80), (0x80, -20), (0xff, -1)] {
        lines[7] = byte;
        let got = SensorState::parse(&lines, LINE_LEN_BYTES).unwrap();
        assert_eq!(got.temperature_celsius, Some(celsius));
    }
    let gain = |code| SensorState { analogue_gain_code: code, ..state() }.analogue_gain();
    assert_eq!(gain(Some(0)), Some(1.0));
    assert_eq!(gain(Some(1023)), Some(1024.0));
    assert_eq!((gain(Some(1024)), gain(Some(u16::MAX)), gain(None)), (None, None, None));
}

#[test]
fn short_lines_are_emitted_as_far_as_they_go() {
    for len in 0..LINE_LEN_BYTES {
        let mut lines = Vec::new();
        state().emit(len, &mut lines);
        assert_eq!(lines.len(), 2 * len);
        assert_eq!(lines[..len.min(45)], TWO_LINES[..len.min(45)]);
    }
}
