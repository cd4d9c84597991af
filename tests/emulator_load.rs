//! What the emulator refuses, and with which words.

#[allow(dead_code, reason = "other tests use more of it")]
mod mctq_file;

use mctq_file::{HALVES, MctqFile, SAME_3X3, float, int, ints, nearest, string};
use prost::Message;
use qsegment::emulator::onnx::{ModelProto, NodeProto, TensorProto};
use qsegment::emulator::{Engine, LoadError, Network, TensorSpec, reference};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn refuses_an_unknown_operator_by_name() {
    let (mut file, input) = MctqFile::new(3, 8, 8, false);
    let gelu = file.node("Gelu", &[&input], vec![]);
    let output = file.quantise(&gelu, 1.0, true);
    assert_eq!(
        refusal(&file.finish(&output)),
        "node \"/Gelu_1\": operator Gelu is not supported; supported: Conv, ConvTranspose, Add, Mul, Concat, \
         MaxPool, AveragePool, GlobalAveragePool, Resize (nearest, linear), Relu, Clip, LeakyRelu, PRelu, \
         Sigmoid, HardSigmoid, HardSwish, Softmax, ArgMax, Constant, ActivationPOTQuantizer, \
         WeightsSymmetricQuantizer, QuantizeLinear, DequantizeLinear; export the network with these"
    );
}

#[test]
fn refuses_a_quantiser_of_another_kind_by_name() {
    let (mut file, input) = MctqFile::new(3, 8, 8, false);
    let output = file.node("ActivationUniformQuantizer", &[&input], vec![]);
    let refusal = refusal(&file.finish(&output));
    assert!(
        refusal.contains("mct_quantizers.ActivationUniformQuantizer is not supported"),
        "{refusal}"
    );
}

#[test]
fn refuses_what_is_no_onnx_file() {
    for bytes in
        [&b""[..], b"hello, this is a text file\n", &[0xff; 100], b"\x3a\xff\xff\xff\xff\x0f"]
    {
        let error = Network::load(bytes).unwrap_err();
        assert!(matches!(error, LoadError::NotOnnx { .. }), "{bytes:?}: {error}");
        assert!(error.to_string().starts_with("not an ONNX file, or cut short: "), "{error}");
    }
}

#[test]
fn refuses_a_file_too_large_for_the_sensor() {
    let error = Network::load(&vec![0; 70_000_000]).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { found: 70_000_000, .. }), "{error}");
}

#[test]
fn every_truncation_of_the_shipped_network_is_refused() {
    let file = shipped_file();
    // Every length in the part that holds the nodes, and one in 997 of the weights.
    for len in (0..file.len()).filter(|len| len % 997 == 0 || *len < 3000) {
        let error = Network::load(&file[..len]).unwrap_err();
        assert!(matches!(error, LoadError::NotOnnx { .. }), "{len} bytes: {error}");
    }
}

/// Whatever still loads runs, and the engine still equals the reference.
#[test]
fn damaged_networks_are_refused_or_run_exactly() {
    let shipped = shipped_file();
    let mut random = ChaCha8Rng::seed_from_u64(20_231_214);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..500 {
        let mut file = shipped.clone();
        for _ in 0..random.random_range(1..4) {
            // The nodes come first in the file; most of the rest is weights.
            let end = if random.random() { 60_000 } else { file.len() };
            let at = random.random_range(0..end);
            file[at] = random.random();
        }
        let network = Network::load(&file).and_then(|network| network.with_input_size(8, 8));
        let Ok(network) = network else {
            refused += 1;
            continue;
        };
        if network.input().len_bytes() + network.output().len_bytes() > 100_000 {
            continue;
        }
        ran += 1;
        let input: Vec<u8> = (0..network.input().len_bytes()).map(|_| random.random()).collect();
        let mut output = vec![0; network.output().len_bytes()];
        Engine::new(&network).run(&input, &mut output);
        let tensors = reference::run(network.graph(), &input);
        let index = network.graph().tensors().iter().position(|t| t == network.output());
        assert_eq!(output, tensors[index.unwrap()]);
    }
    println!("{ran} ran, {refused} were refused");
    assert!(ran > 50 && refused > 50, "{ran} ran, {refused} were refused");
}

/// The same of a network with every operator: more of its bytes are settings than weights.
#[test]
fn damage_to_any_operator_is_refused_or_runs_exactly() {
    let sound = every_operator(|_| {});
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let (mut ran, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut file = sound.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..file.len());
            // Small numbers are the likelier settings.
            file[at] = if random.random() { random.random_range(0..8) } else { random.random() };
        }
        let Ok(network) = Network::load(&file) else {
            refused += 1;
            continue;
        };
        if network.graph().tensors().iter().map(TensorSpec::len_bytes).sum::<usize>() > 100_000 {
            continue;
        }
        ran += 1;
        let input: Vec<u8> = (0..network.input().len_bytes()).map(|_| random.random()).collect();
        let mut output = vec![0; network.output().len_bytes()];
        Engine::new(&network).run(&input, &mut output);
        let tensors = reference::run(network.graph(), &input);
        let index = network.graph().tensors().iter().position(|t| t == network.output());
        assert_eq!(output, tensors[index.unwrap()]);
    }
    assert!(ran > 200 && refused > 500, "{ran} ran, {refused} were refused");
}

/// Damage a protobuf decoder does not notice: values out of any sensible range in otherwise sound files.
#[test]
fn refuses_each_setting_that_would_change_the_arithmetic() {
    type Change = fn(&mut NodeProto);
    let cases: &[(&str, Change, &str)] = &[
        ("Conv", |n| n.attribute.push(string("auto_pad", "SAME_UPPER")), "explicit pads"),
        ("Conv", |n| set(n, ints("dilations", &[0, 1])), "1 to 64"),
        ("Conv", |n| set(n, ints("dilations", &[1, 65])), "1 to 64"),
        ("MaxPool", |n| set(n, ints("dilations", &[2, 2])), "[1, 1]"),
        ("Conv", |n| set(n, ints("strides", &[0, 1])), "kernel and strides of 1 to 16"),
        ("Conv", |n| set(n, ints("strides", &[1, i64::MAX])), "kernel and strides of 1 to 16"),
        ("Conv", |n| set(n, ints("pads", &[-1, 0, 0, 0])), "none negative"),
        ("Conv", |n| set(n, ints("pads", &[3, 0, 0, 0])), "pads smaller than the kernel"),
        ("Conv", |n| set(n, ints("kernel_shape", &[5, 5])), "that of the weights"),
        ("Conv", |n| set(n, int("group", 0)), "1 to 1024"),
        ("Conv", |n| set(n, int("group", 3)), "a divisor"),
        ("Conv", |n| set(n, int("group", 2)), "weights times groups"),
        ("Conv", |n| n.attribute.push(int("fused", 1)), "only auto_pad, dilations"),
        ("Conv", |n| n.input.truncate(1), "2 or 3"),
        ("Conv", |n| n.input[2] = "nothing".into(), "a constant or initialiser"),
        ("MaxPool", |n| set(n, int("ceil_mode", 1)), "want 0"),
        ("MaxPool", |n| n.attribute.clear(), "kernel and strides of 1 to 16"),
        ("MaxPool", |n| n.output.push("indices".into()), "want one"),
        ("Resize", |n| set(n, string("mode", "cubic")), "want nearest or linear"),
        ("Resize", |n| n.attribute.push(int("antialias", 1)), "want 0"),
        (
            "Resize",
            |n| set(n, string("coordinate_transformation_mode", "align_corners")),
            "asymmetric",
        ),
        ("Resize", |n| n.attribute.retain(|a| a.name != "nearest_mode"), "want floor"),
        ("Resize", |n| n.input.truncate(1), "no constant scales or sizes"),
        (
            "Resize",
            |n| {
                n.attribute =
                    vec![string("mode", "linear"), string(COORDINATES, "half_pixel_symmetric")]
            },
            "half_pixel, pytorch_half_pixel, align_corners or asymmetric",
        ),
        ("ConvTranspose", |n| set(n, ints("output_padding", &[2, 0])), "less than the strides"),
        ("ConvTranspose", |n| set(n, int("group", 3)), "a divisor"),
        ("ConvTranspose", |n| n.attribute.push(ints("output_shape", &[8, 8])), "only auto_pad"),
        ("AveragePool", |n| set(n, int("ceil_mode", 1)), "want 0"),
        ("AveragePool", |n| set(n, int("count_include_pad", 2)), "0 or 1"),
        ("GlobalAveragePool", |n| n.attribute.push(int("keepdims", 0)), "only none"),
        ("Concat", |n| set(n, int("axis", 2)), "1, the channels"),
        ("Concat", |n| n.attribute.clear(), "1, the channels"),
        ("Softmax", |n| n.attribute.clear(), "1, the channels"),
        ("ArgMax", |n| set(n, int("axis", 0)), "1, the channels"),
        ("ArgMax", |n| set(n, int("select_last_index", 1)), "want 0"),
        ("Mul", |n| n.input[1] = "constant0".into(), "a tensor that depends on the picture"),
        ("Clip", |n| n.input[2] = "nothing".into(), "a constant or initialiser"),
        ("Clip", |n| n.input[2] = "constant2".into(), "one number"),
        ("PRelu", |n| n.input[1] = "constant0".into(), "of shape [C, 1, 1], or one"),
        ("HardSigmoid", |n| set(n, float("alpha", f32::NAN)), "a finite number"),
        ("LeakyRelu", |n| set(n, float("alpha", f32::INFINITY)), "a finite number"),
        ("ActivationPOTQuantizer", |n| set(n, int("num_bits", 16)), "want 8"),
        ("ActivationPOTQuantizer", |n| set(n, int("signed", 2)), "0 or 1"),
        ("ActivationPOTQuantizer", |n| set(n, float("threshold", 3.0)), "a power of two"),
        ("ActivationPOTQuantizer", |n| set(n, float("threshold", 0.0)), "a power of two"),
        ("ActivationPOTQuantizer", |n| set(n, float("threshold", f32::NAN)), "a power of two"),
        ("ActivationPOTQuantizer", |n| set(n, float("threshold", f32::INFINITY)), "a power of two"),
        ("ActivationPOTQuantizer", |n| set(n, int("threshold", 1)), "type 1"),
        ("WeightsSymmetricQuantizer", |n| set(n, int("num_bits", 4)), "want 8"),
        ("WeightsSymmetricQuantizer", |n| set(n, int("signed", 0)), "want 1"),
        ("WeightsSymmetricQuantizer", |n| set(n, int("channel_axis", 1)), "want 0"),
        ("WeightsSymmetricQuantizer", |n| set(n, int("per_channel", 0)), "one threshold"),
        ("Relu", |n| n.input[0] = "later".into(), "nodes in the order they run"),
        ("Add", |n| n.input.truncate(1), "want 2"),
    ];
    Network::load(&every_operator(|_| {})).unwrap();
    for (operator, change, wanted) in cases {
        let file = every_operator(|model| {
            let graph = model.graph.as_mut().unwrap();
            change(graph.node.iter_mut().find(|node| node.op_type == *operator).unwrap());
        });
        let refusal = refusal(&file);
        assert!(refusal.contains(operator), "{operator}: {refusal}");
        assert!(refusal.contains(wanted), "{operator}: wanted {wanted:?} in: {refusal}");
    }
}

#[test]
fn refuses_constants_that_do_not_fit() {
    type Change = fn(&mut TensorProto);
    let cases: &[(&str, Change, &str)] = &[
        ("constant0", |t| t.dims[1] = 4, "as many as its shape"),
        ("constant0", |t| t.dims[0] = -4, "[outputs, inputs, rows, columns]"),
        ("constant0", |t| t.dims = vec![i64::MAX; 4], "1 to 1024"),
        ("constant0", |t| t.dims = vec![4, 27], "[outputs, inputs, rows, columns]"),
        ("constant0", |t| t.data_type = 10, "want 1"),
        ("constant0", |t| t.data_location = 1, "one file with everything"),
        ("constant0", |t| t.raw_data.truncate(7), "4 bytes for each"),
        ("constant1", |t| t.raw_data[..4].copy_from_slice(&0_f32.to_le_bytes()), "threshold 0"),
        (
            "constant1",
            |t| t.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
            "threshold NaN",
        ),
        ("constant1", |t| (t.dims, t.raw_data) = (vec![2], vec![63; 8]), "one, or one for each"),
        ("constant2", |t| t.raw_data[..4].copy_from_slice(&f32::NAN.to_le_bytes()), "finite ones"),
        ("constant2", |t| (t.dims, t.raw_data) = (vec![1], vec![0; 4]), "4 finite ones"),
    ];
    for (name, change, wanted) in cases {
        let file = every_operator(|model| {
            let graph = model.graph.as_mut().unwrap();
            change(graph.initializer.iter_mut().find(|tensor| tensor.name == *name).unwrap());
        });
        let refusal = refusal(&file);
        assert!(refusal.contains(wanted), "{name}: wanted {wanted:?} in: {refusal}");
    }
}

#[test]
fn refuses_inputs_and_outputs_that_are_no_picture() {
    let dim = |model: &mut ModelProto, axis: usize, len: i64| {
        let input = &mut model.graph.as_mut().unwrap().input[0];
        let tensor = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        tensor.shape.as_mut().unwrap().dim[axis].dim_value = len;
    };
    for (axis, len) in [(0, 2), (1, 0), (1, 2000), (2, 0), (2, -1), (3, 5000), (3, i64::MAX)] {
        let refusal = refusal(&every_operator(|model| dim(model, axis, len)));
        assert!(refusal.contains("\"input\""), "axis {axis} of {len}: {refusal}");
    }
    for output in ["input", "nothing"] {
        let file = every_operator(|model| {
            model.graph.as_mut().unwrap().output[0].name = output.into();
        });
        assert!(refusal(&file).contains("the result of an ActivationPOTQuantizer"));
    }
    let file = every_operator(|model| model.graph.as_mut().unwrap().output.clear());
    assert!(refusal(&file).starts_with("outputs: found 0"));
    let file = every_operator(|model| model.graph.as_mut().unwrap().input.clear());
    assert!(refusal(&file).starts_with("inputs: found 0"));
}

/// Thin and high: few bytes, but a plan for every row.
#[test]
fn refuses_more_rows_than_can_be_planned() {
    let (mut file, mut tensor) = MctqFile::new(1, 4096, 1, false);
    for _ in 0..256 {
        tensor = file.quantise(&tensor, 1.0, false);
    }
    let refusal = Network::load(&file.finish(&tensor)).unwrap_err().to_string();
    assert!(refusal.contains("1052672 rows, more than 1048576"), "{refusal}");
}

#[test]
fn refuses_a_missing_quantiser() {
    let (mut file, input) = MctqFile::new(1, 4, 4, false);
    let sum = file.node("Add", &[&input, &input], vec![]);
    let twice = file.node("Add", &[&sum, &sum], vec![]);
    let output = file.quantise(&twice, 1.0, false);
    assert!(
        refusal(&file.finish(&output)).contains("want an ActivationPOTQuantizer between the two")
    );
}

#[test]
fn refuses_shapes_that_do_not_go_together() {
    for (operator, wanted) in [
        ("Add", "one shape (C, H, W) for both inputs"),
        ("Mul", "or (C, 1, 1) for one"),
        ("Concat", "one height and width for all inputs"),
    ] {
        let (mut file, input) = MctqFile::new(2, 4, 4, false);
        let halved = file.max_pool(&input, HALVES);
        let attributes = if operator == "Concat" { vec![int("axis", 1)] } else { vec![] };
        let made = file.node(operator, &[&input, &halved], attributes);
        let output = file.quantise(&made, 1.0, false);
        let refusal = refusal(&file.finish(&output));
        assert!(refusal.contains(wanted), "{operator}: {refusal}");
    }
    let (mut file, input) = MctqFile::new(2, 4, 4, false);
    let slopes = file.initialiser(&[0.1; 3], vec![3, 1, 1]);
    let made = file.node("PRelu", &[&input, &slopes], vec![]);
    let output = file.quantise(&made, 1.0, false);
    assert!(refusal(&file.finish(&output)).contains("3 slopes of its PRelu for 2 channels"));

    let (mut file, input) = MctqFile::new(300, 1, 1, false);
    let output = file.node("ArgMax", &[&input], vec![int("axis", 1)]);
    assert!(refusal(&file.finish(&output)).contains("at most 256"));

    let (mut file, input) = MctqFile::new(1000, 1, 1, false);
    let joined = file.node("Concat", &[&input, &input], vec![int("axis", 1)]);
    assert!(refusal(&file.finish(&joined)).contains("want 1 to [1024, 4096, 4096]"));
}

#[test]
fn refuses_an_activation_after_softmax_and_anything_after_argmax() {
    let (mut file, input) = MctqFile::new(2, 4, 4, false);
    let shares = file.node("Softmax", &[&input], vec![int("axis", 1)]);
    let made = file.node("Sigmoid", &[&shares], vec![]);
    let output = file.quantise(&made, 1.0, false);
    assert!(refusal(&file.finish(&output)).contains("which is not quantised"));

    let (mut file, input) = MctqFile::new(2, 4, 4, false);
    let classes = file.node("ArgMax", &[&input], vec![int("axis", 1)]);
    let output = file.quantise(&classes, 1.0, false);
    assert!(refusal(&file.finish(&output)).contains("want ArgMax as the last node"));
}

#[test]
fn refuses_the_softmax_of_older_operator_sets() {
    let file = every_operator(|model| model.opset_import[0].version = 12);
    assert!(refusal(&file).contains("operator set 12, want 13 or later"));
}

/// A concatenation needs a quantiser where its inputs differ.
#[test]
fn refuses_a_concat_of_other_steps_without_a_quantiser() {
    let (mut file, input) = MctqFile::new(1, 4, 4, false);
    let coarse = file.quantise(&input, 2.0, false);
    let joined = file.node("Concat", &[&input, &coarse], vec![int("axis", 1)]);
    assert!(refusal(&file.finish(&joined)).contains("the result of an ActivationPOTQuantizer"));
}

#[test]
fn refuses_a_sum_that_float32_would_round() {
    let (mut file, input) = MctqFile::new(1, 4, 4, false);
    let coarse = file.quantise(&input, 65_536.0, false);
    let sum = file.node("Add", &[&input, &coarse], vec![]);
    let output = file.quantise(&sum, 1.0, false);
    assert!(refusal(&file.finish(&output)).contains("so that the sum is exact"));
}

#[test]
fn resize_by_sizes_is_taken_as_scales() {
    let (mut file, input) = MctqFile::new(2, 4, 6, false);
    file.graph.initializer.push(TensorProto {
        name: "sizes".into(),
        dims: vec![4],
        data_type: 7,
        int64_data: vec![1, 2, 8, 18],
        ..TensorProto::default()
    });
    let resized = file.node("Resize", &[&input, "", "", "sizes"], nearest());
    let output = file.quantise(&resized, 1.0, false);
    let network = Network::load(&file.finish(&output)).unwrap();
    assert_eq!((network.output().height, network.output().width), (8, 18));
    let other = network.with_input_size(5, 5).unwrap();
    assert_eq!((other.output().height, other.output().width), (10, 15));
}

const COORDINATES: &str = "coordinate_transformation_mode";

/// A network with each supported operator, `change`d before it is written.
fn every_operator(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let (mut file, input) = MctqFile::new(3, 8, 8, false);
    let weights: Vec<f32> = (0..4 * 27).map(|i| (i as f32 * 0.37).sin()).collect();
    let conv = file.conv(&input, (&weights, [4, 3, 3, 3]), &[1.0; 4], &[0.1; 4], 1, SAME_3X3);
    let relu = file.node("Relu", &[&conv], vec![]);
    let stored = file.quantise(&relu, 4.0, false);
    let pooled = file.max_pool(&stored, HALVES);
    let resized = file.resize(&pooled, [2.0, 2.0]);
    let resized = file.quantise(&resized, 4.0, false);
    let sum = file.node("Add", &[&resized, &stored], vec![]);
    let sum = file.quantise(&sum, 8.0, false);
    let sigmoid = file.node("Sigmoid", &[&sum], vec![]);
    let sigmoid = file.quantise(&sigmoid, 1.0, false);

    // Squeeze and excitation.
    let mean = file.node("GlobalAveragePool", &[&sigmoid], vec![]);
    let mean = file.quantise(&mean, 1.0, false);
    let line = vec![float("alpha", 0.25), float("beta", 0.5)];
    let gate = file.node("HardSigmoid", &[&mean], line);
    let gate = file.quantise(&gate, 1.0, false);
    let product = file.node("Mul", &[&sum, &gate], vec![]);
    let slopes = file.initialiser(&[0.1, 0.2, 0.3, 0.4], vec![4, 1, 1]);
    let product = file.node("PRelu", &[&product, &slopes], vec![]);
    let product = file.quantise(&product, 8.0, true);

    // Down and up again.
    let mut attributes = HALVES.attributes();
    attributes.push(int("count_include_pad", 1));
    let down = file.node("AveragePool", &[&product], attributes);
    let down = file.node("LeakyRelu", &[&down], vec![float("alpha", 0.1)]);
    let down = file.quantise_linear(&down, (0.03, 12, 2));
    let linear = file.resize_linear(&down, [2.0, 2.0], "pytorch_half_pixel");
    let linear = file.quantise_linear(&linear, (0.05, -3, 3));
    let weights: Vec<f32> = (0..4 * 2 * 4).map(|i| (i as f32 * 0.73).sin()).collect();
    let kernels = (weights.as_slice(), [4, 2, 2, 2]);
    let last = (HALVES, [0, 0]);
    let up = file.conv_transpose(&down, kernels, &[1.0; 2], &[0.1; 2], 1, last);
    let limits = [0.0, 6.0].map(|limit| file.initialiser(&[limit], vec![]));
    let up = file.node("Clip", &[&up, &limits[0], &limits[1]], vec![]);
    let up = file.quantise(&up, 8.0, false);
    let joined = file.node("Concat", &[&up, &linear], vec![int("axis", 1)]);
    let joined = file.node("HardSwish", &[&joined], vec![]);
    let joined = file.quantise(&joined, 8.0, true);

    // Classes.
    let shares = file.node("Softmax", &[&joined], vec![int("axis", 1)]);
    let shares = file.quantise(&shares, 1.0, false);
    let output = file.node("ArgMax", &[&shares], vec![int("axis", 1)]);
    let mut model = ModelProto::decode(file.finish(&output).as_slice()).expect("written above");
    change(&mut model);
    model.encode_to_vec()
}

/// Replaces the attribute of the same name.
fn set(node: &mut NodeProto, attribute: qsegment::emulator::onnx::AttributeProto) {
    node.attribute.retain(|other| other.name != attribute.name);
    node.attribute.push(attribute);
}

fn refusal(file: &[u8]) -> String {
    Network::load(file).expect_err("a refusal").to_string()
}

fn shipped_file() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
    std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}
