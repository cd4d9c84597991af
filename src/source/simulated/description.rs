//! How the simulated sensor describes its network to the host: the ApParams, and how many lines the
//! tensors take. Refuses a network that a real sensor or its host could not carry either.

use crate::emulator::{Network, TensorSpec};
use crate::formats::ap_params::{self, ApParams, InputTensorInfo, OutputTensorInfo};
use crate::formats::dnn_lines::{DnnHeader, LINE_LEN_BYTES};
use crate::formats::tensor::{Dimension, QuantParams};
use crate::source::SourceError;

/// What stands in front of both tensors, and their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// The FlatBuffer.
    pub(super) ap_params: Vec<u8>,
    /// Header line and body lines of the input.
    pub(super) input_lines: u16,
    /// Header line and body lines of the output.
    pub(super) output_lines: u16,
}

impl Description {
    pub(super) fn of(network: &Network) -> Result<Self, SourceError> {
        Self::of_tensors(network.input(), network.output())
    }

    fn of_tensors(input: &TensorSpec, output: &TensorSpec) -> Result<Self, SourceError> {
        if input.channels != 3 {
            return Err(refusal("input planes", input.channels, "3 (red, green, blue)"));
        }
        // The bounds of libcamera's parser.
        if !(1..=1280).contains(&input.width) {
            return Err(refusal("input width", input.width, "1 to 1280"));
        }
        if !(1..=960).contains(&input.height) {
            return Err(refusal("input height", input.height, "1 to 960"));
        }
        // Input: as the sensor's memory has it, rows fastest. Output: column-major, as every network seen.
        let input_dimensions = dimensions("input", input, |ordinal| INPUT_AXES - 1 - ordinal)?;
        let output_dimensions = dimensions("output", output, |ordinal| ordinal)?;
        let params = ApParams {
            networks: vec![ap_params::Network {
                id: NETWORK_ID,
                name: NETWORK_NAME.to_owned(),
                kind: String::new(),
                inputs: vec![InputTensorInfo {
                    id: 0,
                    name: last_chars(&input.name),
                    dimensions: input_dimensions,
                    quant: quant("zero point of the input", input)?,
                }],
                outputs: vec![OutputTensorInfo {
                    id: 0,
                    name: last_chars(&output.name),
                    dimensions: output_dimensions,
                    bits_per_element: 8,
                    quant: quant("zero point of the output", output)?,
                }],
            }],
        };
        let ap_params = params.emit();
        let room = LINE_LEN_BYTES - DnnHeader::LEN_BYTES;
        if ap_params.len() > room {
            return Err(refusal(
                "ApParams bytes",
                ap_params.len(),
                "at most 2548, the rest of a line",
            ));
        }
        Ok(Self {
            ap_params,
            input_lines: lines("input lines", input)?,
            output_lines: lines("output lines", output)?,
        })
    }

    /// KPI, input, output and PQ.
    pub(super) fn dnn_lines(&self) -> u16 {
        1 + self.input_lines + self.output_lines + 1
    }
}

/// C, H, W as ordinals 0, 1, 2; `place` gives each its place in memory.
fn dimensions(
    tensor: &'static str,
    spec: &TensorSpec,
    place: impl Fn(u8) -> u8,
) -> Result<Vec<Dimension>, SourceError> {
    [(0, spec.channels), (1, spec.height), (2, spec.width)]
        .into_iter()
        .map(|(ordinal, size)| {
            let fits = u16::try_from(size).ok().filter(|&size| size > 0);
            let size = fits.ok_or_else(|| {
                refusal(&format!("size of {tensor} axis {ordinal}"), size, "1 to 65535")
            })?;
            Ok(Dimension { ordinal, size, serialization_index: place(ordinal), padding: 0 })
        })
        .collect()
}

fn quant(what: &str, spec: &TensorSpec) -> Result<QuantParams, SourceError> {
    let TensorSpec { scale, zero_point, signed, .. } = *spec;
    match u16::try_from(zero_point) {
        Ok(zero_point) => Ok(QuantParams { scale, zero_point, signed }),
        Err(_) => Err(refusal(what, zero_point, "0 or more, as the sensor stores it")),
    }
}

/// As the packager of real networks does.
fn last_chars(name: &str) -> String {
    let skipped = name.chars().count().saturating_sub(TENSOR_NAME_CHARS);
    name.chars().skip(skipped).collect()
}

fn lines(what: &'static str, spec: &TensorSpec) -> Result<u16, SourceError> {
    let count = 1 + spec.len_bytes().div_ceil(LINE_LEN_BYTES);
    u16::try_from(count)
        .ok()
        .filter(|&count| count < LINES_LIMIT)
        .ok_or_else(|| refusal(what, count, "fewer than 2046, the driver's limit"))
}

fn refusal(what: &str, got: impl std::fmt::Display, want: &str) -> SourceError {
    SourceError::Network(format!(
        "the sensor cannot run this network: {what}: got {got}, want {want}; export it for another size"
    ))
}

/// Any number would do, but 0 is what damaged bytes look like.
pub(super) const NETWORK_ID: u16 = 1;
const NETWORK_NAME: &str = "qsegment";
const TENSOR_NAME_CHARS: usize = 20;
const INPUT_AXES: u8 = 3;
/// The driver refuses larger values of registers 0x305e and 0x3060.
const LINES_LIMIT: u16 = 2046;

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(channels: usize, height: usize, width: usize) -> TensorSpec {
        let name = "a/rather/long/name/of/a/tensor".to_owned();
        TensorSpec {
            name,
            channels,
            height,
            width,
            scale: 1.0 / 256.0,
            zero_point: 0,
            signed: false,
        }
    }

    #[test]
    fn describes_a_network_as_the_host_reads_it() {
        let mut output = spec(1, 320, 320);
        output.signed = true;
        let got = Description::of_tensors(&spec(3, 320, 320), &output).unwrap();
        // 307,200 / 2560 and 102,400 / 2560, each with its header
        assert_eq!((got.input_lines, got.output_lines, got.dnn_lines()), (121, 41, 164));
        let params = ApParams::parse(&got.ap_params).unwrap();
        let network = params.network(NETWORK_ID).unwrap();
        let axes = |dimensions: &[Dimension]| -> Vec<(u8, u16, u8)> {
            dimensions.iter().map(|d| (d.ordinal, d.size, d.serialization_index)).collect()
        };
        assert_eq!(axes(&network.inputs[0].dimensions), [(0, 3, 2), (1, 320, 1), (2, 320, 0)]);
        assert_eq!(axes(&network.outputs[0].dimensions), [(0, 1, 0), (1, 320, 1), (2, 320, 2)]);
        assert_eq!(network.inputs[0].name, "g/name/of/a/tensor"[..].replacen("g/", "ong/", 1));
        assert!(!network.inputs[0].quant.signed && network.outputs[0].quant.signed);
        assert_eq!(network.outputs[0].bits_per_element, 8);
    }

    #[test]
    fn refuses_what_no_sensor_carries() {
        let said = |input: TensorSpec, output: TensorSpec| {
            Description::of_tensors(&input, &output).unwrap_err().to_string()
        };
        assert_eq!(
            said(spec(1, 320, 320), spec(1, 320, 320)),
            "the sensor cannot run this network: input planes: got 1, want 3 (red, green, blue); \
             export it for another size"
        );
        for (input, output, field) in [
            (spec(3, 320, 1281), spec(1, 8, 8), "input width: got 1281"),
            (spec(3, 961, 320), spec(1, 8, 8), "input height: got 961"),
            (spec(3, 0, 320), spec(1, 8, 8), "input height: got 0"),
            (spec(3, 8, 8), spec(1, 0, 8), "size of output axis 1: got 0"),
            (spec(3, 8, 8), spec(1, 65_536, 8), "size of output axis 1: got 65536"),
            (spec(3, 8, 8), spec(21, 500, 500), "output lines: got 2052"),
        ] {
            let said = said(input, output);
            assert!(said.contains(field), "{said}");
        }
    }
}
