//! Output tensors: elements over the lines, put into ordinal order.

use super::ap_params::OutputTensorInfo;
use super::reader::ParseError;

/// Where one output tensor lies in the body, and how its elements are ordered. Checked once per network.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputLayout {
    /// As described by ApParams.
    pub info: OutputTensorInfo,
    /// First body line of this tensor (0 is the line after the header).
    pub first_line: usize,
    /// Elements.
    pub elements: usize,
}

impl OutputLayout {
    /// Lays out all output tensors of a network, each on a new line. Refuses padding, bits other than 8, 16, 32,
    /// zero or overflowing sizes, more than 3 dimensions where reordering is needed.
    pub fn all(
        outputs: &[OutputTensorInfo],
        max_line_len_bytes: usize,
    ) -> Result<Vec<Self>, ParseError> {
        let _ = (outputs, max_line_len_bytes);
        todo!()
    }
    /// Copies the raw little-endian elements in ordinal order (ordinal 0 fastest: column-major),
    /// `elements * bits / 8` bytes. `into` is reused without allocation.
    pub fn copy_raw(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let _ = (body, max_line_len_bytes, into);
        todo!()
    }
    /// The same as real values, `(raw - zero_point) * scale` in f32.
    pub fn dequantize(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<f32>,
    ) -> Result<(), ParseError> {
        let _ = (body, max_line_len_bytes, into);
        todo!()
    }
}
