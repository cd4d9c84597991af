//! What the binary carries, so that it runs on a bare machine.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A network in the binary: MCTQ ONNX, RGB in, one map of vessel scores out. Training, licence and
/// measured numbers are in the model card beside the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum BuiltIn {
    /// 640 x 640 in, four planes of 320 x 320 out, a map of 640 x 640: the most accurate one that fits in the sensor.
    #[default]
    Accurate,
    /// 400 x 400 in and out: 30 tensors a second by the model of the sensor's speed.
    Fast,
}

impl BuiltIn {
    pub(crate) const ALL: [Self; 2] = [Self::Accurate, Self::Fast];

    /// What it is called in options, in the configuration and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accurate => "accurate",
            Self::Fast => "fast",
        }
    }

    pub(crate) fn onnx(self) -> &'static [u8] {
        match self {
            Self::Accurate => include_bytes!("../../model/network/accurate.onnx"),
            Self::Fast => include_bytes!("../../model/network/fast.onnx"),
        }
    }

    /// SHA-256 of [`BuiltIn::onnx`], in hex.
    pub(crate) fn sha256(self) -> &'static str {
        static HASHES: LazyLock<[String; 2]> =
            LazyLock::new(|| BuiltIn::ALL.map(|network| sha256_hex(network.onnx())));
        &HASHES[self as usize]
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}
