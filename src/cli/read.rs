//! Reading a file that a user named, without taking more of it than it can sensibly have.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};

/// The whole file, if it is not over `limit_bytes`. Errors call it `shown`, and `reason` says what the
/// limit rests on.
pub(crate) fn at_most(
    path: &Path,
    shown: impl Display,
    limit_bytes: u64,
    reason: &str,
) -> anyhow::Result<Vec<u8>> {
    let file =
        File::open(path).with_context(|| format!("cannot open {shown} (is the path right?)"))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {shown}"))?;
    ensure!(
        bytes.len() as u64 <= limit_bytes,
        "{shown} is over {} MiB; {reason}",
        limit_bytes >> 20
    );
    Ok(bytes)
}

/// The first bytes of a file, enough to tell its kind.
pub(crate) fn start(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let file =
        File::open(path).with_context(|| format!("cannot open {shown} (is the path right?)"))?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    Ok(bytes)
}

/// Largest .rpk that is read.
pub(crate) const MAX_RPK_BYTES: u64 = 64 << 20;
/// What that rests on.
pub(crate) const RPK_REASON: &str = "the sensor holds 8 MiB";
/// Largest ONNX file that is read: a QDQ or float export is at most four times the size of what the sensor
/// holds.
pub(crate) const MAX_ONNX_BYTES: u64 = 64 << 20;
/// What that rests on.
pub(crate) const ONNX_REASON: &str = "one that fits into the sensor is under 8 MiB";
