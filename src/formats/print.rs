//! Says what a metadata buffer holds, part by part; what is refused is stated and the rest still
//! read.
//!
//! ```text
//! metadata    22990 bytes, embedded lines of 2535 bytes
//! embedded    exposure 1000 lines, analogue gain 2.00, frame 2653 lines, line 9398 pixels, 35 °C
//! DNN lines   7 x 2560 bytes from byte 0x13ce on
//!   line 0    KPI     DNN 50000 us, DSP 1000 us
//!   line 1    input   frame 42, valid, network 7, 2560 bytes a line, ApParams 436 bytes
//!                     ...
//! ```
//!
//! A [`Description`] is both this text (`Display`) and the JSON of the same (`serde::Serialize`).

use serde::Serialize;

use super::ap_params::{ApParams, Network};
use super::dnn_lines::{DnnHeader, DnnLines, Kpi, LINE_LEN_BYTES, Region, network_of};
use super::embedded::SensorState;
use super::input_tensor::InputLayout;
use super::line_stream;
use super::metadata;
use super::output_tensor::OutputLayout;
use super::reader::{ParseError, Reader};
use super::tensor::{Dimension, QuantParams};

mod text;

/// What a metadata buffer holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Length of the whole buffer.
    pub metadata_len_bytes: usize,
    /// E, as the caller stated it.
    pub embedded_line_len_bytes: usize,
    /// Registers in the embedded lines.
    pub embedded: Part<SensorState>,
    /// Whole lines in the DNN area.
    pub dnn_line_count: usize,
    /// Line 0.
    pub kpi: Part<Kpi>,
    /// From line 1 on.
    pub input: Part<InputDescription>,
    /// From the next header line on.
    pub output: Part<OutputDescription>,
    /// Line after the last output tensor, where it can be told and is in the buffer. Not decoded.
    pub pq_line: Option<usize>,
}

/// A part that could be read, or why not. Offsets in the reason count from the beginning of what is
/// parsed: the embedded lines, the DNN area, the ApParams, the region's body.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part<T> {
    /// What it says.
    Read(T),
    /// Why it says nothing.
    Refused(String),
}

/// The input tensor's region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InputDescription {
    /// Number of the header's line.
    pub line: usize,
    /// As sent.
    pub header: DnnHeader,
    /// All networks and their tensors.
    pub ap_params: Part<ApParams>,
    /// The first input tensor of the header's network.
    pub tensor: Part<TensorDescription>,
}

/// The output tensors' region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputDescription {
    /// Number of the header's line.
    pub line: usize,
    /// As sent.
    pub header: DnnHeader,
    /// All networks and their tensors; the same as the input's in an undamaged buffer.
    pub ap_params: Part<ApParams>,
    /// All output tensors of the header's network.
    pub tensors: Part<Vec<TensorDescription>>,
}

/// One tensor and the values stored for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorDescription {
    /// As in the ApParams.
    pub name: String,
    /// Sizes by ordinal.
    pub shape: Vec<u16>,
    /// 8, 16 or 32.
    pub bits_per_element: u8,
    /// Meaning of the stored integers.
    pub quant: QuantParams,
    /// First body line, counted like the header lines.
    pub first_line: usize,
    /// Last body line.
    pub last_line: usize,
    /// Of the stored integers, before scale and zero point.
    pub stored: Part<Statistics>,
}

/// A network and its tensors as lines of text, each behind `indent`.
#[derive(Debug, Clone, Copy)]
pub struct NetworkText<'a> {
    /// What is printed.
    pub network: &'a Network,
    /// What every line begins with.
    pub indent: &'a str,
}

/// Range and mean of integers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// Smallest.
    pub min: i64,
    /// Largest.
    pub max: i64,
    /// Mean.
    pub mean: f64,
}

impl Description {
    /// Reads all that can be read of `metadata`, whose embedded lines are `embedded_line_len_bytes`
    /// long. Allocates at most four times the buffer's length and four times
    /// [`super::ap_params::MAX_PARSED_LEN_BYTES`], whatever the bytes say.
    #[must_use]
    pub fn new(metadata: &[u8], embedded_line_len_bytes: usize) -> Self {
        let split = metadata::split(metadata, embedded_line_len_bytes);
        let dnn_area = split.as_ref().map_or(&[][..], |&(_, dnn_area)| dnn_area);
        let line_count = dnn_area.len() / LINE_LEN_BYTES;
        let embedded =
            split.and_then(|(lines, _)| SensorState::parse(lines, embedded_line_len_bytes));
        let kpi = Kpi::parse(&mut Reader::new(dnn_area));
        let (input, output) = match DnnLines::split(dnn_area) {
            Ok(lines) => {
                let output = match &lines.output {
                    Some(region) => Part::Read(OutputDescription::new(region)),
                    None => Part::Refused(NO_OUTPUT.to_owned()),
                };
                (Part::Read(InputDescription::new(&lines.input)), output)
            }
            Err(error) => (Part::Refused(error.to_string()), Part::Refused(NO_INPUT.to_owned())),
        };
        let pq_line = output.read().and_then(OutputDescription::next_line);
        Self {
            metadata_len_bytes: metadata.len(),
            embedded_line_len_bytes,
            embedded: embedded.into(),
            dnn_line_count: line_count,
            kpi: kpi.into(),
            input,
            output,
            pq_line: pq_line.filter(|&line| line < line_count),
        }
    }
}

impl InputDescription {
    fn new(region: &Region<'_>) -> Self {
        let ap_params = region.ap_params_bytes().and_then(ApParams::parse);
        let tensor = match network(region, &ap_params) {
            Ok(network) => input_tensor(region, network).into(),
            Err(reason) => Part::Refused(reason),
        };
        Self { line: region.line, header: region.header, ap_params: ap_params.into(), tensor }
    }
}

fn input_tensor(region: &Region<'_>, network: &Network) -> Result<TensorDescription, ParseError> {
    let info = network.inputs.first().ok_or(ParseError::Tensor {
        field: "number of input tensors",
        tensor: 0,
        got: 0,
        want: "1 or more",
    })?;
    let layout = InputLayout::new(info)?;
    let line_len = usize::from(region.header.max_line_len_bytes);
    let lines = line_stream::line_count(layout.stream_len_bytes(), line_len)?;
    let mut raw = Vec::new();
    let copied = region.body().and_then(|body| layout.copy_planar(body, line_len, &mut raw));
    Ok(TensorDescription {
        name: info.name.clone(),
        shape: shape(&info.dimensions),
        bits_per_element: 8,
        quant: info.quant,
        first_line: region.line + 1,
        last_line: region.line + lines,
        stored: copied.map(|()| Statistics::of(&raw, 8, info.quant.signed)).into(),
    })
}

impl OutputDescription {
    fn new(region: &Region<'_>) -> Self {
        let ap_params = region.ap_params_bytes().and_then(ApParams::parse);
        let tensors = match network(region, &ap_params) {
            Ok(network) => output_tensors(region, network).into(),
            Err(reason) => Part::Refused(reason),
        };
        Self { line: region.line, header: region.header, ap_params: ap_params.into(), tensors }
    }

    /// The line after the last tensor.
    fn next_line(&self) -> Option<usize> {
        Some(self.tensors.read()?.last().map_or(self.line, |last| last.last_line) + 1)
    }
}

fn output_tensors(
    region: &Region<'_>,
    network: &Network,
) -> Result<Vec<TensorDescription>, ParseError> {
    let line_len = usize::from(region.header.max_line_len_bytes);
    let layouts = OutputLayout::all(&network.outputs, line_len)?;
    let mut raw = Vec::new();
    let mut tensors = Vec::with_capacity(layouts.len());
    for layout in layouts {
        let copied = region.body().and_then(|body| layout.copy_raw(body, line_len, &mut raw));
        let (bits, signed) = (layout.info.bits_per_element, layout.info.quant.signed);
        let first_line = region.line + 1 + layout.first_line;
        tensors.push(TensorDescription {
            first_line,
            last_line: first_line + line_stream::line_count(layout.len_bytes(), line_len)? - 1,
            stored: copied.map(|()| Statistics::of(&raw, bits, signed)).into(),
            shape: shape(&layout.info.dimensions),
            bits_per_element: bits,
            quant: layout.info.quant,
            name: layout.info.name,
        });
    }
    Ok(tensors)
}

fn shape(dimensions: &[Dimension]) -> Vec<u16> {
    let mut dimensions = dimensions.to_vec();
    dimensions.sort_by_key(|dimension| dimension.ordinal);
    dimensions.iter().map(|dimension| dimension.size).collect()
}

fn network<'p>(
    region: &Region<'_>,
    ap_params: &'p Result<ApParams, ParseError>,
) -> Result<&'p Network, String> {
    let params = ap_params.as_ref().map_err(|_| "ApParams refused, see there".to_owned())?;
    network_of(&region.header, params).ok_or_else(|| {
        let ids: Vec<_> = params.networks.iter().map(|network| network.id).collect();
        format!("network {}: not among those of the ApParams, {ids:?}", region.header.network_id)
    })
}

impl Statistics {
    /// Of little-endian elements; none are all 0.
    fn of(raw: &[u8], bits_per_element: u8, signed: bool) -> Self {
        let (mut min, mut max, mut sum, mut count) = (i64::MAX, i64::MIN, 0_i64, 0_u32);
        for element in raw.chunks_exact(usize::from(bits_per_element / 8)) {
            let value = stored(element, signed);
            min = min.min(value);
            max = max.max(value);
            sum += value; // at most 5.2 million elements below 2^32: far below 2^63
            count += 1;
        }
        if count == 0 {
            return Self { min: 0, max: 0, mean: 0.0 };
        }
        Self { min, max, mean: sum as f64 / f64::from(count) }
    }
}

/// The integer of a little-endian element of up to 4 bytes.
fn stored(element: &[u8], signed: bool) -> i64 {
    let wide = element.iter().rev().fold(0_i64, |high, &byte| high << 8 | i64::from(byte));
    // Up and down again carries the element's sign bit into the upper bytes.
    let unused_bits = if signed { 64 - 8 * element.len() } else { 0 };
    wide << unused_bits >> unused_bits
}

impl<T> Part<T> {
    /// The part, if it could be read.
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(part) => Some(part),
            Self::Refused(_) => None,
        }
    }
}

impl<T> From<Result<T, ParseError>> for Part<T> {
    fn from(result: Result<T, ParseError>) -> Self {
        match result {
            Ok(part) => Self::Read(part),
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

const NO_OUTPUT: &str =
    "no later line has a header of type 1 (output) that repeats the input's frame count and sizes";
const NO_INPUT: &str = "not looked for: there is no input header for it to repeat";
