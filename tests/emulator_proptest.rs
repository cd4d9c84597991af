//! The engine against the reference, bit for bit, on networks of odd shapes.

#[allow(dead_code, reason = "other tests use more of it")]
mod mctq_file;

use mctq_file::{MctqFile, SAME_3X3, Window, float, int};
use proptest::prelude::*;
use qsegment::emulator::{Engine, Kernel, Network, reference};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_equals_reference_on_odd_networks(
        channels in 1..20_i64,
        height in 1..14_i64,
        width in 1..23_i64,
        signed: bool,
        layers in prop::collection::vec(layer(), 1..7),
        seed: u64,
    ) {
        let mut sketch = Sketch::new([channels, height, width], signed, seed);
        for layer in &layers {
            sketch.add(layer);
        }
        let file = sketch.finish();
        let network = Network::load(&file).map_err(|error| TestCaseError::fail(error.to_string()))?;
        compare(&network, seed)?;
    }
}

/// So that an emulated processor which lacks a kernel is not taken for one whose kernels were compared.
#[test]
fn kernels_are_those_that_are_expected() {
    let Ok(expected) = std::env::var("EXPECTED_KERNELS") else { return };
    let here: Vec<&str> = Kernel::here().into_iter().map(Kernel::name).collect();
    assert_eq!(here.join(","), expected);
}

#[test]
fn engine_equals_reference_on_the_shipped_networks() {
    for name in ["model/network/accurate", "model/network/fast", "tests/fixtures/qsegment-320"] {
        let path = format!("{}/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        let network = Network::load(&std::fs::read(path).unwrap()).unwrap();
        for (height, width) in [(16, 16), (80, 112), (144, 16), (16, 176)] {
            compare(&network.with_input_size(height, width).unwrap(), 7).unwrap();
        }
    }
}

/// Sigmoid after a convolution, alone, and after a sum: each takes another way through the kernels.
#[test]
fn engine_equals_reference_on_sigmoids() {
    let mut sketch = Sketch::new([5, 9, 11], false, 3);
    let (window, after) = (SAME_3X3, After::Sigmoid);
    let conv = Layer::Conv { outputs: 5, groups: 1, window, after, signed: false };
    sketch.add(&conv);
    sketch.add(&Layer::Add { with: 0, after: After::Sigmoid, signed: true });
    sketch.add(&Layer::Alone { after: After::Sigmoid, signed: false });
    compare(&Network::load(&sketch.finish()).unwrap(), 3).unwrap();
}

/// 400, or what `PROPTEST_CASES` says: an emulated processor takes its time.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(400, |cases| cases.parse().expect("a number"))
}

/// Twice with different inputs, so that what one run leaves in the buffers meets the next one.
fn compare(network: &Network, seed: u64) -> Result<(), TestCaseError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut engines = Vec::new();
    for (kernel, threads) in Kernel::here().into_iter().zip([1, 2, 3, 1].into_iter().cycle()) {
        let engine = Engine::with(network, kernel, threads).expect("a kernel that is here");
        engines.push(((kernel, threads), engine));
    }
    let mut made = vec![0; network.output().len_bytes()];
    for _ in 0..2 {
        let input: Vec<u8> = (0..network.input().len_bytes()).map(|_| random.random()).collect();
        let tensors = reference::run(network.graph(), &input);
        let output = network.graph().tensors().iter().position(|t| t == network.output());
        for (kernel, engine) in &mut engines {
            engine.run(&input, &mut made);
            prop_assert_eq!(
                &made,
                &tensors[output.expect("it has one")],
                "kernel, threads: {:?}",
                kernel
            );
        }
    }
    Ok(())
}

/// One more node on top of the network made so far.
#[derive(Debug, Clone)]
enum Layer {
    Conv {
        outputs: i64,
        groups: i64,
        window: Window,
        after: After,
        signed: bool,
    },
    Depthwise {
        window: Window,
        after: After,
        signed: bool,
    },
    ConvTranspose {
        outputs: i64,
        groups: i64,
        window: Window,
        output_padding: [i64; 2],
        after: After,
    },
    /// With an earlier tensor of the same shape, or with itself.
    Add {
        with: usize,
        after: After,
        signed: bool,
    },
    /// With an earlier tensor of the same shape, or with the mean of one.
    Mul {
        with: usize,
        mean: bool,
        after: After,
    },
    /// With earlier tensors of the same height and width. `quantised` where they are stored alike.
    Concat {
        with: Vec<usize>,
        quantised: bool,
    },
    AveragePool {
        window: Window,
        counts_padding: bool,
    },
    GlobalAveragePool,
    ResizeLinear {
        halves: [i64; 2],
        coordinates: &'static str,
    },
    Softmax,
    /// As a QDQ file stores it: any scale, any zero point.
    Free {
        scale: f32,
        zero_point: i32,
        signed: bool,
    },
    /// `quantised`: whether a quantiser of its own follows.
    MaxPool {
        window: Window,
        quantised: bool,
    },
    /// Scales in halves.
    Resize {
        halves: [i64; 2],
        quantised: bool,
    },
    /// An activation or a quantiser that stands alone.
    Alone {
        after: After,
        signed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    Nothing,
    Relu,
    Sigmoid,
    Relu6,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    /// A slope for each channel.
    PRelu,
}

fn layer() -> impl Strategy<Value = Layer> {
    let after = prop_oneof![
        8 => Just(After::Nothing),
        8 => Just(After::Relu),
        2 => Just(After::Sigmoid),
        2 => Just(After::Relu6),
        1 => Just(After::HardSigmoid),
        1 => Just(After::HardSwish),
        1 => Just(After::LeakyRelu),
        1 => Just(After::PRelu),
    ];
    let coordinates = prop_oneof![
        Just("half_pixel"),
        Just("pytorch_half_pixel"),
        Just("align_corners"),
        Just("asymmetric")
    ];
    let halves = || prop_oneof![Just(1_i64), Just(2), Just(3), Just(4), Just(6)];
    prop_oneof![
        4 => (1..36_i64, 1..4_i64, window(), after.clone(), any::<bool>()).prop_map(
            |(outputs, groups, window, after, signed)| Layer::Conv { outputs, groups, window, after, signed }
        ),
        3 => (window(), after.clone(), any::<bool>())
            .prop_map(|(window, after, signed)| Layer::Depthwise { window, after, signed }),
        2 => (0..9_usize, after.clone(), any::<bool>())
            .prop_map(|(with, after, signed)| Layer::Add { with, after, signed }),
        1 => (window(), any::<bool>())
            .prop_map(|(window, quantised)| Layer::MaxPool { window, quantised }),
        1 => ([halves(), halves()], any::<bool>())
            .prop_map(|(halves, quantised)| Layer::Resize { halves, quantised }),
        1 => (after.clone(), any::<bool>())
            .prop_map(|(after, signed)| Layer::Alone { after, signed }),
        1 => (1..20_i64, 1..4_i64, window(), [0..4_i64, 0..4_i64], after.clone()).prop_map(
            |(outputs, groups, window, output_padding, after)| {
                Layer::ConvTranspose { outputs, groups, window, output_padding, after }
            }
        ),
        1 => (0..9_usize, any::<bool>(), after)
            .prop_map(|(with, mean, after)| Layer::Mul { with, mean, after }),
        1 => (prop::collection::vec(0..9_usize, 0..3), any::<bool>())
            .prop_map(|(with, quantised)| Layer::Concat { with, quantised }),
        1 => (window(), any::<bool>())
            .prop_map(|(window, counts_padding)| Layer::AveragePool { window, counts_padding }),
        1 => Just(Layer::GlobalAveragePool),
        1 => ([halves(), halves()], coordinates)
            .prop_map(|(halves, coordinates)| Layer::ResizeLinear { halves, coordinates }),
        1 => Just(Layer::Softmax),
        2 => (0.2..3.0_f32, 0..256, any::<bool>())
            .prop_map(|(scale, zero_point, signed)| Layer::Free { scale, zero_point, signed }),
    ]
}

/// The plain 3x3 window as often as all others together; dilation seldom.
fn window() -> impl Strategy<Value = Window> {
    let side = || (1..5_i64, 1..4_i64, 0..4_i64, 0..4_i64);
    prop_oneof![
        4 => Just(SAME_3X3),
        4 => (side(), side()).prop_map(|(rows, columns)| Window {
            kernel: [rows.0, columns.0],
            strides: [rows.1, columns.1],
            pads: [rows.2 % rows.0, columns.2 % columns.0, rows.3 % rows.0, columns.3 % columns.0],
            dilations: [1, 1],
        }),
        1 => (1..4_i64, 1..4_i64)
            .prop_map(|(rows, columns)| Window { dilations: [rows, columns], pads: [2; 4], ..SAME_3X3 }),
    ]
}

/// A network in the making, with random weights.
struct Sketch {
    file: MctqFile,
    /// Every tensor so far: its name, shape and scale.
    tensors: Vec<(String, [i64; 3], f32)>,
    random: ChaCha8Rng,
}

impl Sketch {
    fn new(shape: [i64; 3], signed: bool, seed: u64) -> Self {
        let (file, input) = MctqFile::new(shape[0], shape[1], shape[2], signed);
        let scale = if signed { 1.0 / 128.0 } else { 1.0 / 256.0 };
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { file, tensors: vec![(input, shape, scale)], random }
    }

    fn finish(self) -> Vec<u8> {
        let output = self.tensors.last().expect("the input at least").0.clone();
        // A network that is its own input is refused: what a layer could not do leaves it so.
        let (mut file, few) = (self.file, self.tensors.len() == 1);
        let output = if few { file.quantise(&output, 0.5, true) } else { output };
        file.finish(&output)
    }

    /// Adds what fits: a window larger than the picture, or a picture grown too large, is left out.
    fn add(&mut self, layer: &Layer) {
        let (input, shape, scale) = self.tensors.last().expect("the input at least").clone();
        let [channels, height, width] = shape;
        match layer {
            Layer::Conv { outputs, groups, window, after, signed } => {
                let groups = if channels % groups == 0 { *groups } else { 1 };
                let outputs = (outputs + groups - 1) / groups * groups;
                self.conv(&input, scale, shape, (outputs, groups, *window), (*after, *signed));
            }
            Layer::Depthwise { window, after, signed } => {
                self.conv(&input, scale, shape, (channels, channels, *window), (*after, *signed));
            }
            Layer::Add { with, after, signed } => {
                let same: Vec<_> = self.tensors.iter().filter(|t| t.1 == shape).cloned().collect();
                let (other, _, other_scale) = same[with % same.len()].clone();
                if (other_scale / scale).log2().abs() <= 15.0 {
                    let sum = self.file.node("Add", &[&input, &other], vec![]);
                    self.close(&sum, shape, scale.max(other_scale) * 180.0, (*after, *signed));
                }
            }
            Layer::ConvTranspose { outputs, groups, window, output_padding, after } => {
                let groups = if channels % groups == 0 { *groups } else { 1 };
                let outputs = (outputs + groups - 1) / groups * groups;
                self.conv_transpose(
                    (&input, scale, shape),
                    (outputs, groups),
                    *window,
                    *output_padding,
                    *after,
                );
            }
            Layer::Mul { with, mean, after } => {
                let same: Vec<_> = self.tensors.iter().filter(|t| t.1 == shape).cloned().collect();
                let (mut other, _, other_scale) = same[with % same.len()].clone();
                if *mean {
                    let pooled = self.file.node("GlobalAveragePool", &[&other], vec![]);
                    let threshold = (other_scale * 128.0).log2().round().exp2();
                    other = self.file.quantise(&pooled, threshold, true);
                }
                let product = self.file.node("Mul", &[&other, &input], vec![]);
                self.close(&product, shape, scale * other_scale * 4000.0, (*after, true));
            }
            Layer::Concat { with, quantised } => {
                let fits = |t: &&(String, [i64; 3], f32)| t.1[1..] == shape[1..];
                let fitting: Vec<_> = self.tensors.iter().filter(fits).cloned().collect();
                let chosen = with.iter().map(|with| fitting[with % fitting.len()].clone());
                let all: Vec<_> = chosen.chain([(input, shape, scale)]).collect();
                let planes = all.iter().map(|tensor| tensor.1[0]).sum();
                if planes > 60 {
                    return;
                }
                let names: Vec<&str> = all.iter().map(|tensor| tensor.0.as_str()).collect();
                // The same tensor again is stored alike in any case.
                let alike = names.iter().all(|name| *name == names[0]);
                let joined = self.file.node("Concat", &names, vec![int("axis", 1)]);
                self.close_copy(&joined, [planes, height, width], scale, *quantised || !alike);
            }
            Layer::AveragePool { window, counts_padding } => {
                let window = Window { dilations: [1, 1], ..*window };
                let Some([rows, columns]) = output_size([height, width], window) else { return };
                let mut attributes = window.attributes();
                attributes.push(int("count_include_pad", i64::from(*counts_padding)));
                let pooled = self.file.node("AveragePool", &[&input], attributes);
                self.close_copy(&pooled, [channels, rows, columns], scale, true);
            }
            Layer::GlobalAveragePool => {
                let pooled = self.file.node("GlobalAveragePool", &[&input], vec![]);
                self.close_copy(&pooled, [channels, 1, 1], scale, true);
            }
            Layer::ResizeLinear { halves, coordinates } => {
                let [rows, columns] = [height * halves[0] / 2, width * halves[1] / 2];
                if rows > 0 && columns > 0 && rows * columns < 3000 {
                    let scales = halves.map(|n| n as f32 / 2.0);
                    let resized = self.file.resize_linear(&input, scales, coordinates);
                    self.close_copy(&resized, [channels, rows, columns], scale, true);
                }
            }
            Layer::Softmax => {
                let shares = self.file.node("Softmax", &[&input], vec![int("axis", 1)]);
                let stored = self.file.quantise(&shares, 1.0, false);
                self.tensors.push((stored, shape, 1.0 / 256.0));
            }
            Layer::Free { scale: finer, zero_point, signed } => {
                let (zero_point, data_type) =
                    if *signed { (zero_point - 128, 3) } else { (*zero_point, 2) };
                let scale = scale * finer;
                let stored = self.file.quantise_linear(&input, (scale, zero_point, data_type));
                self.tensors.push((stored, shape, scale));
            }
            Layer::MaxPool { window, quantised } => {
                let window = &Window { dilations: [1, 1], ..*window };
                let Some([rows, columns]) = output_size([height, width], *window) else { return };
                let pooled = self.file.max_pool(&input, *window);
                self.close_copy(&pooled, [channels, rows, columns], scale, *quantised);
            }
            Layer::Resize { halves, quantised } => {
                let [rows, columns] = [height * halves[0] / 2, width * halves[1] / 2];
                if rows > 0 && columns > 0 && rows * columns < 3000 {
                    let resized = self.file.resize(&input, halves.map(|n| n as f32 / 2.0));
                    self.close_copy(&resized, [channels, rows, columns], scale, *quantised);
                }
            }
            Layer::Alone { after, signed } => {
                self.close(&input, shape, scale * 100.0, (*after, *signed));
            }
        }
    }

    fn conv(
        &mut self,
        input: &str,
        scale: f32,
        [channels, height, width]: [i64; 3],
        (outputs, groups, window): (i64, i64, Window),
        last: (After, bool),
    ) {
        let Some([rows, columns]) = output_size([height, width], window) else { return };
        let dims = [outputs, channels / groups, window.kernel[0], window.kernel[1]];
        let products = dims[1] * dims[2] * dims[3];
        let thresholds = self.numbers(outputs, 0.05..1.0);
        let weights = self.numbers(outputs * products, -1.0..1.0);
        let expected = scale * 70.0 * 0.5 * (products as f32).sqrt();
        let bias = self.numbers(outputs, -expected..expected);
        let made = self.file.conv(input, (&weights, dims), &thresholds, &bias, groups, window);
        self.close(&made, [outputs, rows, columns], expected, last);
    }

    fn conv_transpose(
        &mut self,
        (input, scale, [channels, height, width]): (&str, f32, [i64; 3]),
        (outputs, groups): (i64, i64),
        window: Window,
        output_padding: [i64; 2],
        after: After,
    ) {
        let output_padding = [0, 1].map(|axis| output_padding[axis] % window.strides[axis]);
        let side = |axis: usize, len: i64| {
            (len - 1) * window.strides[axis]
                + (window.kernel[axis] - 1) * window.dilations[axis]
                + 1
                + output_padding[axis]
                - window.pads[axis]
                - window.pads[axis + 2]
        };
        let [rows, columns] = [side(0, height), side(1, width)];
        if rows < 1 || columns < 1 || rows * columns > 3000 {
            return;
        }
        let dims = [channels, outputs / groups, window.kernel[0], window.kernel[1]];
        let products = channels / groups * dims[2] * dims[3];
        let thresholds = self.numbers(outputs / groups, 0.05..1.0);
        let weights = self.numbers(dims.iter().product(), -1.0..1.0);
        let expected = scale * 70.0 * 0.5 * (products as f32).sqrt();
        let bias = self.numbers(outputs, -expected..expected);
        let weights = (weights.as_slice(), dims);
        let last = (window, output_padding);
        let made = self.file.conv_transpose(input, weights, &thresholds, &bias, groups, last);
        self.close(&made, [outputs, rows, columns], expected, (after, true));
    }

    /// Activation and quantiser, whose range fits numbers around `expected`.
    fn close(
        &mut self,
        real: &str,
        shape: [i64; 3],
        expected: f32,
        (after, signed): (After, bool),
    ) {
        let (real, threshold) = match after {
            After::Nothing => (real.to_owned(), 2.0 * expected),
            After::Relu => (self.file.node("Relu", &[real], vec![]), 2.0 * expected),
            After::Sigmoid => (self.file.node("Sigmoid", &[real], vec![]), 1.0),
            After::Relu6 => {
                let [low, high] = [0.0, 6.0].map(|limit| self.file.initialiser(&[limit], vec![]));
                (self.file.node("Clip", &[real, &low, &high], vec![]), 2.0 * expected)
            }
            After::HardSigmoid => {
                let attributes = vec![float("alpha", 1.0 / expected), float("beta", 0.4)];
                (self.file.node("HardSigmoid", &[real], attributes), 1.0)
            }
            After::HardSwish => (self.file.node("HardSwish", &[real], vec![]), 2.0 * expected),
            After::LeakyRelu => {
                let attributes = vec![float("alpha", 0.3)];
                (self.file.node("LeakyRelu", &[real], attributes), 2.0 * expected)
            }
            After::PRelu => {
                let slopes = self.numbers(shape[0], -0.5..1.5);
                let slopes = self.file.initialiser(&slopes, vec![shape[0], 1, 1]);
                (self.file.node("PRelu", &[real, &slopes], vec![]), 2.0 * expected)
            }
        };
        // Products of products leave any range that networks have.
        let threshold = threshold.clamp(1e-6, 1e6).log2().round().exp2();
        let stored = self.file.quantise(&real, threshold, signed);
        self.tensors.push((stored, shape, threshold / if signed { 128.0 } else { 256.0 }));
    }

    fn close_copy(&mut self, made: &str, shape: [i64; 3], scale: f32, quantised: bool) {
        if quantised {
            self.close(made, shape, scale * 50.0, (After::Nothing, true));
        } else {
            self.tensors.push((made.to_owned(), shape, scale));
        }
    }

    fn numbers(&mut self, count: i64, range: std::ops::Range<f32>) -> Vec<f32> {
        (0..count).map(|_| self.random.random_range(range.clone())).collect()
    }
}

fn output_size(size: [i64; 2], window: Window) -> Option<[i64; 2]> {
    let along = |axis: usize| {
        let padded = size[axis] + window.pads[axis] + window.pads[axis + 2];
        let extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
        (padded >= extent).then(|| (padded - extent) / window.strides[axis] + 1)
    };
    Some([along(0)?, along(1)?])
}
