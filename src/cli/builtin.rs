//! What the binary carries, so that it runs on a bare machine.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// The name of the built-in network.
pub(crate) const NETWORK_NAME: &str = "qsegment-320";

/// The built-in network: MCTQ ONNX, 320 x 320 RGB in, one plane of vessel scores out. Its training,
/// licence and measured numbers are in the model card beside the file.
pub(crate) const NETWORK_ONNX: &[u8] = include_bytes!("../../model/network/qsegment-320.onnx");

/// SHA-256 of [`NETWORK_ONNX`], in hex.
pub(crate) fn network_sha256() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| sha256_hex(NETWORK_ONNX));
    &HASH
}

/// SHA-256 in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        hex
    })
}
