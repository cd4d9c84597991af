//! The emulator against onnxruntime: all activations of two pieces of the built-in picture.
//!
//! `model/golden/golden_*.safetensors` says in its metadata which command made it, and from which network.

use std::collections::HashMap;
use std::path::PathBuf;

use qsegment::emulator::graph::{Graph, TensorSpec};
use qsegment::emulator::{Network, reference};
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

#[test]
fn golden_vectors_come_from_the_shipped_network() {
    let hash: String = Sha256::digest(shipped_file()).iter().map(|b| format!("{b:02x}")).collect();
    for (name, file) in golden_files() {
        let (_, metadata) = SafeTensors::read_metadata(&file).unwrap();
        let of = &metadata.metadata().as_ref().unwrap()["network_sha256"];
        assert_eq!(*of, hash, "{name} was made from another network; run its command again");
    }
}

#[test]
fn each_layer_agrees_with_onnxruntime_when_fed_its_input() {
    let mut compared = 0;
    let mut differing = 0;
    for (name, file) in golden_files() {
        let golden = Golden::parse(&file);
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
    for (name, file) in golden_files() {
        let golden = Golden::parse(&file);
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
fn shipped_network_is_the_one_described() {
    let network = Network::load(&shipped_file()).unwrap();
    assert_eq!(network.parameters(), 104_849);
    assert_eq!(network.macs(), 10_123 * 320 * 320);
    let input = network.input();
    assert_eq!((input.channels, input.height, input.width), (3, 320, 320));
    assert_eq!((input.scale, input.signed), (1.0 / 256.0, false));
    let output = network.output();
    assert_eq!((output.channels, output.height, output.width), (1, 320, 320));
}

#[test]
fn other_input_sizes_are_taken_in_multiples_of_eight() {
    let network = Network::load(&shipped_file()).unwrap();
    let small = network.with_input_size(8, 64).unwrap();
    assert_eq!((small.output().height, small.output().width), (8, 64));
    assert_eq!(small.macs(), 10_123 * 8 * 64);
    // 12 rows become 6, 3, 1; upsampled, 1 makes 2, and those cannot be added to 3.
    let refused = network.with_input_size(12, 64).unwrap_err().to_string();
    assert!(refused.contains("Add") && refused.contains("one shape"), "{refused}");
    for (height, width) in [(0, 64), (64, 0), (4, 64), (8192, 8), (usize::MAX, 8), (4096, 4096)] {
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
    tensors: HashMap<String, safetensors::tensor::TensorView<'a>>,
}

impl<'a> Golden<'a> {
    fn parse(file: &'a [u8]) -> Self {
        Self {
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
        let network = Network::load(&shipped_file()).expect("the shipped network loads");
        network.with_input_size(shape[1], shape[2]).expect("a multiple of 8")
    }
}

fn golden_files() -> [(String, Vec<u8>); 2] {
    [0, 1].map(|n| {
        let name = format!("golden/golden_{n}.safetensors");
        let file = std::fs::read(model_folder().join(&name)).expect(&name);
        (name, file)
    })
}

fn shipped_file() -> Vec<u8> {
    let path = model_folder().join("network/qsegment-320.onnx");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn model_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("model")
}
