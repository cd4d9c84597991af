//! Splits the DNN lines of one frame into their regions, and lays them out again.
//!
//! ```text
//!   line 0        KPI
//!   line 1..x     input tensor    DnnHeader, ApParams; body from the next line on
//!   line x..N-1   output tensor   x is not written anywhere: it is the next line whose header
//!                                 repeats the input's frame count and sizes
//!   line N-1      PQ              carried, not decoded; lines behind it may be stale
//! ```
//!
//! A header says what its sender said, stale or not: `frame_valid` false with a body from an
//! earlier frame is ordinary when the network is slower than the frame rate. Which input belongs to
//! which output is decided in the pipeline.

use super::ap_params::{ApParams, Network};
use super::reader::{ParseError, Reader};

/// Every DNN line in memory, fixed by the kernel driver (X_OUT).
pub const LINE_LEN_BYTES: usize = 2560;

/// Which tensor a region holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorType {
    /// What the network saw.
    Input,
    /// What the network said.
    Output,
    /// Any other value, kept for printing.
    Other(u8),
}

/// The 12 bytes that open a tensor region, as sent, stale or not. Little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
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

impl DnnHeader {
    /// Bytes of a header.
    pub const LEN_BYTES: usize = 12;

    /// Reads the 12 bytes; the last three are reserved and ignored.
    pub fn parse(r: &mut Reader<'_>) -> Result<Self, ParseError> {
        let header = Self {
            frame_valid: r.u8("frame_valid")? != 0,
            frame_count: r.u8("frame_count")?,
            max_line_len_bytes: r.u16_le("max_line_len")?,
            ap_params_size: r.u16_le("ap_param_size")?,
            network_id: r.u16_le("network_id")?,
            tensor_type: match r.u8("tensor_type")? {
                0 => TensorType::Input,
                1 => TensorType::Output,
                other => TensorType::Other(other),
            },
        };
        r.take(3, "reserved")?;
        Ok(header)
    }

    /// The 12 bytes, reserved ones 0.
    #[must_use]
    pub fn emit(&self) -> [u8; Self::LEN_BYTES] {
        let [line_lo, line_hi] = self.max_line_len_bytes.to_le_bytes();
        let [ap_lo, ap_hi] = self.ap_params_size.to_le_bytes();
        let [id_lo, id_hi] = self.network_id.to_le_bytes();
        let valid = u8::from(self.frame_valid);
        let kind = self.tensor_type.code();
        [valid, self.frame_count, line_lo, line_hi, ap_lo, ap_hi, id_lo, id_hi, kind, 0, 0, 0]
    }

    /// Whether `self` opens the output region that belongs to the input region `input` opens. The
    /// network id is not compared, as libcamera does not.
    fn continues(&self, input: &Self) -> bool {
        self.tensor_type == TensorType::Output
            && self.frame_count == input.frame_count
            && self.ap_params_size == input.ap_params_size
            && self.max_line_len_bytes == input.max_line_len_bytes
    }
}

impl TensorType {
    fn code(self) -> u8 {
        match self {
            Self::Input => 0,
            Self::Output => 1,
            Self::Other(code) => code,
        }
    }
}

/// The sensor's own run times, words 9 and 10 of line 0. libcamera's text says milliseconds,
/// picamera2 divides by 1000: taken as microseconds until hardware says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Kpi {
    /// DNN run time.
    pub dnn_runtime_us: u32,
    /// DSP run time.
    pub dsp_runtime_us: u32,
}

impl Kpi {
    /// Reads a KPI line; only words 9 and 10 are known.
    pub fn parse(r: &mut Reader<'_>) -> Result<Self, ParseError> {
        r.take(4 * KPI_DNN_WORD, "KPI words 0 to 8")?;
        Ok(Self {
            dnn_runtime_us: r.u32_le("DNN runtime")?,
            dsp_runtime_us: r.u32_le("DSP runtime")?,
        })
    }
}

/// One tensor's region: its header line and the body lines after it.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    /// The parsed header.
    pub header: DnnHeader,
    /// Number of the header's line among the DNN lines; KPI is line 0.
    pub line: usize,
    /// From the header's line to the end of the region (the output region runs to the end of the
    /// buffer).
    pub bytes: &'a [u8],
}

impl<'a> Region<'a> {
    /// The ApParams FlatBuffer: it follows the header and may run over into the next line.
    pub fn ap_params_bytes(&self) -> Result<&'a [u8], ParseError> {
        let mut r = Reader::at(self.bytes, DnnHeader::LEN_BYTES).with_base(self.offset());
        r.take(usize::from(self.header.ap_params_size), "ApParams")
    }

    /// The lines that carry elements: from one line after the header to the end of the region.
    pub fn body(&self) -> Result<&'a [u8], ParseError> {
        self.bytes.get(LINE_LEN_BYTES..).ok_or(ParseError::Truncated {
            field: "tensor header line",
            offset: self.offset(),
            got: self.bytes.len(),
            want: LINE_LEN_BYTES,
        })
    }

    /// Where the region begins in the DNN area.
    fn offset(&self) -> usize {
        self.line * LINE_LEN_BYTES
    }
}

/// The DNN area of one frame, split.
#[derive(Debug, Clone, Copy)]
pub struct DnnLines<'a> {
    /// Line 0.
    pub kpi: Kpi,
    /// Starts at line 1.
    pub input: Region<'a>,
    /// The next line whose header repeats the input's frame count and sizes; none if there is no
    /// such line.
    pub output: Option<Region<'a>>,
}

impl<'a> DnnLines<'a> {
    /// Splits the DNN area (the metadata buffer after the two embedded lines). Allocates nothing.
    pub fn split(dnn_area: &'a [u8]) -> Result<Self, ParseError> {
        Reader::new(dnn_area).take(LINE_LEN_BYTES, "KPI line")?;
        Reader::at(dnn_area, LINE_LEN_BYTES).take(LINE_LEN_BYTES, "input header line")?;
        let kpi = Kpi::parse(&mut Reader::new(dnn_area))?;
        let header = DnnHeader::parse(&mut Reader::at(dnn_area, LINE_LEN_BYTES))?;
        if header.tensor_type != TensorType::Input {
            return Err(ParseError::Value {
                field: "tensor_type of the input",
                offset: LINE_LEN_BYTES + TENSOR_TYPE_OFFSET,
                got: u64::from(header.tensor_type.code()),
                want: "0 (input)",
            });
        }
        let output = find_output(dnn_area, &header);
        let input_end = output.map_or(dnn_area.len(), |output| output.offset());
        let input = Region { header, line: 1, bytes: &dnn_area[LINE_LEN_BYTES..input_end] };
        Ok(Self { kpi, input, output })
    }
}

fn find_output<'a>(dnn_area: &'a [u8], input: &DnnHeader) -> Option<Region<'a>> {
    let lines = (2..).map(|line| (line, line * LINE_LEN_BYTES));
    for (line, offset) in lines.take_while(|&(_, offset)| offset < dnn_area.len()) {
        // A cut last line may be too short for a header: then there is none.
        let header = DnnHeader::parse(&mut Reader::at(dnn_area, offset)).ok()?;
        if header.continues(input) {
            return Some(Region { header, line, bytes: &dnn_area[offset..] });
        }
    }
    None
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
    /// The FlatBuffer, as emitted. What does not fit into a header line (2548 bytes) is left out:
    /// the body always starts on the next line.
    pub ap_params: &'a [u8],
    /// Input tensor as the sensor's byte stream: planar, with strides and padding already in it.
    /// Written whether or not `input_valid`; with the flag off it is what a stale buffer holds.
    pub input: &'a [u8],
    /// Output tensors' byte streams, each starting on a new line. Empty: no output region at all,
    /// not even its header.
    pub outputs: &'a [&'a [u8]],
}

impl DnnLinesLayout<'_> {
    /// Lines needed: KPI + input (1 + ceil) + output (1 + sum of ceil) + PQ.
    #[must_use]
    pub fn line_count(&self) -> usize {
        let input = 1 + self.input.len().div_ceil(LINE_LEN_BYTES);
        let bodies: usize = self.outputs.iter().map(|o| o.len().div_ceil(LINE_LEN_BYTES)).sum();
        let output = if self.outputs.is_empty() { 0 } else { 1 + bodies };
        1 + input + output + 1
    }

    /// Writes all lines into `into` (resized to fit, every byte written).
    pub fn emit(&self, into: &mut Vec<u8>) {
        into.clear();
        self.append(into);
    }

    /// Writes all lines after what `into` holds already, such as the two embedded lines.
    pub fn append(&self, into: &mut Vec<u8>) {
        let start = into.len();
        into.resize(start + self.line_count() * LINE_LEN_BYTES, 0);
        let lines = &mut into[start..];
        let (kpi_line, lines) = lines.split_at_mut(LINE_LEN_BYTES);
        let kpi = [self.kpi.dnn_runtime_us.to_le_bytes(), self.kpi.dsp_runtime_us.to_le_bytes()];
        kpi_line[4 * KPI_DNN_WORD..][..8].copy_from_slice(kpi.as_flattened());
        let lines = self.emit_region(TensorType::Input, self.input_valid, &[self.input], lines);
        if !self.outputs.is_empty() {
            self.emit_region(TensorType::Output, self.output_valid, self.outputs, lines);
        }
    }

    /// Writes one header line and the bodies after it; gives back the lines that follow.
    fn emit_region<'l>(
        &self,
        tensor_type: TensorType,
        frame_valid: bool,
        bodies: &[&[u8]],
        lines: &'l mut [u8],
    ) -> &'l mut [u8] {
        let header = DnnHeader {
            frame_valid,
            frame_count: self.frame_count,
            max_line_len_bytes: FULL_LINE,
            ap_params_size: u16::try_from(self.ap_params.len()).unwrap_or(u16::MAX),
            network_id: self.network_id,
            tensor_type,
        };
        let (line, mut lines) = lines.split_at_mut(LINE_LEN_BYTES);
        let (start, room) = line.split_at_mut(DnnHeader::LEN_BYTES);
        start.copy_from_slice(&header.emit());
        let fitting = self.ap_params.len().min(room.len());
        room[..fitting].copy_from_slice(&self.ap_params[..fitting]);
        for body in bodies {
            let whole_lines = body.len().next_multiple_of(LINE_LEN_BYTES);
            let (place, rest) = lines.split_at_mut(whole_lines);
            place[..body.len()].copy_from_slice(body);
            lines = rest;
        }
        lines
    }
}

/// Network of a region, chosen as the sensor's host does: the first whose id equals the header's.
pub fn network_of<'p>(header: &DnnHeader, params: &'p ApParams) -> Option<&'p Network> {
    params.network(header.network_id)
}

/// Word of the KPI line that holds the DNN run time; the DSP run time is the next.
const KPI_DNN_WORD: usize = 9;
/// Byte of the header that holds the tensor type.
const TENSOR_TYPE_OFFSET: usize = 8;
/// `max_line_len` that the line counts of every `.rpk` seen imply: all 2560 bytes are payload.
const FULL_LINE: u16 = 2560;
