//! The input tensor: planar, padded, over the lines of its region.
//!
//! ```text
//!          width   padding
//!        +-------+--+
//!  plane |       |  | height          one byte an element; plane follows plane, row follows row,
//!    0   +-------+  |                 as one stream over the lines of the body
//!        +----------+ padding rows
//!  plane | ...
//! ```
//!
//! The bytes are what the network saw. As a picture: unsigned bytes are the pixels, signed ones are
//! the pixels minus 128 (picamera2 3e6dff0 reaches the same through `network_info.txt`).

use super::ap_params::InputTensorInfo;
use super::line_stream::LineStream;
use super::reader::ParseError;
use super::tensor::Dimension;

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
    /// Reads the geometry out of ApParams, by serialization index 0 = width, 1 = height, 2 =
    /// channels.
    pub fn new(info: &InputTensorInfo) -> Result<Self, ParseError> {
        let refuse =
            |field, got, want| Err(ParseError::Tensor { field, tensor: info.id, got, want });
        let dimensions = info.dimensions.len();
        if dimensions != 3 {
            return refuse("numOfDimensions", dimensions as u64, "3 for an input tensor");
        }
        let along = |index: u8| {
            let mut found = info.dimensions.iter().filter(|d| d.serialization_index == index);
            found.next().ok_or(ParseError::Tensor {
                field: "serializationIndex",
                tensor: info.id,
                got: u64::from(index),
                want: "0, 1 and 2 once each (this one is missing)",
            })
        };
        let (width, height, channels) = (along(0)?, along(1)?, along(2)?);
        if !(1..=MAX_WIDTH).contains(&width.size) {
            return refuse("input width", u64::from(width.size), "1 to 1280");
        }
        if !(1..=MAX_HEIGHT).contains(&height.size) {
            return refuse("input height", u64::from(height.size), "1 to 960");
        }
        if !matches!(channels.size, 1 | 3 | 4) {
            return refuse("input channels", u64::from(channels.size), "1, 3 or 4");
        }
        if channels.padding != 0 {
            return refuse("padding of the channels", u64::from(channels.padding), "0");
        }
        let stride = |d: &Dimension| usize::from(d.size) + usize::from(d.padding);
        Ok(Self {
            width: usize::from(width.size),
            height: usize::from(height.size),
            channels: usize::from(channels.size),
            width_stride: stride(width),
            height_stride: stride(height),
            signed: info.quant.signed,
        })
    }

    /// Bytes of the sensor's stream, padding included.
    #[must_use]
    pub fn stream_len_bytes(&self) -> usize {
        self.channels * self.height_stride * self.width_stride
    }

    /// Bytes without padding: `channels * height * width`.
    #[must_use]
    pub fn planar_len_bytes(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Copies the tensor out of its body lines: raw bytes, planar, row-major, `channels * height *
    /// width`. `into` is resized once and then reused without allocation.
    pub fn copy_planar(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let len = self.stream_len_bytes();
        let stream = LineStream::new(body, max_line_len_bytes, 0, len, "input tensor body")?;
        into.resize(self.planar_len_bytes(), 0);
        if len == into.len() {
            stream.copy(0, into);
            return Ok(());
        }
        for (plane, rows) in into.chunks_exact_mut(self.height * self.width).enumerate() {
            for (y, row) in rows.chunks_exact_mut(self.width).enumerate() {
                stream.copy((plane * self.height_stride + y) * self.width_stride, row);
            }
        }
        Ok(())
    }

    /// Turns raw planar bytes into interleaved RGB pixels, `height * width * 3`. One plane becomes
    /// grey, a fourth is left out; pixels that `planar` is too short for become black.
    pub fn to_rgb(&self, planar: &[u8], order: ColourOrder, into: &mut Vec<u8>) {
        let plane_len = self.height * self.width;
        let sign = if self.signed { 0x80 } else { 0 };
        into.resize(plane_len * 3, 0);
        let plane = |index: usize| planar.get(index * plane_len..).unwrap_or_default();
        let (red, green, blue) = match (self.channels, order) {
            (1, _) => (plane(0), plane(0), plane(0)),
            (_, ColourOrder::Rgb) => (plane(0), plane(1), plane(2)),
            (_, ColourOrder::Bgr) => (plane(2), plane(1), plane(0)),
        };
        let (pixels, _) = into.as_chunks_mut::<3>();
        // Only what is not written below: clearing all of it took longer than writing it (perf, 640 x 640).
        let given = red.len().min(green.len()).min(blue.len()).min(plane_len);
        pixels[given..].fill([0; 3]);
        for (((pixel, red), green), blue) in pixels.iter_mut().zip(red).zip(green).zip(blue) {
            *pixel = [red ^ sign, green ^ sign, blue ^ sign];
        }
    }

    /// The other way for the simulated sensor: planar raw bytes (no padding) to the sensor's stream
    /// with padding, which is 0. Rows that `planar` is too short for are 0 too.
    pub fn emit_stream(&self, planar: &[u8], into: &mut Vec<u8>) {
        into.clear();
        into.resize(self.stream_len_bytes(), 0);
        let rows = planar.chunks_exact(self.width).enumerate().take(self.channels * self.height);
        for (row, bytes) in rows {
            let (plane, y) = (row / self.height, row % self.height);
            let start = (plane * self.height_stride + y) * self.width_stride;
            into[start..start + self.width].copy_from_slice(bytes);
        }
    }
}

/// Largest input tensor that libcamera 26bfadc accepts, in pixels.
const MAX_WIDTH: u16 = 1280;
/// The same in rows.
const MAX_HEIGHT: u16 = 960;
