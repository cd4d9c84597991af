//! Sound buffers become frames; every kind of damage is counted under its name, and the next sound
//! buffer is decoded as if nothing had been.

use crate::buffers::{
    Brings, EMBEDDED_LINE_LEN_BYTES, KPI, READ_OUT, STATE, Sensor, info, start_of,
};
use qsegment::formats::dnn_lines::LINE_LEN_BYTES;
use qsegment::formats::embedded::SensorState;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::reader::ParseError;
use qsegment::pipeline::decode::{Damage, Decoded, Decoder};
use qsegment::pipeline::vessels::Unsuitable;
use qsegment::pipeline::{Counters, Frame, Options};
use qsegment::source::RawFrame;
use qsegment::source::imx500::exposure::LightMeter;
use std::time::Duration;

const PAIRED: Decoded = Decoded { paired: true, damage: None };

fn options() -> Options {
    Options {
        max_buffers: None,
        colour_order: ColourOrder::Rgb,
        threshold: 128,
        stale_after: Duration::from_secs(1),
        stall_after: Duration::from_secs(1),
        ..Options::default()
    }
}

fn decoder() -> Decoder {
    Decoder::new(&options(), &info())
}

/// Two body lines of input, one of output.
fn sensor() -> Sensor {
    Sensor::new(40, 30)
}

/// Whether picture and mask are those of frame `frame_count`.
fn shows(frame: &Frame, sensor: &Sensor, frame_count: u8) -> bool {
    let (width, height) = (usize::from(sensor.width), usize::from(sensor.height));
    let size = (frame.width, frame.height, frame.mask_width, frame.mask_height);
    let pixel = |x: usize, y: usize| [frame_count, y.to_le_bytes()[0], x.to_le_bytes()[0]];
    size == (width, height, width, height)
        && (0..height).all(|y| {
            (0..width).all(|x| {
                let at = y * width + x;
                let [count, row, column] = pixel(x, y);
                frame.rgb[3 * at..3 * at + 3] == [count, row, column]
                    && frame.probability[at] == count.wrapping_add(row).wrapping_add(column)
            })
        })
}

#[test]
fn buffer_with_both_tensors_is_a_frame() {
    let (sensor, mut decoder, mut counters) = (sensor(), decoder(), Counters::default());
    assert_eq!(decoder.decode(&sensor.buffer(7, 100, Brings::Both), &mut counters), PAIRED);
    let frame = decoder.frame();
    assert!(shows(frame, &sensor, 100));
    assert_eq!((frame.sequence, frame.frame_count, frame.lag_frames), (7, 100, 0));
    assert_eq!((frame.kpi, frame.sensor, frame.threshold), (Some(KPI), STATE, 128));
    assert_eq!(frame.stamps.frame_start, start_of(7));
    assert_eq!(frame.stamps.tensor_at_host, start_of(7).plus(READ_OUT));
    // Probability is 100 + x + y: in row y the columns from 28 - y on reach the threshold.
    let vessels: usize = (0..30_usize).map(|y| 40 - 28_usize.saturating_sub(y)).sum();
    assert!((frame.vessel_fraction - vessels as f32 / 1200.0).abs() < 1e-6);
    assert_eq!(counters, Counters { inputs: 1, outputs: 1, ..Counters::default() });
}

#[test]
fn late_output_is_shown_on_its_own_picture() {
    let (sensor, mut decoder, mut counters) = (sensor(), decoder(), Counters::default());
    let mut frames = 0;
    for sequence in 0..300 {
        let decoded = decoder.decode(&sensor.slow(sequence), &mut counters);
        assert_eq!(decoded, Decoded { paired: sequence % 3 == 2, damage: None });
        if decoded.paired {
            let frame = decoder.frame();
            let seen = sequence - 2;
            assert!(shows(frame, &sensor, seen.to_le_bytes()[0]), "buffer {sequence}");
            assert_eq!((frame.sequence, frame.lag_frames), (sequence, 2));
            assert_eq!(frame.stamps.frame_start, start_of(seen));
            frames += 1;
        }
    }
    assert_eq!(frames, 100);
    assert_eq!(counters, Counters { inputs: 100, outputs: 100, ..Counters::default() });
}

/// Two frames later, when the output comes, the sensor has another exposure: it is not that of the picture.
#[test]
fn registers_are_those_of_the_frame_the_network_saw() {
    let (sensor, mut decoder, mut counters) = (sensor(), decoder(), Counters::default());
    let exposed = |mut buffer: RawFrame, exposure_lines: u16| {
        let state = SensorState { exposure_lines: Some(exposure_lines), ..STATE };
        let mut lines = Vec::new();
        state.emit(EMBEDDED_LINE_LEN_BYTES, &mut lines);
        buffer.metadata[..lines.len()].copy_from_slice(&lines);
        buffer
    };
    let arriving = [
        (6, Brings::Nothing, 100),
        (7, Brings::Input, 700),
        (8, Brings::Nothing, 800),
        (9, Brings::Output, 900),
    ];
    for (number, brings, lines) in arriving {
        let seen_in = if number == 9 { 7 } else { number };
        let buffer = sensor.buffer(number, u8::try_from(seen_in).unwrap(), brings);
        decoder.decode(&exposed(buffer, lines), &mut counters);
    }
    let frame = decoder.frame();
    assert_eq!((frame.sequence, frame.lag_frames), (9, 2));
    assert_eq!(frame.sensor.exposure_lines, Some(700));
    assert!(!frame.sensor_steady, "frame 6 had 100 lines");
    assert_eq!(frame.light, None, "nobody has asked for it");

    decoder.measure_light();
    decoder.decode(&sensor.buffer(10, 10, Brings::Both), &mut counters);
    let frame = decoder.frame();
    let light = LightMeter::default().read(frame.width, frame.height, &frame.rgb);
    assert_eq!(frame.light, Some(light));
    assert!(light.inside > 0.0, "{light:?}");
}

#[test]
fn colour_order_is_that_of_the_network() {
    let mut decoder =
        Decoder::new(&Options { colour_order: ColourOrder::Bgr, ..options() }, &info());
    let decoded = decoder.decode(&sensor().buffer(0, 9, Brings::Both), &mut Counters::default());
    assert_eq!(decoded, PAIRED);
    assert_eq!(decoder.frame().rgb[..3], [0, 0, 9]);
}

#[test]
fn another_network_is_followed_at_once() {
    let (mut decoder, mut counters) = (decoder(), Counters::default());
    for (sequence, (width, height)) in (0..).zip([(40, 30), (80, 60), (20, 10), (40, 30)]) {
        let sensor = Sensor::new(width, height);
        let count = 3 * u8::try_from(sequence).unwrap();
        let buffer = sensor.buffer(u64::from(count), count, Brings::Both);
        assert_eq!(decoder.decode(&buffer, &mut counters), PAIRED, "{width} x {height}");
        assert!(shows(decoder.frame(), &sensor, count), "{width} x {height}");
    }
    assert_eq!(counters.outputs, 4);
}

/// Decodes one damaged buffer between sound ones; gives its damage and what it was counted as.
fn decode_damaged(damaged: &RawFrame) -> (Decoded, Counters) {
    let (sensor, mut decoder, mut counters) = (sensor(), decoder(), Counters::default());
    assert_eq!(decoder.decode(&sensor.buffer(0, 0, Brings::Both), &mut counters), PAIRED);
    let decoded = decoder.decode(damaged, &mut counters);
    let until_then = counters;
    assert_eq!(decoder.decode(&sensor.buffer(2, 2, Brings::Both), &mut counters), PAIRED);
    assert!(shows(decoder.frame(), &sensor, 2), "the next buffer is sound again");
    let own =
        Counters { inputs: until_then.inputs - 1, outputs: until_then.outputs - 1, ..until_then };
    (decoded, own)
}

fn damage_of(damaged: &RawFrame) -> (Damage, Counters) {
    let (decoded, counters) = decode_damaged(damaged);
    assert!(!decoded.paired);
    (decoded.damage.expect("it is damaged"), counters)
}

fn sound() -> RawFrame {
    sensor().buffer(1, 1, Brings::Both)
}

/// A sound buffer with bytes replaced at `(line, offset)` of the DNN area.
fn with_bytes(places: &[(usize, usize, &[u8])]) -> RawFrame {
    let mut buffer = sound();
    for &(line, offset, bytes) in places {
        let at = Sensor::line_at(line) + offset;
        buffer.metadata[at..at + bytes.len()].copy_from_slice(bytes);
    }
    buffer
}

const INPUT_LINE: usize = 1;
const OUTPUT_LINE: usize = 4;
/// After the 12 bytes of the header.
const AP_PARAMS_AT: usize = 12;

#[test]
fn every_cut_before_the_pq_line_is_a_truncated_buffer() {
    let end_of_regions = Sensor::line_at(sensor().output_line() + 2);
    assert_eq!(sound().metadata.len(), end_of_regions + LINE_LEN_BYTES);
    let truncated = Counters { truncated_buffers: 1, ..Counters::default() };
    for len in (0..end_of_regions).step_by(7).chain([end_of_regions - 1]) {
        let mut buffer = sound();
        buffer.metadata.truncate(len);
        let (damage, counters) = damage_of(&buffer);
        assert!(matches!(damage, Damage::Truncated(_)), "{len} bytes: {damage:?}");
        assert_eq!(counters, truncated, "{len} bytes");
    }
    for len in [end_of_regions, end_of_regions + 1] {
        let mut buffer = sound();
        buffer.metadata.truncate(len);
        let (decoded, _) = decode_damaged(&buffer);
        assert_eq!(decoded, PAIRED, "the PQ line is not needed");
    }
}

#[test]
fn cut_is_noticed_even_where_nothing_is_valid() {
    let mut buffer = sensor().buffer(1, 1, Brings::Nothing);
    buffer.metadata.truncate(Sensor::line_at(3));
    let (damage, _) = damage_of(&buffer);
    assert!(matches!(damage, Damage::Truncated(_)), "{damage:?}");
}

#[test]
fn missing_output_header_is_no_output_region() {
    // Tensor type 9.
    let (damage, counters) = damage_of(&with_bytes(&[(OUTPUT_LINE, 8, &[9])]));
    assert_eq!(damage, Damage::NoOutputRegion);
    assert_eq!(counters, Counters { no_output_region: 1, ..Counters::default() });
}

#[test]
fn input_region_of_another_type_is_malformed() {
    let (damage, counters) = damage_of(&with_bytes(&[(INPUT_LINE, 8, &[1])]));
    assert!(matches!(damage, Damage::Malformed(ParseError::Value { got: 1, .. })), "{damage:?}");
    assert_eq!(counters, Counters { malformed_buffers: 1, ..Counters::default() });
}

#[test]
fn impossible_line_length_is_malformed() {
    for len in [0_u16, 2561, u16::MAX] {
        let bytes = len.to_le_bytes();
        let (damage, counters) =
            damage_of(&with_bytes(&[(INPUT_LINE, 2, &bytes), (OUTPUT_LINE, 2, &bytes)]));
        assert!(matches!(damage, Damage::Malformed(_)), "{len}: {damage:?}");
        assert_eq!(counters, Counters { malformed_buffers: 1, ..Counters::default() });
    }
}

#[test]
fn damaged_ap_params_are_corrupt_wherever_they_are() {
    let corrupt = Counters { corrupt_ap_params: 1, ..Counters::default() };
    let one_copy = [INPUT_LINE, OUTPUT_LINE];
    for line in one_copy {
        let (damage, counters) = damage_of(&with_bytes(&[(line, AP_PARAMS_AT + 40, &[0xff])]));
        assert_eq!((damage, counters), (Damage::ApParamsDiffer, corrupt), "line {line}");
    }
    let root_offset = u32::MAX.to_le_bytes();
    let (damage, counters) = damage_of(&with_bytes(&[
        (INPUT_LINE, AP_PARAMS_AT, &root_offset),
        (OUTPUT_LINE, AP_PARAMS_AT, &root_offset),
    ]));
    assert!(matches!(damage, Damage::ApParams(_)), "{damage:?}");
    assert_eq!(counters, corrupt);
}

#[test]
fn unknown_network_id_is_corrupt_ap_params() {
    let (damage, counters) =
        damage_of(&with_bytes(&[(INPUT_LINE, 6, &[9]), (OUTPUT_LINE, 6, &[9])]));
    assert_eq!(damage, Damage::NoNetwork { network_id: 9 });
    assert_eq!(counters, Counters { corrupt_ap_params: 1, ..Counters::default() });
}

#[test]
fn unusable_network_says_what_it_is() {
    let corrupt = Counters { corrupt_ap_params: 1, ..Counters::default() };

    let mut sensor = sensor();
    let outputs = &mut sensor.ap_params.networks[0].outputs;
    outputs.push(outputs[0].clone());
    let (damage, counters) = damage_of(&sensor.buffer(1, 1, Brings::Both));
    assert_eq!(damage, Damage::Unsuitable(Unsuitable::OutputCount { count: 2 }));
    assert_eq!(counters, corrupt);

    let mut sensor = self::sensor();
    sensor.ap_params.networks[0].inputs.clear();
    let (damage, counters) = damage_of(&sensor.buffer(1, 1, Brings::Both));
    assert_eq!((damage, counters), (Damage::NoInput { network_id: 0 }, corrupt));

    let mut sensor = self::sensor();
    sensor.ap_params.networks[0].inputs[0].dimensions[0].size = 2;
    let (damage, counters) = damage_of(&sensor.buffer(1, 1, Brings::Both));
    assert!(matches!(damage, Damage::ApParams(ParseError::Tensor { got: 2, .. })), "{damage:?}");
    assert_eq!(counters, corrupt);

    let mut sensor = self::sensor();
    sensor.ap_params.networks[0].outputs[0].bits_per_element = 4;
    let (damage, counters) = damage_of(&sensor.buffer(1, 1, Brings::Both));
    assert!(matches!(damage, Damage::ApParams(ParseError::Tensor { got: 4, .. })), "{damage:?}");
    assert_eq!(counters, corrupt);
}

#[test]
fn damaged_embedded_lines_cost_only_the_registers() {
    let mut buffer = sound();
    buffer.metadata[0] = 0;
    let (sensor, mut decoder, mut counters) = (sensor(), decoder(), Counters::default());
    let decoded = decoder.decode(&buffer, &mut counters);
    assert!(decoded.paired);
    assert!(matches!(decoded.damage, Some(Damage::Malformed(_))), "{decoded:?}");
    assert_eq!(counters.malformed_buffers, 1);
    assert!(shows(decoder.frame(), &sensor, 1));
    assert_eq!(decoder.frame().sensor, SensorState::default());
}

#[test]
fn lost_half_of_a_pair_is_unpaired_and_the_next_pair_is_right() {
    let sensor = sensor();
    for lost in [0, 2] {
        let (mut decoder, mut counters) = (decoder(), Counters::default());
        for sequence in 0..9 {
            let mut buffer = sensor.slow(sequence);
            if sequence == 3 + lost {
                buffer.metadata.truncate(Sensor::line_at(3));
            }
            if decoder.decode(&buffer, &mut counters).paired {
                let seen = u8::try_from(sequence - 2).unwrap();
                assert!(shows(decoder.frame(), &sensor, seen), "buffer {sequence}");
            }
        }
        assert_eq!((counters.truncated_buffers, counters.unpaired), (1, 1), "lost {lost}");
    }
}

#[test]
fn any_changed_byte_leaves_the_next_buffer_sound() {
    let sensor = Sensor::new(8, 8);
    let (mut decoder, mut counters) = (decoder(), Counters::default());
    let next = sensor.buffer(2, 2, Brings::Both);
    let mut buffer = sensor.buffer(1, 1, Brings::Both);
    let ap_params_len = sensor.ap_params.emit().len();
    let headers = [INPUT_LINE, sensor.output_line()].into_iter().flat_map(|line| {
        Sensor::line_at(line)..Sensor::line_at(line) + AP_PARAMS_AT + ap_params_len
    });
    for at in (0..2 * EMBEDDED_LINE_LEN_BYTES).chain(headers) {
        let was = buffer.metadata[at];
        for value in [0, 1, was ^ 0x80, was.wrapping_add(1), u8::MAX] {
            buffer.metadata[at] = value;
            decoder.decode(&buffer, &mut counters);
            let decoded = decoder.decode(&next, &mut counters);
            assert_eq!(decoded, PAIRED, "after byte {at} was {value:#04x}");
            assert!(shows(decoder.frame(), &sensor, 2), "after byte {at} was {value:#04x}");
        }
        buffer.metadata[at] = was;
    }
}
