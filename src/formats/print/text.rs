//! A description as lines of text, each region under the number of its first line.

use std::fmt::{Display, Formatter, Result};

use super::{
    Description, InputDescription, NetworkText, OutputDescription, Part, TensorDescription,
};
use crate::formats::ap_params::{ApParams, Network};
use crate::formats::dnn_lines::{DnnHeader, LINE_LEN_BYTES};
use crate::formats::embedded::SensorState;
use crate::formats::tensor::{Dimension, QuantParams};

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let line_len = self.embedded_line_len_bytes;
        writeln!(
            f,
            "metadata    {} bytes, embedded lines of {line_len} bytes",
            self.metadata_len_bytes
        )?;
        match &self.embedded {
            Part::Read(state) => writeln!(f, "embedded    {}", Registers(state))?,
            Part::Refused(reason) => writeln!(f, "embedded    refused: {reason}")?,
        }
        let dnn_area_at = line_len.saturating_mul(2);
        let lines = self.dnn_line_count;
        writeln!(
            f,
            "DNN lines   {lines} x {LINE_LEN_BYTES} bytes from byte {dnn_area_at:#06x} on"
        )?;
        match &self.kpi {
            Part::Read(kpi) => {
                let (dnn, dsp) = (kpi.dnn_runtime_us, kpi.dsp_runtime_us);
                writeln!(f, "  line 0    KPI     DNN {dnn} us, DSP {dsp} us")?;
            }
            Part::Refused(reason) => writeln!(f, "  line 0    KPI     refused: {reason}")?,
        }
        match &self.input {
            Part::Read(input) => input.fmt(f)?,
            Part::Refused(reason) => writeln!(f, "  line 1    input   refused: {reason}")?,
        }
        match &self.output {
            Part::Read(output) => output.write(f, self.input.read())?,
            Part::Refused(reason) => writeln!(f, "            output  none: {reason}")?,
        }
        if let Some(line) = self.pq_line {
            writeln!(f, "  line {line:<5}PQ      not decoded")?;
            if line + 1 < lines {
                writeln!(f, "  line {:<5}        to the end: unused, may be stale", line + 1)?;
            }
        }
        Ok(())
    }
}

impl Display for InputDescription {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "  line {:<5}input   {}", self.line, Header(&self.header))?;
        write_ap_params(f, &self.ap_params)?;
        match &self.tensor {
            Part::Read(tensor) => write_tensor(f, tensor),
            Part::Refused(reason) => writeln!(f, "{INDENT}tensor refused: {reason}"),
        }
    }
}

impl OutputDescription {
    fn write(&self, f: &mut Formatter<'_>, input: Option<&InputDescription>) -> Result {
        writeln!(f, "  line {:<5}output  {}", self.line, Header(&self.header))?;
        if input.is_some_and(|input| input.ap_params == self.ap_params) {
            writeln!(f, "{INDENT}ApParams as the input's")?;
        } else {
            write_ap_params(f, &self.ap_params)?;
        }
        match &self.tensors {
            Part::Read(tensors) => tensors.iter().try_for_each(|tensor| write_tensor(f, tensor)),
            Part::Refused(reason) => writeln!(f, "{INDENT}tensors refused: {reason}"),
        }
    }
}

struct Registers<'a>(&'a SensorState);

impl Display for Registers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        // What was not sent is left out; a state without any register says so.
        let state = self.0;
        let mut parts = Vec::new();
        parts.extend(state.exposure_lines.map(|lines| format!("exposure {lines} lines")));
        parts.extend(state.analogue_gain().map(|gain| format!("analogue gain {gain:.2}")));
        parts.extend(state.frame_length_lines.map(|lines| format!("frame {lines} lines")));
        parts.extend(state.line_length_pixels.map(|pixels| format!("line {pixels} pixels")));
        parts.extend(state.temperature_celsius.map(|celsius| format!("{celsius} °C")));
        if parts.is_empty() {
            parts.push("none of the registers that the host reads".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

struct Header<'a>(&'a DnnHeader);

impl Display for Header<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let header = self.0;
        let valid = if header.frame_valid { "valid" } else { "not valid" };
        let (frame, network) = (header.frame_count, header.network_id);
        let (line_len, params) = (header.max_line_len_bytes, header.ap_params_size);
        write!(f, "frame {frame}, {valid}, network {network}, ")?;
        write!(f, "{line_len} bytes a line, ApParams {params} bytes")
    }
}

fn write_ap_params(f: &mut Formatter<'_>, params: &Part<ApParams>) -> Result {
    match params {
        Part::Read(params) => params.networks.iter().try_for_each(|n| write_network(f, n)),
        Part::Refused(reason) => writeln!(f, "{INDENT}ApParams refused: {reason}"),
    }
}

fn write_network(f: &mut Formatter<'_>, network: &Network) -> Result {
    NetworkText { network, indent: INDENT }.fmt(f)
}

impl Display for NetworkText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { network, indent } = self;
        // Names come out of the file: quoted, so that a control character cannot act.
        writeln!(f, "{indent}network {} {:?}", network.id, network.name)?;
        for tensor in &network.inputs {
            write!(f, "{indent}  input {} {:?}", tensor.id, tensor.name)?;
            writeln!(f, " {}, {}", Axes(&tensor.dimensions), Stored(8, tensor.quant))?;
        }
        for tensor in &network.outputs {
            let stored = Stored(tensor.bits_per_element, tensor.quant);
            write!(f, "{indent}  output {} {:?}", tensor.id, tensor.name)?;
            writeln!(f, " {}, {stored}", Axes(&tensor.dimensions))?;
        }
        Ok(())
    }
}

fn write_tensor(f: &mut Formatter<'_>, tensor: &TensorDescription) -> Result {
    let (first, last) = (tensor.first_line, tensor.last_line);
    let shape = by_x(&tensor.shape);
    if first == last {
        write!(f, "{INDENT}line {first}: ")?;
    } else {
        write!(f, "{INDENT}lines {first}-{last}: ")?;
    }
    write!(f, "{:?} {shape}, ", tensor.name)?;
    match &tensor.stored {
        Part::Read(stored) => {
            let (min, max, mean) = (stored.min, stored.max, stored.mean);
            writeln!(f, "stored {min} to {max}, mean {mean:.2}")
        }
        Part::Refused(reason) => writeln!(f, "refused: {reason}"),
    }
}

struct Stored(u8, QuantParams);

impl Display for Stored {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(bits, quant) = self;
        let sign = if quant.signed { "signed" } else { "unsigned" };
        let (scale, zero_point) = (quant.scale, quant.zero_point);
        write!(f, "{bits} bits {sign}, scale {scale}, zero point {zero_point}")
    }
}

/// Sizes and serialization indices in the FlatBuffer's order; padding only where there is any.
struct Axes<'a>(&'a [Dimension]);

impl Display for Axes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let sizes: Vec<_> = self.0.iter().map(|d| d.size).collect();
        let order: Vec<_> = self.0.iter().map(|d| d.serialization_index).collect();
        let padding: Vec<_> = self.0.iter().map(|d| d.padding).collect();
        write!(f, "{} serialised {order:?}", by_x(&sizes))?;
        if padding.iter().any(|&padding| padding != 0) {
            write!(f, " padding {padding:?}")?;
        }
        Ok(())
    }
}

fn by_x(sizes: &[u16]) -> String {
    sizes.iter().map(u16::to_string).collect::<Vec<_>>().join("x")
}

const INDENT: &str = "                    ";
