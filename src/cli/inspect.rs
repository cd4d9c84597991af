//! `qsegment inspect`: what is in a file, line by line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use qsegment::formats::embedded::embedded_line_len_bytes;
use qsegment::formats::metadata::guess_embedded_line_len;
use qsegment::formats::print::Description;
use qsegment::source::simulated::timing;
use serde::Serialize;

use super::config::{Mode, Packing};
use super::kind::kind_of;
use super::out::Out;
use super::read;
use super::{Failure, Form};

/// Print what is in a metadata buffer of the sensor
///
/// Such a buffer is what `qsegment run --dump-metadata FILE` writes, and what a receiver's metadata node
/// gives: two embedded lines, KPI, input tensor, output tensor, PQ. A damaged part is named with its byte,
/// and the other parts are still read.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The file
    file: PathBuf,
    /// Length of an embedded line, in bytes; guessed if neither this nor --mode is given
    #[arg(long, value_name = "BYTES", conflicts_with_all = ["mode", "packing"])]
    embedded_line_len: Option<usize>,
    /// Sensor mode the buffer was captured in, which says how long an embedded line is
    #[arg(long)]
    mode: Option<Mode>,
    /// How the receiver packs embedded lines
    #[arg(long, requires = "mode", default_value = "pi5")]
    packing: Packing,
}

pub(crate) fn inspect(args: &InspectArgs, form: Form, out: &mut Out) -> Result<ExitCode, Failure> {
    let file = args.file.display();
    let bytes =
        read::at_most(&args.file, &file, MAX_LEN_BYTES, "a metadata buffer is at most 10 MiB")?;
    let line_len =
        embedded_line_len(args, &bytes).with_context(|| format!("cannot inspect {file}"))?;
    let description = Description::new(&bytes, line_len);
    match form {
        Form::Text => out.line(description.to_string().trim_end())?,
        Form::Json => out.json(&Inspected {
            version: 1,
            file: file.to_string(),
            kind: "metadata buffer",
            description,
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Inspected {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    file: String,
    kind: &'static str,
    #[serde(flatten)]
    description: Description,
}

/// The driver's buffer is 2 x 5072 + 2560 x (2 + 2 x 2045) bytes at most, since the line counts of both
/// tensors must be below 2046.
const MAX_LEN_BYTES: u64 = 16 << 20;

fn embedded_line_len(args: &InspectArgs, bytes: &[u8]) -> anyhow::Result<usize> {
    if let Some(len) = args.embedded_line_len {
        return Ok(len);
    }
    if let Some(mode) = args.mode {
        let width = timing::Mode::from(mode).width();
        return Ok(embedded_line_len_bytes(width.into(), args.packing.into()));
    }
    guess_embedded_line_len(bytes).ok_or_else(|| match kind_of(bytes) {
        "a file of unknown kind" => anyhow!(
            "no DNN lines were found behind embedded lines of any known length; if it is a metadata \
             buffer, say --mode or --embedded-line-len"
        ),
        kind => anyhow!("it is {kind}; only metadata buffers (run --dump-metadata) can be inspected yet"),
    })
}
