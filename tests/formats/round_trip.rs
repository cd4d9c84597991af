//! What is emitted is parsed again, for any content; copying agrees with a definition by indices.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use proptest::test_runner::Config;
use qsegment::formats::ap_params::{ApParams, InputTensorInfo, Network, OutputTensorInfo};
use qsegment::formats::dnn_lines::{
    DnnHeader, DnnLines, DnnLinesLayout, Kpi, LINE_LEN_BYTES, TensorType,
};
use qsegment::formats::embedded::SensorState;
use qsegment::formats::input_tensor::InputLayout;
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::formats::reader::Reader;
use qsegment::formats::tensor::{Dimension, QuantParams};

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn headers(bytes: [u8; 12]) {
        let header = DnnHeader::parse(&mut Reader::new(&bytes)).unwrap();
        let emitted = header.emit();
        prop_assert_eq!(&emitted[1..9], &bytes[1..9]);
        prop_assert_eq!(DnnHeader::parse(&mut Reader::new(&emitted)), Ok(header));
    }

    #[test]
    fn ap_params(params in params()) {
        let bytes = params.emit();
        prop_assert_eq!(ApParams::parse(&bytes), Ok(params));
    }

    #[test]
    fn embedded_lines(state in state(), line_len in 49_usize..200) {
        let mut lines = Vec::new();
        state.emit(line_len, &mut lines);
        prop_assert_eq!(lines.len(), 2 * line_len);
        prop_assert_eq!(SensorState::parse(&lines, line_len), Ok(state));
    }

    #[test]
    fn dnn_lines(
        kpi: [u32; 2],
        frame_count: u8,
        valid: [bool; 2],
        network_id: u16,
        ap_params in vec(any::<u8>(), 0..=2548),
        input in vec(any::<u8>(), 0..6000),
        outputs in vec(vec(any::<u8>(), 0..6000), 0..4),
    ) {
        let outputs: Vec<&[u8]> = outputs.iter().map(Vec::as_slice).collect();
        let layout = DnnLinesLayout {
            kpi: Kpi { dnn_runtime_us: kpi[0], dsp_runtime_us: kpi[1] },
            frame_count,
            input_valid: valid[0],
            output_valid: valid[1],
            network_id,
            ap_params: &ap_params,
            input: &input,
            outputs: &outputs,
        };
        let mut bytes = vec![0xa5; 7];
        layout.emit(&mut bytes);
        prop_assert_eq!(bytes.len(), layout.line_count() * LINE_LEN_BYTES);
        let lines = DnnLines::split(&bytes).unwrap();
        prop_assert_eq!(lines.kpi, layout.kpi);
        let header = DnnHeader {
            frame_valid: valid[0],
            frame_count,
            max_line_len_bytes: 2560,
            ap_params_size: u16::try_from(ap_params.len()).unwrap(),
            network_id,
            tensor_type: TensorType::Input,
        };
        prop_assert_eq!(lines.input.header, header);
        prop_assert_eq!(lines.input.ap_params_bytes().unwrap(), &ap_params);
        prop_assert_eq!(&lines.input.body().unwrap()[..input.len()], &input);
        prop_assert_eq!(lines.output.is_some(), !outputs.is_empty());
        if let Some(output) = lines.output {
            let (frame_valid, tensor_type) = (valid[1], TensorType::Output);
            prop_assert_eq!(output.header, DnnHeader { frame_valid, tensor_type, ..header });
            prop_assert_eq!(output.ap_params_bytes().unwrap(), &ap_params);
            let mut body = output.body().unwrap();
            for sent in outputs {
                prop_assert_eq!(&body[..sent.len()], sent);
                body = &body[sent.len().next_multiple_of(LINE_LEN_BYTES)..];
            }
            prop_assert_eq!(body.len(), LINE_LEN_BYTES, "the PQ line");
        }
    }

    #[test]
    fn input_tensors(
        channels in select(&[1_usize, 3, 4][..]),
        size in [1_usize..40, 1..40],
        padding in [0_usize..4, 0..4],
        line_len in 1_usize..=2560,
        noise in vec(any::<u8>(), 4 * 40 * 40),
    ) {
        let [width, height] = size;
        let layout = InputLayout {
            width,
            height,
            channels,
            width_stride: width + padding[0],
            height_stride: height + padding[1],
            signed: false,
        };
        let planar = &noise[..channels * height * width];
        let (mut stream, mut copied) = (Vec::new(), Vec::new());
        layout.emit_stream(planar, &mut stream);
        let body = over_lines(&stream, line_len);
        layout.copy_planar(&body, line_len, &mut copied).unwrap();
        prop_assert_eq!(&copied, planar);
        let cut = &body[..body.len() - 1];
        prop_assert!(layout.copy_planar(cut, line_len, &mut copied).is_err());
    }

    #[test]
    fn output_tensors(
        axes in axes(),
        bits in select(&[8_u8, 16, 32][..]),
        signed: bool,
        zero_point: u16,
        line_len in 1_usize..=2560,
        noise in vec(any::<u8>(), 4 * 12 * 12 * 12),
    ) {
        let quant = QuantParams { scale: 0.25, zero_point, signed };
        let info = OutputTensorInfo {
            id: 0,
            name: String::new(),
            dimensions: axes.clone(),
            bits_per_element: bits,
            quant,
        };
        let layout = OutputLayout::all(&[info], line_len).unwrap().remove(0);
        let len = usize::from(bits / 8);
        let memory = &noise[..layout.elements * len];
        let body = over_lines(memory, line_len);
        let (mut raw, mut real) = (vec![], vec![]);
        layout.copy_raw(&body, line_len, &mut raw).unwrap();
        layout.dequantize(&body, line_len, &mut real).unwrap();
        // By the definition: where an element with these indices lies in memory and in the result.
        for from in 0..layout.elements {
            let to = ordinal_index(&axes, from);
            let element = &memory[from * len..(from + 1) * len];
            prop_assert_eq!(&raw[to * len..(to + 1) * len], element);
            let mut wide = [if signed && element[len - 1] > 127 { 0xff } else { 0 }; 8];
            wide[..len].copy_from_slice(element);
            let difference = i64::from_le_bytes(wide) - i64::from(zero_point);
            prop_assert_eq!(real[to], difference as f32 * 0.25);
        }
        let cut = &body[..body.len() - 1];
        prop_assert!(layout.copy_raw(cut, line_len, &mut raw).is_err());
    }
}

/// Lays a stream over lines, one byte at a time; the last line ends with the stream.
fn over_lines(stream: &[u8], line_len: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for (n, &byte) in stream.iter().enumerate() {
        body.resize(n / line_len * LINE_LEN_BYTES + n % line_len, 0xee);
        body.push(byte);
    }
    body
}

/// The place in ordinal order of the element that is `index`th in memory.
fn ordinal_index(axes: &[Dimension], index: usize) -> usize {
    let product = |before: &dyn Fn(&&Dimension) -> bool| -> usize {
        axes.iter().filter(before).map(|axis| usize::from(axis.size)).product()
    };
    axes.iter()
        .map(|axis| {
            let along = index
                / product(&|other| other.serialization_index < axis.serialization_index)
                % usize::from(axis.size);
            along * product(&|other| other.ordinal < axis.ordinal)
        })
        .sum()
}

/// One to three axes in any order of the vector and of memory.
fn axes() -> impl Strategy<Value = Vec<Dimension>> {
    (1_u8..=3)
        .prop_flat_map(|count| {
            let numbers: Vec<u8> = (0..count).collect();
            let shuffled = || Just(numbers.clone()).prop_shuffle();
            (shuffled(), shuffled(), vec(1_u16..=12, usize::from(count)))
        })
        .prop_map(|(ordinals, serialization, sizes)| {
            let numbers = ordinals.into_iter().zip(serialization);
            numbers
                .zip(sizes)
                .map(|((ordinal, serialization_index), size)| Dimension {
                    ordinal,
                    size,
                    serialization_index,
                    padding: 0,
                })
                .collect()
        })
}

fn state() -> impl Strategy<Value = SensorState> {
    let any_u16 = any::<Option<u16>>;
    let celsius = proptest::option::of(-20_i8..=80);
    (any_u16(), any_u16(), any_u16(), any_u16(), celsius).prop_map(
        |(exposure_lines, analogue_gain_code, frame_length_lines, line_length_pixels, celsius)| {
            SensorState {
                exposure_lines,
                analogue_gain_code,
                frame_length_lines,
                line_length_pixels,
                temperature_celsius: celsius,
            }
        },
    )
}

fn params() -> impl Strategy<Value = ApParams> {
    let network = (any::<u16>(), name(), name(), vec(input(), 0..4), vec(output(), 0..4))
        .prop_map(|(id, name, kind, inputs, outputs)| Network { id, name, kind, inputs, outputs });
    vec(network, 0..4).prop_map(|networks| ApParams { networks })
}

fn input() -> impl Strategy<Value = InputTensorInfo> {
    (any::<u8>(), name(), dimensions(), quant())
        .prop_map(|(id, name, dimensions, quant)| InputTensorInfo { id, name, dimensions, quant })
}

fn output() -> impl Strategy<Value = OutputTensorInfo> {
    (any::<u8>(), name(), dimensions(), any::<u8>(), quant()).prop_map(
        |(id, name, dimensions, bits_per_element, quant)| OutputTensorInfo {
            id,
            name,
            dimensions,
            bits_per_element,
            quant,
        },
    )
}

fn name() -> impl Strategy<Value = String> {
    "\\PC{0,60}"
}

fn dimensions() -> impl Strategy<Value = Vec<Dimension>> {
    let dimension =
        any::<(u8, u16, u8, u8)>().prop_map(|(ordinal, size, serialization_index, padding)| {
            Dimension { ordinal, size, serialization_index, padding }
        });
    vec(dimension, 0..6)
}

fn quant() -> impl Strategy<Value = QuantParams> {
    (proptest::num::f32::NORMAL | proptest::num::f32::ZERO, any::<u16>(), any::<bool>())
        .prop_map(|(scale, zero_point, signed)| QuantParams { scale, zero_point, signed })
}
