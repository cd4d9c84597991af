//! The converter's packerOut.zip, and the .rpk that would be made of it.

use std::fs::File;
use std::io::BufReader;

use anyhow::Context;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::packer_out::PackerOut;
use qsegment::formats::print::NetworkText;
use serde::Serialize;

use super::rpk::Parts;
use super::verdict::Verdict;
use super::{InspectArgs, Inspected};
use crate::cli::out::Out;
use crate::cli::{Failure, Form};

#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    packer_out: PackerOut,
    /// Length of the .rpk made of it, without intrinsics.
    rpk_len_bytes: usize,
    verdict: Verdict,
}

/// Whether the .rpk made of it would be accepted.
pub(super) fn inspect(args: &InspectArgs, form: Form, out: &mut Out) -> Result<bool, Failure> {
    let shown = args.file.display();
    let file = File::open(&args.file).with_context(|| format!("cannot open {shown}"))?;
    let cannot = || format!("{shown} cannot be packed");
    let packer_out = PackerOut::read(BufReader::new(file)).with_context(cannot)?;
    let params = packer_out.dnn_params.ap_params();
    // The colour order changes no length and no answer.
    let rpk = packer_out.clone().into_rpk(ColourOrder::Rgb).with_context(cannot)?.emit();
    let damage = Parts::new(&rpk).damage();
    let verdict = Verdict::new(&rpk, damage, params.networks.first(), args.model.as_deref())?;
    let accepted = verdict.accepted();
    let described = Described { packer_out, rpk_len_bytes: rpk.len(), verdict };
    match form {
        Form::Json => out.json(&Inspected::new(args, "packerOut.zip", described))?,
        Form::Text => {
            let mut lines = described.lines();
            if let Some(network) = params.networks.first() {
                let text = NetworkText { network, indent: "  " }.to_string();
                lines.push("tensors".to_owned());
                lines.extend(text.lines().map(str::to_owned));
            }
            lines.push(format!("rpk         would have {} bytes, and be judged so:", rpk.len()));
            lines.extend(described.verdict.lines());
            out.line(lines.join("\n"))?;
        }
    }
    Ok(accepted)
}

impl Described {
    fn lines(&self) -> Vec<String> {
        let PackerOut { release_version, dnn_params, parts, unlisted } = &self.packer_out;
        let [major, minor, patch] = release_version;
        let mut lines =
            vec![format!("packerOut   converter {major}.{minor}.{patch}, every md5 right")];
        for part in parts {
            let address = part.load_address.map_or(String::new(), |at| format!(" to {at:#010x}"));
            lines.push(format!("  {:<17} {:>8} bytes{address}", part.file, part.len_bytes));
        }
        if !unlisted.is_empty() {
            lines.push(format!("  not in the manifest: {}", unlisted.join(", ")));
        }
        lines.push(format!("memory      {}", dnn_params.l2_memory));
        lines
    }
}
