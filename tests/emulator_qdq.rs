//! Files in ONNX's own quantised form, with `QuantizeLinear` and `DequantizeLinear`.

#[allow(dead_code, reason = "other tests use more of it")]
mod mctq_file;

use mctq_file::{MctqFile, SAME_3X3, Window, int};
use prost::Message;
use qsegment::emulator::onnx::{ModelProto, TensorProto};
use qsegment::emulator::{Engine, Network, reference};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;
const ONE_ROW: Window =
    Window { kernel: [1, 3], strides: [1, 1], pads: [0, 1, 0, 1], dilations: [1, 1] };
const ONE_PIXEL: Window = Window { kernel: [1, 1], pads: [0; 4], ..ONE_ROW };

/// Names, scales and every tensor, bit for bit.
#[test]
fn qdq_twins_of_the_shipped_networks_compute_the_same() {
    for name in ["model/network/accurate", "model/network/fast", "tests/fixtures/qsegment-320"] {
        let [mctq, qdq] = ["onnx", "qdq.onnx"].map(|kind| {
            let path = format!("{}/{name}.{kind}", env!("CARGO_MANIFEST_DIR"));
            Network::load(&std::fs::read(path).unwrap()).unwrap()
        });
        assert_eq!(mctq.graph().tensors(), qdq.graph().tensors(), "{name}");
        assert_eq!((mctq.macs(), mctq.parameters()), (qdq.macs(), qdq.parameters()), "{name}");
        let mut random = ChaCha8Rng::seed_from_u64(6);
        for (height, width) in [(32, 32), (48, 80)] {
            let [mctq, qdq] = [&mctq, &qdq].map(|n| n.with_input_size(height, width).unwrap());
            let input: Vec<u8> = (0..mctq.input().len_bytes()).map(|_| random.random()).collect();
            let [wanted, got] = [&mctq, &qdq].map(|n| reference::run(n.graph(), &input));
            assert_eq!(got, wanted, "{name} at {height} x {width}");
            let mut made = vec![0; qdq.output().len_bytes()];
            Engine::new(&qdq).run(&input, &mut made);
            assert_eq!(&made, wanted.last().unwrap(), "{name} at {height} x {width}");
        }
    }
}

/// Input in steps of 0.1 above 3, weights in steps of 0.5, output in steps of 0.3 above -10.
#[test]
fn free_scales_and_zero_points() {
    let mut file = MctqFile::of([1, 1, 3]);
    let input = file.quantise_linear("input", (0.1, 3, UINT8));
    let weights = dequantised(&mut file, (INT8, &[2], vec![1, 1, 1, 1]), &[0.5], 0);
    let made = file.node("Conv", &[&input, &weights], ONE_PIXEL.attributes());
    let output = file.quantise_linear(&made, (0.3, -10, INT8));
    let network = Network::load(&file.finish(&output)).unwrap();
    // 1.0, 0.0 and -0.3: 3.33, 0 and -1 steps.
    assert_eq!(run(&network, &[13, 3, 0]), [-7, -10, -11]);
    assert!(!network.graph().has_powers_of_two(&network.graph().nodes()[0]));
}

#[test]
fn padding_is_the_real_zero() {
    let mut file = MctqFile::of([1, 1, 1]);
    let input = file.quantise_linear("input", (1.0, 100, UINT8));
    let weights = dequantised(&mut file, (INT8, &[50, 1, 70], vec![1, 1, 1, 3]), &[1.0], 0);
    let made = file.node("Conv", &[&input, &weights], ONE_ROW.attributes());
    let output = file.quantise_linear(&made, (1.0, 7, UINT8));
    assert_eq!(run(&Network::load(&file.finish(&output)).unwrap(), &[104]), [4 + 7]);
}

#[test]
fn weights_by_channel_with_zero_points_and_a_bias_in_steps() {
    let mut file = MctqFile::of([1, 1, 1]);
    let input = file.quantise_linear("input", (1.0, 0, UINT8));
    let values = file.integers(UINT8, &[130, 125], vec![2, 1, 1, 1]);
    let scales = file.initialiser(&[1.0, 2.0], vec![2]);
    let zeros = file.integers(UINT8, &[128, 128], vec![2]);
    let axis = vec![int("axis", 0)];
    let weights = file.node("DequantizeLinear", &[&values, &scales, &zeros], axis.clone());
    let bias = file.integers(INT32, &[10, -3], vec![2]);
    let bias = file.node("DequantizeLinear", &[&bias, &scales], axis);
    let made = file.node("Conv", &[&input, &weights, &bias], ONE_PIXEL.attributes());
    let output = file.quantise_linear(&made, (1.0, 0, INT8));
    // 2 * 5 + 10, and -3 * 2 * 5 - 3 * 2.
    assert_eq!(run(&Network::load(&file.finish(&output)).unwrap(), &[5]), [20, -36]);
}

#[test]
fn constants_may_be_rounded_in_the_file() {
    let mut file = MctqFile::of([1, 1, 1]);
    let input = file.quantise_linear("input", (1.0, 0, UINT8));
    let real = file.initialiser(&[1.3, -70.0], vec![2, 1, 1, 1]);
    let scales = file.initialiser(&[0.5, 0.5], vec![2]);
    let zeros = file.integers(INT8, &[0, 0], vec![2]);
    let axis = || vec![int("axis", 0)];
    let codes = file.node("QuantizeLinear", &[&real, &scales, &zeros], axis());
    let weights = file.node("DequantizeLinear", &[&codes, &scales, &zeros], axis());
    let made = file.node("Conv", &[&input, &weights], ONE_PIXEL.attributes());
    let output = file.quantise_linear(&made, (1.0, 0, INT8));
    // 1.3 is 3 steps of a half; -140 steps are clipped to -128.
    assert_eq!(run(&Network::load(&file.finish(&output)).unwrap(), &[2]), [3, -128]);
}

#[test]
fn transposed_weights_have_their_channels_on_axis_1() {
    let mut file = MctqFile::of([1, 1, 1]);
    let input = file.quantise_linear("input", (1.0, 0, UINT8));
    let values = file.integers(INT8, &[2, 3], vec![1, 2, 1, 1]);
    let scales = file.initialiser(&[1.0, 10.0], vec![2]);
    let weights = file.node("DequantizeLinear", &[&values, &scales], vec![int("axis", 1)]);
    let made = file.node("ConvTranspose", &[&input, &weights], ONE_PIXEL.attributes());
    let output = file.quantise_linear(&made, (1.0, 0, UINT8));
    assert_eq!(run(&Network::load(&file.finish(&output)).unwrap(), &[4]), [8, 120]);
}

/// Sums, products and activations in steps of 0.1, each above another zero point.
#[test]
fn every_operator_takes_the_zero_point_off() {
    let made = |operator: &str, input: &[i32]| {
        let mut file = MctqFile::of([1, 1, 2]);
        let a = file.quantise_linear("input", (0.1, 128, UINT8));
        let b = file.quantise_linear(&a, (0.1, -20, INT8));
        let inputs = if operator == "Relu" { vec![b.as_str()] } else { vec![a.as_str(), &b] };
        let attributes = if operator == "Concat" { vec![int("axis", 1)] } else { vec![] };
        let made = file.node(operator, &inputs, attributes);
        let output = file.quantise_linear(&made, (0.1, 50, UINT8));
        run(&Network::load(&file.finish(&output)).unwrap(), input)
    };
    // 2.0 and -1.0.
    assert_eq!(made("Add", &[148, 118]), [90, 30]);
    assert_eq!(made("Mul", &[148, 118]), [90, 60]);
    assert_eq!(made("Relu", &[148, 118]), [70, 50]);
    assert_eq!(made("Concat", &[148, 118]), [70, 40, 70, 40]);
}

#[test]
fn input_and_output_may_be_stored_numbers() {
    let mut file = MctqFile::of([1, 1, 2]);
    let input = file.graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
    input.elem_type = INT8;
    let scale = file.initialiser(&[0.5], vec![]);
    let zero = file.integers(INT8, &[-1], vec![]);
    let real = file.node("DequantizeLinear", &["input", &scale, &zero], vec![]);
    let made = file.node("Relu", &[&real], vec![]);
    let output = file.node("QuantizeLinear", &[&made, &scale], vec![]);
    let network = Network::load(&file.finish(&output)).unwrap();
    assert_eq!((network.input().zero_point, network.input().scale), (-1, 0.5));
    // Without a zero point the result is uint8 above 0.
    assert_eq!(run(&network, &[9, -5]), [10, 0]);
}

#[test]
fn refuses_what_it_would_compute_otherwise() {
    type Change = fn(&mut ModelProto);
    let cases: &[(&str, Change)] = &[
        ("a constant or initialiser", |m| node(m, 0).input[1] = "input".into()),
        ("activations are not quantised by channel", |m| {
            *constant(m, "constant0") = floats("constant0", &[0.5, 0.5]);
        }),
        ("scale 0", |m| *constant(m, "constant0") = floats("constant0", &[0.0])),
        ("scale inf", |m| *constant(m, "constant0") = floats("constant0", &[f32::INFINITY])),
        ("data type 22", |m| constant(m, "constant1").data_type = 22),
        ("2 (uint8) or 3 (int8)", |m| constant(m, "constant1").data_type = INT32),
        ("values within 0..=255", |m| constant(m, "constant1").int32_data = vec![256]),
        ("want one", |m| {
            let zero = constant(m, "constant1");
            (zero.dims, zero.int32_data) = (vec![2], vec![0, 0]);
        }),
        ("only axis, block_size", |m| node(m, 0).attribute.push(int("precision", 1))),
        ("block_size 16", |m| node(m, 1).attribute.push(int("block_size", 16))),
        ("those of the QuantizeLinear before it", |m| node(m, 1).input[1] = "constant3".into()),
        ("the output of a QuantizeLinear, a constant", |m| node(m, 1).input[0] = "nothing".into()),
        ("a DequantizeLinear between the two", |m| node(m, 3).input[0] = "t0".into()),
        ("further than int8 from their zero point", |m| {
            constant(m, "constant2").data_type = UINT8;
            constant(m, "constant2").int32_data[0] = 200;
            node(m, 2).input.truncate(2);
        }),
        ("of data type 3", |m| node(m, 2).input[2] = "constant1".into()),
        ("2 (uint8), 3 (int8), or 6 (int32)", |m| constant(m, "constant2").data_type = 21),
        ("axis 1, want 0", |m| {
            *constant(m, "constant3") = floats("constant3", &[1.0, 1.0]);
        }),
        ("one, or one for each of 2 channels", |m| {
            *constant(m, "constant3") = floats("constant3", &[1.0; 3]);
            node(m, 2).attribute.push(int("axis", 0));
        }),
        ("the output of a WeightsSymmetricQuantizer, or of a DequantizeLinear", |m| {
            node(m, 3).input[1] = "constant2".into();
        }),
        ("want a tensor that depends on the picture", |m| node(m, 0).input[0] = "constant0".into()),
    ];
    Network::load(&small(|_| {})).unwrap();
    for (wanted, change) in cases {
        let refusal = Network::load(&small(change)).expect_err(wanted).to_string();
        assert!(refusal.contains(wanted), "wanted {wanted:?} in: {refusal}");
    }
}

/// Picture, convolution, quantiser: nodes 0 and 1, 2 and 3, 4 and 5.
fn small(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut file = MctqFile::of([1, 4, 4]);
    let input = file.quantise_linear("input", (0.5, 0, UINT8));
    let weights = dequantised(&mut file, (INT8, &[1; 18], vec![2, 1, 3, 3]), &[1.0], 0);
    let made = file.node("Conv", &[&input, &weights], SAME_3X3.attributes());
    let output = file.quantise_linear(&made, (0.25, 0, INT8));
    let mut model = ModelProto::decode(file.finish(&output).as_slice()).expect("written above");
    change(&mut model);
    model.encode_to_vec()
}

fn dequantised(
    file: &mut MctqFile,
    (data_type, values, dims): (i32, &[i32], Vec<i64>),
    scales: &[f32],
    zero_point: i32,
) -> String {
    let values = file.integers(data_type, values, dims);
    let scales = file.initialiser(scales, vec![scales.len() as i64]);
    let zero_point = file.integers(data_type, &[zero_point], vec![1]);
    file.node("DequantizeLinear", &[&values, &scales, &zero_point], vec![])
}

fn node(model: &mut ModelProto, at: usize) -> &mut qsegment::emulator::onnx::NodeProto {
    &mut model.graph.as_mut().expect("written above").node[at]
}

fn constant<'m>(model: &'m mut ModelProto, name: &str) -> &'m mut TensorProto {
    let constants = &mut model.graph.as_mut().expect("written above").initializer;
    constants.iter_mut().find(|constant| constant.name == name).expect(name)
}

fn floats(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: 1,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// Stored numbers in, stored numbers out; the engine says the same.
fn run(network: &Network, input: &[i32]) -> Vec<i32> {
    let bytes: Vec<u8> = input.iter().map(|stored| stored.to_le_bytes()[0]).collect();
    let tensors = reference::run(network.graph(), &bytes);
    let output = network.graph().tensors().iter().position(|t| t == network.output());
    let mut made = vec![0; network.output().len_bytes()];
    Engine::new(network).run(&bytes, &mut made);
    let output = output.expect("it has one");
    assert_eq!(made, tensors[output]);
    tensors[output].iter().map(|&byte| network.output().widen(byte)).collect()
}
