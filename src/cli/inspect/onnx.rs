//! An ONNX network: what is in it, and whether it can be converted.

use anyhow::Context;
use qsegment::emulator::preflight::{Answer, Options, Preflight};
use qsegment::emulator::survey::{Survey, TensorFacts};
use serde::Serialize;

use super::{InspectArgs, Inspected};
use crate::cli::builtin::sha256_hex;
use crate::cli::out::Out;
use crate::cli::{Failure, Form, read};

#[derive(Serialize)]
struct Onnx {
    sha256: String,
    len_bytes: usize,
    survey: Survey,
    preflight: Preflight,
}

/// Whether the converter is expected to take it.
pub(super) fn inspect(args: &InspectArgs, form: Form, out: &mut Out) -> Result<bool, Failure> {
    let shown = args.file.display();
    let bytes = read::at_most(&args.file, &shown, read::MAX_ONNX_BYTES, read::ONNX_REASON)?;
    let survey = Survey::new(&bytes).with_context(|| format!("cannot inspect {shown}"))?;
    let options = Options { input_persistency: !args.no_input_persistency };
    let preflight = Preflight::of(&survey, options);
    let accepted = preflight.answer != Answer::No;
    let onnx = Onnx { sha256: sha256_hex(&bytes), len_bytes: bytes.len(), survey, preflight };
    match form {
        Form::Text => out.line(text(&onnx))?,
        Form::Json => out.json(&Inspected::new(args, "ONNX network", onnx))?,
    }
    Ok(accepted)
}

fn text(onnx: &Onnx) -> String {
    let Onnx { sha256, len_bytes, survey, preflight } = onnx;
    let opsets = survey.opsets.iter().map(|(domain, version)| match domain.as_str() {
        "" => format!("onnx {version}"),
        domain => format!("{domain} {version}"),
    });
    let opsets = opsets.collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        format!("ONNX        {} network, {len_bytes} bytes, sha256 {sha256}", survey.kind.name()),
        format!("made by     {:?}, operator sets {opsets}", survey.producer),
    ];
    lines.extend(survey.inputs.iter().map(|input| format!("input       {}", tensor(input))));
    lines.extend(survey.outputs.iter().map(|output| format!("output      {}", tensor(output))));
    let operators = survey.operators.iter().map(|(name, count)| format!("{count} {name}"));
    lines.push(format!("operators   {}", operators.collect::<Vec<_>>().join(", ")));
    let macs = survey.macs.map_or_else(|| "unknown".to_owned(), |macs| macs.to_string());
    lines
        .push(format!("size        {} parameters, {macs} multiply-accumulates", survey.parameters));
    if let Some(memory) = &preflight.memory {
        lines.push(format!(
            "memory      {} of {} bytes ({} %): tensors {}, weights {}; estimated, within 3 %",
            memory.total_bytes,
            memory.available_bytes,
            memory.total_bytes * 100 / memory.available_bytes,
            memory.runtime_bytes,
            memory.weight_bytes
        ));
    }
    if let Some([input, output]) = preflight.lines {
        lines.push(format!("lines       input {input}, output {output}"));
    }
    lines.push(format!("verdict     can Sony's converter take it? {}", preflight.answer.name()));
    for reason in &preflight.reasons {
        lines.push(format!("            {}: {}", reason.answer.name(), reason.text));
    }
    lines.join("\n")
}

fn tensor(facts: &TensorFacts) -> String {
    let axis = |axis: &Option<u64>| axis.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let shape = facts.shape.iter().map(axis).collect::<Vec<_>>().join("x");
    let stored = facts.quantiser.map_or_else(
        || "not quantised".to_owned(),
        |q| {
            let sign = if q.signed { "signed" } else { "unsigned" };
            format!("{} bits {sign}, scale {}", q.bits, q.scale)
        },
    );
    let maker =
        facts.made_by.as_ref().map(|maker| format!(", made by {maker}")).unwrap_or_default();
    format!("{:?} {shape}, {stored}{maker}", facts.name)
}
