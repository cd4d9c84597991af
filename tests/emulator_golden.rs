//! The emulator against onnxruntime: all activations of two pieces of the built-in picture.
//!
//! `model/golden/*.safetensors` say in their metadata which command made them, and from which network.

use std::collections::HashMap;
use std::path::PathBuf;

use qsegment::emulator::graph::{Graph, TensorSpec};
use qsegment::emulator::{Network, reference};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

#[test]
fn golden_vectors_come_from_the_shipped_networks() {
    for (network, name, file) in golden_files() {
        let hash = Sha256::digest(shipped_file(network));
        let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        let (_, metadata) = SafeTensors::read_metadata(&file).unwrap();
        let of = &metadata.metadata().as_ref().unwrap()["network_sha256"];
        assert_eq!(*of, hash, "{name} was made from another network; run its command again");
    }
}

#[test]
fn each_layer_agrees_with_onnxruntime_when_fed_its_input() {
    let mut compared = 0;
    let mut differing = 0;
    for (network, name, file) in golden_files() {
        let golden = Golden::parse(network, &file);
        let network = golden.network();
        let graph = network.graph();
        // Poolings have no quantiser, so no golden vector: they are computed from one.
        let mut tensors: Vec<Vec<u8>> = vec![golden.bytes("input").unwrap().to_vec()];
        for node in graph.nodes() {
            let inputs: Vec<&[u8]> = node.inputs.iter().map(|&i| tensors[i].as_slice()).collect();
            let made = reference::run_node(graph, node, &inputs);
            let spec = &graph.tensors()[node.output];
            let Some(wanted) = golden.bytes(&spec.name) else {
                tensors.push(made);
                continue;
            };
            assert_eq!(made.len(), wanted.len(), "{name}: {}", spec.name);
            let steps = differences(spec, &made, wanted);
            let far = steps.iter().filter(|&&step| step > 1).count();
            assert_eq!(far, 0, "{name}: {} differs by up to {:?}", spec.name, steps.iter().max());
            compared += made.len();
            differing += steps.iter().filter(|&&step| step > 0).count();
            tensors.push(wanted.to_vec());
        }
        assert_eq!(tensors.len(), graph.tensors().len());
    }
    println!("{differing} of {compared} elements differ, each by one step");
    assert!(differing * 100_000 <= compared, "{differing} of {compared} elements differ");
}

#[test]
fn mask_agrees_with_onnxruntime_end_to_end() {
    for (network, name, file) in golden_files() {
        let golden = Golden::parse(network, &file);
        let network = golden.network();
        let tensors = reference::run(network.graph(), golden.bytes("input").unwrap());
        let made = mask(network.output(), output_of(network.graph(), &tensors));
        let wanted = mask(network.output(), golden.bytes("output").unwrap());
        let agreeing = made.iter().zip(&wanted).filter(|(a, b)| a == b).count();
        println!("{name}: {agreeing} of {} pixels agree", wanted.len());
        assert!(agreeing * 1000 >= wanted.len() * 995, "{name}: {agreeing} of {}", wanted.len());
        assert!(wanted.iter().any(|&vessel| vessel) && wanted.iter().any(|&vessel| !vessel));
    }
}

#[test]
fn shipped_networks_are_the_ones_described() {
    // Parameters with batch norms folded and biases added. The head has sixteen weights four times: as four planes, or
    // as one that a transposed convolution makes.
    for (name, input_side, output_shape, parameters) in
        [("accurate", 640, (4, 320, 320), 105_236), ("fast", 400, (1, 400, 400), 105_233)]
    {
        let network = Network::load(&shipped_file(name)).unwrap();
        assert_eq!(network.parameters(), parameters, "{name}");
        // 10,507 a pixel inside, where everything has half the picture's size.
        assert_eq!(network.macs(), 10_507 * (input_side * input_side / 4) as u64, "{name}");
        let input = network.input();
        assert_eq!((input.channels, input.height, input.width), (3, input_side, input_side));
        assert_eq!((input.scale, input.signed), (1.0 / 256.0, false));
        let output = network.output();
        assert_eq!((output.channels, output.height, output.width), output_shape);
    }
}

#[test]
fn other_input_sizes_are_taken_in_multiples_of_sixteen() {
    let network = Network::load(&shipped_file("accurate")).unwrap();
    let small = network.with_input_size(16, 128).unwrap();
    assert_eq!((small.output().height, small.output().width), (8, 64));
    assert_eq!(small.macs(), 10_507 * 8 * 64);
    // 24 rows become 12, 6, 3, 1; upsampled, 1 makes 2, and those cannot be added to 3.
    let refused = network.with_input_size(24, 128).unwrap_err().to_string();
    assert!(refused.contains("Add") && refused.contains("one shape"), "{refused}");
    for (height, width) in [(0, 64), (64, 0), (4, 64), (8192, 16), (usize::MAX, 16), (4096, 4096)] {
        assert!(network.with_input_size(height, width).is_err(), "{height} x {width}");
    }
}

fn output_of<'a>(graph: &Graph, tensors: &'a [Vec<u8>]) -> &'a [u8] {
    let index = graph.tensors().iter().position(|t| t == graph.output()).expect("it has one");
    &tensors[index]
}

/// Vessel or not, per pixel: probability of at least one half, logit of at least 0.
fn mask(spec: &TensorSpec, stored: &[u8]) -> Vec<bool> {
    let half = if spec.signed { 0 } else { 128 };
    stored.iter().map(|&byte| spec.widen(byte) >= half).collect()
}

/// Distance of each pair of stored numbers.
fn differences(spec: &TensorSpec, made: &[u8], wanted: &[u8]) -> Vec<u32> {
    made.iter().zip(wanted).map(|(&a, &b)| spec.widen(a).abs_diff(spec.widen(b))).collect()
}

struct Golden<'a> {
    network: &'a str,
    tensors: HashMap<String, safetensors::tensor::TensorView<'a>>,
}

impl<'a> Golden<'a> {
    fn parse(network: &'a str, file: &'a [u8]) -> Self {
        Self {
            network,
            tensors: SafeTensors::deserialize(file)
                .expect("safetensors")
                .tensors()
                .into_iter()
                .collect(),
        }
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.tensors.get(name).map(safetensors::tensor::TensorView::data)
    }

    fn network(&self) -> Network {
        let shape = self.tensors["input"].shape();
        let network = Network::load(&shipped_file(self.network)).expect("a shipped network loads");
        network.with_input_size(shape[1], shape[2]).expect("a multiple of 16")
    }
}

/// Network, name of the file, file.
fn golden_files() -> [(&'static str, String, Vec<u8>); 4] {
    [("accurate", 0), ("accurate", 1), ("fast", 0), ("fast", 1)].map(|(network, n)| {
        let name = format!("golden/{network}_{n}.safetensors");
        let file = std::fs::read(model_folder().join(&name)).expect(&name);
        (network, name, file)
    })
}

fn shipped_file(network: &str) -> Vec<u8> {
    let path = model_folder().join(format!("network/{network}.onnx"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn model_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("model")
}
