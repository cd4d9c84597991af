//! What each operator computes, against numbers worked out by hand.
//!
//! Where nothing else is said, a step is worth 1, so stored and real numbers are the same.

#[allow(dead_code, reason = "other tests use more of it")]
mod mctq_file;

use mctq_file::{HALVES, MctqFile, SAME_3X3, Window, float, int};
use qsegment::emulator::graph::Op;
use qsegment::emulator::onnx::AttributeProto;
use qsegment::emulator::{Network, reference};

const ONE_ROW: Window = Window { kernel: [1, 3], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
const ONE_PIXEL: Window = Window { kernel: [1, 1], ..ONE_ROW };

#[test]
fn dilation_spreads_the_taps() {
    // 1 * 1 + 10 * 3 + 20 * 5; at the edges the taps outside meet zeros.
    let window = Window { dilations: [1, 2], pads: [0, 2, 0, 2], ..ONE_ROW };
    assert_eq!(convolved([1, 1, 5], &[1, 2, 3, 4, 5], window), [70, 100, 131, 42, 53]);
}

#[test]
fn kernels_of_one_column_or_one_row_and_their_strides() {
    let column = Window { kernel: [3, 1], ..ONE_ROW };
    assert_eq!(convolved([1, 3, 1], &[1, 2, 3], column), [1 + 20 + 60]);
    let strided = Window { strides: [1, 2], pads: [0, 1, 0, 1], ..ONE_ROW };
    // Windows around columns 0 and 2.
    assert_eq!(convolved([1, 1, 3], &[1, 2, 3], strided), [10 + 40, 2 + 30]);
}

#[test]
fn transposed_convolution_lays_the_kernel_down() {
    let (mut file, input) = unsigned([1, 1, 2]);
    let weights = ([1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
    let window = (HALVES, [0, 0]);
    let made = file.conv_transpose(&input, (&weights.0, weights.1), &[128.0], &[0.0], 1, window);
    let network = finished(file, &made, false);
    assert_eq!(run(&network, &[3, 5]), [3, 6, 5, 10, 9, 12, 15, 20]);
    // Each of the two pixels meets all four weights.
    assert_eq!((network.macs(), network.parameters()), (8, 5));
}

#[test]
fn transposed_convolution_adds_what_overlaps_and_cuts_off_the_padding() {
    let (mut file, input) = unsigned([1, 1, 2]);
    let window = Window { strides: [1, 2], pads: [0, 1, 0, 1], ..ONE_ROW };
    let weights = (&[1.0, 2.0, 3.0][..], [1, 1, 1, 3]);
    let window = (window, [0, 1]);
    let made = file.conv_transpose(&input, weights, &[128.0], &[0.0], 1, window);
    // 1 2 3 . . and . . 2 4 6 are laid: 1 2 5 4 6; one more column, then one less on both sides.
    assert_eq!(run(&finished(file, &made, false), &[1, 2]), [2, 5, 4, 6]);
}

#[test]
fn transposed_weights_are_by_input_then_output() {
    let (mut file, input) = unsigned([2, 1, 1]);
    let weights = (&[1.0, 2.0, 3.0, 4.0][..], [2, 2, 1, 1]);
    // Steps of 1 and of 2: the second output stores 1 and 2 for its 2 and 4.
    let window = (ONE_PIXEL, [0, 0]);
    let made = file.conv_transpose(&input, weights, &[128.0, 256.0], &[0.5, 0.0], 1, window);
    let network = finished(file, &made, false);
    let Op::ConvTranspose(made) = &network.graph().nodes()[0].op else { panic!("not transposed") };
    assert_eq!(made.conv.weights, [1, 3, 1, 2]);
    // 10 * 1 + 20 * 3 + 0.5, to even; 10 * 2 + 20 * 4.
    assert_eq!(run(&network, &[10, 20]), [70, 100]);

    let (mut file, input) = unsigned([2, 1, 1]);
    let weights = (&[2.0, 3.0][..], [2, 1, 1, 1]);
    let made = file.conv_transpose(&input, weights, &[128.0], &[0.0; 2], 2, window);
    assert_eq!(run(&finished(file, &made, false), &[10, 20]), [20, 60], "two groups");
}

#[test]
fn concat_brings_all_inputs_to_the_steps_of_the_output() {
    let (mut file, input) = unsigned([1, 1, 2]);
    // In steps of 2: 3.5 is stored as 4, which is 8.
    let coarse = file.quantise(&input, 256.0, true);
    let joined = file.node("Concat", &[&input, &coarse], vec![int("axis", 1)]);
    assert_eq!(run(&finished(file, &joined, true), &[7, 200]), [7, 127, 8, 127]);
}

#[test]
fn concat_of_tensors_stored_alike_needs_no_quantiser() {
    let (mut file, input) = unsigned([1, 1, 1]);
    let pooled = file.max_pool(&input, ONE_PIXEL);
    let joined = file.node("Concat", &[&input, &pooled, &input], vec![int("axis", -3)]);
    assert_eq!(run(&Network::load(&file.finish(&joined)).unwrap(), &[7]), [7, 7, 7]);
}

#[test]
fn linear_resize_weighs_the_neighbours() {
    let resized = |coordinates| {
        let (mut file, input) = unsigned([1, 1, 2]);
        let made = file.resize_linear(&input, [1.0, 2.0], coordinates);
        run(&finished(file, &made, false), &[0, 30])
    };
    // At -0.25, 0.25, 0.75, 1.25; halves go to the even number.
    assert_eq!(resized("half_pixel"), [0, 8, 22, 30]);
    assert_eq!(resized("pytorch_half_pixel"), [0, 8, 22, 30]);
    assert_eq!(resized("align_corners"), [0, 10, 20, 30]);
    assert_eq!(resized("asymmetric"), [0, 15, 30, 30]);

    let (mut file, input) = unsigned([1, 2, 2]);
    let made = file.resize_linear(&input, [2.0, 2.0], "half_pixel");
    let made = run(&finished(file, &made, false), &[0, 10, 20, 40]);
    // A quarter right: 2.5 above, 25 below. A quarter down: 8.125; three quarters: 19.375.
    assert_eq!((made[4 + 1], made[8 + 1]), (8, 19));
}

#[test]
fn a_single_pixel_of_a_linear_resize() {
    let halved = |coordinates| {
        let (mut file, input) = unsigned([1, 1, 2]);
        let made = file.resize_linear(&input, [1.0, 0.5], coordinates);
        run(&finished(file, &made, false), &[10, 20])
    };
    assert_eq!(halved("half_pixel"), [15]);
    assert_eq!(halved("pytorch_half_pixel"), [10]);
    assert_eq!(halved("align_corners"), [10]);
}

#[test]
fn average_pool_counts_the_padding_or_not() {
    let pooled = |counts| {
        let (mut file, input) = unsigned([1, 2, 2]);
        let window = Window { kernel: [2, 2], pads: [1; 4], ..ONE_ROW };
        let mut attributes = window.attributes();
        attributes.push(int("count_include_pad", counts));
        let made = file.node("AveragePool", &[&input], attributes);
        run(&finished(file, &made, false), &[1, 2, 3, 4])
    };
    // 1  1.5  2 / 2  2.5  3 / 3  3.5  4, to even.
    assert_eq!(pooled(0), [1, 2, 2, 2, 2, 3, 3, 4, 4]);
    // 0.25  0.75  0.5 / 1  2.5  1.5 / 0.75  1.75  1.
    assert_eq!(pooled(1), [0, 1, 0, 1, 2, 2, 1, 2, 1]);
}

#[test]
fn global_average_pool_is_one_pixel() {
    let (mut file, input) = unsigned([2, 1, 3]);
    let made = file.node("GlobalAveragePool", &[&input], vec![]);
    // 11 / 3 and 252 / 3.
    assert_eq!(run(&finished(file, &made, false), &[1, 2, 8, 0, 0, 252]), [4, 84]);
}

#[test]
fn product_of_two_tensors_or_with_one_pixel() {
    let (mut file, input) = unsigned([2, 1, 2]);
    let squared = file.node("Mul", &[&input, &input], vec![]);
    assert_eq!(run(&finished(file, &squared, false), &[2, 3, 15, 20]), [4, 9, 225, 255]);

    for swapped in [false, true] {
        let (mut file, input) = unsigned([2, 1, 2]);
        let mean = file.node("GlobalAveragePool", &[&input], vec![]);
        let mean = file.quantise(&mean, 256.0, false);
        let [a, b] = if swapped { [&mean, &input] } else { [&input, &mean] };
        let scaled = file.node("Mul", &[a, b], vec![]);
        assert_eq!(run(&finished(file, &scaled, false), &[2, 4, 10, 0]), [6, 12, 50, 0]);
    }
}

/// The result has 16 steps for each 1.
#[test]
fn activations() {
    let of = |name: &str, attributes: Vec<AttributeProto>, limits: [Option<f32>; 2]| {
        let (mut file, input) = signed([1, 1, 6]);
        let mut inputs = vec![input];
        for limit in limits.iter().flatten() {
            inputs.push(file.initialiser(&[*limit], vec![]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let made = file.node(name, &inputs, attributes);
        let output = file.quantise(&made, 8.0, true);
        run(&Network::load(&file.finish(&output)).unwrap(), &[-4, -1, 0, 1, 4, 7])
    };
    assert_eq!(of("Clip", vec![], [Some(0.0), Some(6.0)]), [0, 0, 0, 16, 64, 96]);
    assert_eq!(of("Clip", vec![], [Some(-2.5), None]), [-40, -16, 0, 16, 64, 112]);
    // -1/3 and 2/3 of 16.
    assert_eq!(of("HardSwish", vec![], [None; 2]), [0, -5, 0, 11, 64, 112]);
    let line = vec![float("alpha", 0.25), float("beta", 0.5)];
    assert_eq!(of("HardSigmoid", line, [None; 2]), [0, 4, 8, 12, 16, 16]);
    let slope = vec![float("alpha", 0.25)];
    assert_eq!(of("LeakyRelu", slope, [None; 2]), [-16, -4, 0, 16, 64, 112]);
    // One slope for all channels.
    assert_eq!(of("PRelu", vec![], [Some(0.5), None]), [-32, -8, 0, 16, 64, 112]);
}

#[test]
fn prelu_has_a_slope_for_each_channel() {
    let (mut file, input) = signed([2, 1, 2]);
    let slopes = file.initialiser(&[0.5, 2.0], vec![2, 1, 1]);
    let made = file.node("PRelu", &[&input, &slopes], vec![]);
    assert_eq!(run(&finished(file, &made, true), &[-6, 6, -6, 6]), [-3, 6, -12, 6]);
}

/// 256 steps for 1: halves are 128; e / (e + 1) is 0.73106, or 187.15 steps, and the rest 68.85.
#[test]
fn softmax_shares_each_pixel_out() {
    let (mut file, input) = unsigned([2, 1, 2]);
    let shares = file.node("Softmax", &[&input], vec![int("axis", 1)]);
    let output = file.quantise(&shares, 1.0, false);
    let network = Network::load(&file.finish(&output)).unwrap();
    assert_eq!(run(&network, &[9, 201, 9, 200]), [128, 187, 128, 69]);
}

#[test]
fn arg_max_is_the_first_largest_plane() {
    for keepdims in [0, 1] {
        let (mut file, input) = signed([3, 1, 3]);
        let attributes = vec![int("axis", 1), int("keepdims", keepdims)];
        let classes = file.node("ArgMax", &[&input], attributes);
        let network = Network::load(&file.finish(&classes)).unwrap();
        assert_eq!(run(&network, &[1, 9, -3, 5, 0, -2, 5, 9, -1]), [1, 0, 2]);
        let output = network.output();
        assert_eq!((output.channels, output.scale, output.signed), (1, 1.0, false));
    }
}

#[test]
fn max_pool_and_three_by_three_are_as_before() {
    let (mut file, input) = unsigned([1, 2, 2]);
    let weights = (&[1.0; 9][..], [1, 1, 3, 3]);
    let sum = file.conv(&input, weights, &[128.0], &[0.0], 1, SAME_3X3);
    let sum = file.quantise(&sum, 256.0, false);
    let pooled = file.max_pool(&sum, HALVES);
    assert_eq!(run(&Network::load(&file.finish(&pooled)).unwrap(), &[1, 2, 3, 4]), [10]);
}

/// Weights 1, 10, 20.
fn convolved(shape: [i64; 3], input: &[i32], window: Window) -> Vec<i32> {
    let (mut file, name) = unsigned(shape);
    let dims = [1, 1, window.kernel[0], window.kernel[1]];
    let made = file.conv(&name, (&[1.0, 10.0, 20.0], dims), &[128.0], &[0.0], 1, window);
    run(&finished(file, &made, false), input)
}

/// A file whose input is u8 in steps of 1.
fn unsigned(shape: [i64; 3]) -> (MctqFile, String) {
    let mut file = MctqFile::of(shape);
    let input = file.quantise("input", 256.0, false);
    (file, input)
}

/// A file whose input is i8 in steps of 1.
fn signed(shape: [i64; 3]) -> (MctqFile, String) {
    let mut file = MctqFile::of(shape);
    let input = file.quantise("input", 128.0, true);
    (file, input)
}

/// The network whose output is `real` in steps of 1.
fn finished(mut file: MctqFile, real: &str, signed: bool) -> Network {
    let output = file.quantise(real, if signed { 128.0 } else { 256.0 }, signed);
    Network::load(&file.finish(&output)).expect("a sound file")
}

/// Stored numbers in, stored numbers out.
fn run(network: &Network, input: &[i32]) -> Vec<i32> {
    let bytes: Vec<u8> = input.iter().map(|stored| stored.to_le_bytes()[0]).collect();
    let tensors = reference::run(network.graph(), &bytes);
    let output = network.graph().tensors().iter().position(|t| t == network.output());
    tensors[output.expect("it has one")].iter().map(|&byte| network.output().widen(byte)).collect()
}
