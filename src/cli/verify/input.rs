//! Input tensors to compare with: golden ones from files, and made ones for networks of any size.
//!
//! The made ones need no file, and each finds other mistakes: constants find biases, borders and
//! padding; the ramps find exchanged axes and planes; noise finds everything else.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use qsegment::emulator::TensorSpec;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

use crate::cli::read;

/// An input tensor as stored, C, H, W.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) bytes: Vec<u8>,
}

/// Made inputs for a network's input.
pub(super) fn made(spec: &TensorSpec) -> Vec<Input> {
    let len = spec.len_bytes();
    let input = |name: &str, bytes: Vec<u8>| Input {
        name: name.to_owned(),
        height: spec.height,
        width: spec.width,
        bytes,
    };
    let plane = spec.height * spec.width;
    let ramps = (0..len).map(|at| {
        let (channel, row, column) = (at / plane, at % plane / spec.width, at % spec.width);
        match channel {
            0 => low_byte(column),
            1 => low_byte(row),
            _ => low_byte(row + column),
        }
    });
    let mut noise = vec![0; len];
    ChaCha8Rng::seed_from_u64(NOISE_SEED).fill_bytes(&mut noise);
    vec![
        input("all 0x00", vec![0x00; len]),
        input("all 0xff", vec![0xff; len]),
        input("ramps", ramps.collect()),
        input("noise", noise),
    ]
}

fn low_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}

const NOISE_SEED: u64 = 500;

/// A file of golden vectors: every activation of a network for one input.
#[derive(Debug)]
pub(super) struct Golden {
    pub(super) name: String,
    pub(super) input: Input,
    tensors: HashMap<String, Vec<u8>>,
}

impl Golden {
    /// Reads a file that `qsegment_model.golden` wrote, of the network with this hash.
    pub(super) fn read(path: &Path, network_sha256: &str) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = read::at_most(path, &shown, MAX_GOLDEN_LEN_BYTES, "golden vectors are small")?;
        Self::parse(&file, &shown.to_string(), network_sha256)
            .with_context(|| format!("cannot use {shown}"))
    }

    fn parse(file: &[u8], name: &str, network_sha256: &str) -> anyhow::Result<Self> {
        let (_, header) = SafeTensors::read_metadata(file).context("it is no safetensors file")?;
        let of = header.metadata().as_ref().and_then(|metadata| metadata.get("network_sha256"));
        let of = of.ok_or_else(|| anyhow!("it does not say of which network it is"))?;
        ensure!(
            of == network_sha256,
            "it is of the network with SHA-256 {of}; the network here has {network_sha256}: run \
             `python -m qsegment_model.golden` again, or name the network with --network"
        );
        let read = SafeTensors::deserialize(file).context("it is damaged")?;
        let input = read.tensor("input").context("it has no input")?;
        let &[3, height, width] = input.shape() else {
            return Err(anyhow!("its input has shape {:?}, not three planes", input.shape()));
        };
        let bytes = input.data().to_vec();
        ensure!(bytes.len() == 3 * height * width, "its input is not one byte an element");
        let tensors = read.tensors().into_iter();
        let tensors = tensors.map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
        let name = name.to_owned();
        Ok(Self { input: Input { name: name.clone(), height, width, bytes }, name, tensors })
    }

    /// The stored bytes of an activation; none where it has no quantiser.
    pub(super) fn tensor(&self, spec: &TensorSpec) -> Option<&[u8]> {
        let bytes = self.tensors.get(&spec.name)?;
        (bytes.len() == spec.len_bytes()).then_some(bytes)
    }
}

/// All activations at 80 x 80 have 1.6 MB.
const MAX_GOLDEN_LEN_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_inputs_fill_the_network_and_differ() {
        let spec = TensorSpec {
            name: "x".into(),
            channels: 3,
            height: 4,
            width: 5,
            scale: 1.0,
            zero_point: 0,
            signed: false,
        };
        let made = made(&spec);
        assert!(made.iter().all(|input| input.bytes.len() == 60));
        let ramps = &made[2].bytes;
        assert_eq!((ramps[4], ramps[20 + 19], ramps[40 + 19]), (4, 3, 7));
        assert_ne!(made[3].bytes[..20], made[3].bytes[20..40]);
    }

    #[test]
    fn golden_vectors_of_another_network_are_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/golden/accurate_0.safetensors");
        let file = std::fs::read(path).unwrap();
        let error = Golden::parse(&file, "golden_0", &"0".repeat(64)).unwrap_err();
        assert!(error.to_string().contains("or name the network with --network"), "{error}");
        let golden =
            Golden::parse(&file, "golden_0", crate::cli::builtin::BuiltIn::Accurate.sha256())
                .unwrap();
        assert_eq!((golden.input.height, golden.input.width), (160, 160));
        assert!(Golden::parse(&file[..100], "cut", "").is_err());
    }
}
