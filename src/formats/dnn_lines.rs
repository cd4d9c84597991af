//! Splits the DNN lines of one frame into their regions, and lays them out again.

use super::ap_params::{ApParams, Network};
use super::reader::ParseError;

/// Every DNN line in memory, fixed by the kernel driver (X_OUT).
pub const LINE_LEN_BYTES: usize = 2560;

/// Which tensor a region holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorType {
    /// What the network saw.
    Input,
    /// What the network said.
    Output,
    /// Any other value, kept for printing.
    Other(u8),
}

/// The 12 bytes that open a tensor region, as sent, stale or not. Little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnnHeader {
    /// Whether the region's body is of this frame's inference.
    pub frame_valid: bool,
    /// Counter of the frame the network saw; wraps at 256.
    pub frame_count: u8,
    /// Payload bytes used in each 2560-byte line.
    pub max_line_len_bytes: u16,
    /// Length of the ApParams FlatBuffer that follows the header.
    pub ap_params_size: u16,
    /// Which network of the ApParams.
    pub network_id: u16,
    /// Input or output.
    pub tensor_type: TensorType,
}

/// The sensor's own run times, words 9 and 10 of line 0. libcamera's text says milliseconds,
/// picamera2 divides by 1000: taken as microseconds until hardware says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kpi {
    /// DNN run time.
    pub dnn_runtime_us: u32,
    /// DSP run time.
    pub dsp_runtime_us: u32,
}

/// One tensor's region: its header line and the body lines after it.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    /// The parsed header.
    pub header: DnnHeader,
    /// Number of the header's line among the DNN lines; KPI is line 0.
    pub line: usize,
    /// From the header's line to the end of the region (the output region runs to the end of the buffer).
    pub bytes: &'a [u8],
}

impl<'a> Region<'a> {
    /// The ApParams FlatBuffer: it follows the header and may run over into the next line.
    pub fn ap_params_bytes(&self) -> Result<&'a [u8], ParseError> {
        todo!()
    }
    /// The lines that carry elements: from one line after the header to the end of the region.
    pub fn body(&self) -> Result<&'a [u8], ParseError> {
        todo!()
    }
}

/// The DNN area of one frame, split.
#[derive(Debug, Clone, Copy)]
pub struct DnnLines<'a> {
    /// Line 0.
    pub kpi: Kpi,
    /// Starts at line 1.
    pub input: Region<'a>,
    /// The next line whose header repeats the input's frame count and sizes; none if there is no such line.
    pub output: Option<Region<'a>>,
}

impl<'a> DnnLines<'a> {
    /// Splits the DNN area (the metadata buffer after the two embedded lines).
    pub fn split(dnn_area: &'a [u8]) -> Result<Self, ParseError> {
        let _ = dnn_area;
        todo!()
    }
}

/// Everything one frame's DNN lines say, to be laid out as the sensor does.
#[derive(Debug, Clone, Copy)]
pub struct DnnLinesLayout<'a> {
    /// Line 0.
    pub kpi: Kpi,
    /// Counter written into both headers.
    pub frame_count: u8,
    /// Input header's valid flag.
    pub input_valid: bool,
    /// Output header's valid flag.
    pub output_valid: bool,
    /// Network id written into both headers.
    pub network_id: u16,
    /// The FlatBuffer, as emitted.
    pub ap_params: &'a [u8],
    /// Input tensor as the sensor's byte stream: planar, with strides and padding already in it.
    pub input: &'a [u8],
    /// Output tensors' byte streams, each starting on a new line.
    pub outputs: &'a [&'a [u8]],
}

impl DnnLinesLayout<'_> {
    /// Lines needed: KPI + input (1 + ceil) + output (1 + sum of ceil) + PQ.
    #[must_use]
    pub fn line_count(&self) -> usize {
        todo!()
    }
    /// Writes all lines into `into` (resized to fit, every byte written).
    pub fn emit(&self, into: &mut Vec<u8>) {
        let _ = into;
        todo!()
    }
}

/// Network of a region, chosen as the sensor's host does: the first whose id equals the header's.
pub fn network_of<'p>(header: &DnnHeader, params: &'p ApParams) -> Option<&'p Network> {
    params.network(header.network_id)
}
