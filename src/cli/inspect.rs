//! `qsegment inspect`: what is in a file, and whether it will be taken.
//!
//! ```text
//!   file --first bytes--> metadata.rs     a buffer of the sensor
//!                         rpk.rs          blocks, sections, archive -> verdict.rs
//!                         packer_out.rs   parts -> the .rpk made of them -> verdict.rs
//!                         onnx.rs         survey, preflight
//! ```

mod metadata;
mod onnx;
mod packer_out;
mod rpk;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args};
use serde::Serialize;

use super::config::{Mode, Packing};
use super::kind::kind_of;
use super::out::Out;
use super::{Code, Failure, Form, read};

/// Print what is in a file, and whether converter, kernel driver and daemon will take it
///
/// Knows the file for the sensor (.rpk), the converter's packerOut.zip, ONNX networks (MCTQ, QDQ, float) and
/// metadata buffers of the sensor, which `qsegment run --dump-metadata FILE` writes. Tells them apart by their
/// content. A damaged part is named with its byte, what was found and what was wanted, and the other parts
/// are still read.
///
/// Exit code 1 if an .rpk or packerOut.zip would be refused or its parts contradict each other, if an ONNX
/// network cannot be converted, or if --model does not match.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The file
    file: PathBuf,
    /// ONNX network that the .rpk or packerOut.zip should have been made of; of the built-in ones the one
    /// that fits better if not given
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Judge an ONNX network as `qsegment pack --no-input-persistency` would convert it
    #[arg(long, action = ArgAction::SetTrue)]
    no_input_persistency: bool,
    /// Length of an embedded line of a metadata buffer, in bytes; guessed if neither this nor --mode is given
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["mode", "packing"])]
    embedded_line_len: Option<usize>,
    /// Sensor mode the metadata buffer was captured in, which says how long an embedded line is
    #[arg(long)]
    mode: Option<Mode>,
    /// How the receiver packs embedded lines
    #[arg(long, requires = "mode", default_value = "pi5")]
    packing: Packing,
}

pub(crate) fn inspect(
    args: &InspectArgs,
    verbose: bool,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let accepted = match kind_of(&read::start(&args.file)?) {
        "a network.rpk for the sensor" => rpk::inspect(args, verbose, form, out)?,
        "a zip archive, such as packerOut.zip" => packer_out::inspect(args, form, out)?,
        "an ONNX network" => onnx::inspect(args, form, out)?,
        _ => metadata::inspect(args, form, out)?,
    };
    Ok(if accepted { ExitCode::SUCCESS } else { Code::Failed.into() })
}

/// The document of `--json`.
#[derive(Serialize)]
struct Inspected<T> {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    file: String,
    kind: &'static str,
    #[serde(flatten)]
    content: T,
}

impl<T: Serialize> Inspected<T> {
    fn new(args: &InspectArgs, kind: &'static str, content: T) -> Self {
        Self { version: 1, file: args.file.display().to_string(), kind, content }
    }
}
