//! The input tensor: planar, padded, over the lines of its region.

use super::ap_params::InputTensorInfo;
use super::reader::ParseError;

/// Order of the colour planes, `inputTensorFormat` of network_info.txt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourOrder {
    /// Plane 0 is red.
    #[default]
    Rgb,
    /// Plane 0 is blue.
    Bgr,
}

/// Geometry of an input tensor, checked (at most 1280 x 960, 1, 3 or 4 planes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputLayout {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Planes.
    pub channels: usize,
    /// Bytes a row in the stream.
    pub width_stride: usize,
    /// Rows a plane in the stream.
    pub height_stride: usize,
    /// Stored bytes are two's complement; a pixel is then `byte ^ 0x80`.
    pub signed: bool,
}

impl InputLayout {
    /// Reads the geometry out of ApParams, by serialization index 0 = width, 1 = height, 2 = channels.
    pub fn new(info: &InputTensorInfo) -> Result<Self, ParseError> {
        let _ = info;
        todo!()
    }
    /// Copies the tensor out of its body lines: raw bytes, planar, row-major, `channels * height * width`.
    /// `into` is resized once and then reused without allocation.
    pub fn copy_planar(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let _ = (body, max_line_len_bytes, into);
        todo!()
    }
    /// Turns raw planar bytes into interleaved RGB pixels, `height * width * 3`. One plane becomes grey.
    pub fn to_rgb(&self, planar: &[u8], order: ColourOrder, into: &mut Vec<u8>) {
        let _ = (planar, order, into);
        todo!()
    }
    /// The other way for the simulated sensor: planar raw bytes (no padding) to the sensor's stream with padding.
    pub fn emit_stream(&self, planar: &[u8], into: &mut Vec<u8>) {
        let _ = (planar, into);
        todo!()
    }
}
