//! A metadata buffer of the sensor.

use anyhow::{Context, anyhow};
use qsegment::formats::embedded::embedded_line_len_bytes;
use qsegment::formats::metadata::guess_embedded_line_len;
use qsegment::formats::print::Description;
use qsegment::source::simulated::timing;

use super::{InspectArgs, Inspected};
use crate::cli::kind::kind_of;
use crate::cli::out::Out;
use crate::cli::{Failure, Form, read};

/// Prints the buffer; damage in it is shown, not judged.
pub(super) fn inspect(args: &InspectArgs, form: Form, out: &mut Out) -> Result<bool, Failure> {
    let file = args.file.display();
    let bytes =
        read::at_most(&args.file, &file, MAX_LEN_BYTES, "a metadata buffer is at most 10 MiB")?;
    let line_len =
        embedded_line_len(args, &bytes).with_context(|| format!("cannot inspect {file}"))?;
    let description = Description::new(&bytes, line_len);
    match form {
        Form::Text => out.line(description.to_string().trim_end())?,
        Form::Json => out.json(&Inspected::new(args, "metadata buffer", description))?,
    }
    Ok(true)
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
             buffer, say --mode or --embedded-line-len; if it is a damaged .rpk, its first four bytes \
             are not 9464"
        ),
        kind => anyhow!(
            "it is {kind}; give an .rpk, a packerOut.zip, an ONNX network or a metadata buffer"
        ),
    })
}
