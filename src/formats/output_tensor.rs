//! Output tensors: elements over the lines, put into ordinal order.
//!
//! ```text
//!   body line 0   tensor 0, first max_line_len bytes of each line, elements in memory order
//!   line 1 ...    ...
//!   next line     tensor 1: each tensor starts on a new line
//! ```
//!
//! Memory order: the dimension with serialization index 0 varies fastest. Given out is always
//! ordinal order: ordinal 0 varies fastest, so for dimensions H, W the result is *column-major* and
//! a mask must be transposed before it is drawn. In all public networks the two orders are equal.

use super::ap_params::OutputTensorInfo;
use super::line_stream::{self, LineStream};
use super::reader::ParseError;
use super::tensor::Dimension;

/// Where one output tensor lies in the body, and how its elements are ordered. Checked once per
/// network.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputLayout {
    /// As described by ApParams.
    pub info: OutputTensorInfo,
    /// First body line of this tensor (0 is the line after the header).
    pub first_line: usize,
    /// Elements.
    pub elements: usize,
    order: Order,
}

impl OutputLayout {
    /// Lays out all output tensors of a network, each on a new line. Refuses padding, bits other
    /// than 8, 16, 32, zero or overflowing sizes, ordinals that are not 0, 1, 2, ..., more than 3
    /// dimensions where reordering is needed, and more lines than the sensor can send.
    pub fn all(
        outputs: &[OutputTensorInfo],
        max_line_len_bytes: usize,
    ) -> Result<Vec<Self>, ParseError> {
        let mut first_line = 0;
        let mut layouts = Vec::with_capacity(outputs.len());
        for info in outputs {
            let layout = Self::new(info, first_line)?;
            first_line += line_stream::line_count(layout.len_bytes(), max_line_len_bytes)?;
            if first_line > MAX_BODY_LINES {
                return Err(ParseError::Tensor {
                    field: "last body line",
                    tensor: info.id,
                    got: first_line as u64,
                    want: "at most 2044, all that the sensor's line count register can state",
                });
            }
            layouts.push(layout);
        }
        Ok(layouts)
    }

    fn new(info: &OutputTensorInfo, first_line: usize) -> Result<Self, ParseError> {
        let refuse =
            |field, got, want| Err(ParseError::Tensor { field, tensor: info.id, got, want });
        if !matches!(info.bits_per_element, 8 | 16 | 32) {
            return refuse("bitsPerElement", u64::from(info.bits_per_element), "8, 16 or 32");
        }
        if info.dimensions.is_empty() {
            return refuse("numOfDimensions", 0, "1 or more");
        }
        let mut elements: usize = 1;
        for dimension in &info.dimensions {
            if dimension.padding != 0 {
                return refuse("padding", u64::from(dimension.padding), "0 for an output tensor");
            }
            if dimension.size == 0 {
                return refuse("dimension size", 0, "1 or more");
            }
            // Checked at each step; one step can overflow 32 bits, which saturation makes a
            // refusal.
            elements = elements.saturating_mul(usize::from(dimension.size));
            if elements > MAX_BODY_LEN_BYTES {
                return refuse("product of sizes", elements as u64, "at most 5232640 elements");
            }
        }
        let order = Order::new(info)?;
        Ok(Self { info: info.clone(), first_line, elements, order })
    }

    /// Bytes of the elements, without what is unused in the lines.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.elements * self.element_len_bytes()
    }

    /// Copies the raw little-endian elements in ordinal order (ordinal 0 fastest: column-major),
    /// `elements * bits / 8` bytes. `into` is reused without allocation.
    pub fn copy_raw(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<u8>,
    ) -> Result<(), ParseError> {
        let stream = self.stream(body, max_line_len_bytes)?;
        into.resize(self.len_bytes(), 0);
        match self.order {
            Order::AsStored => stream.copy(0, into),
            Order::Reordered(axes) => {
                let len = self.element_len_bytes();
                for_each_reordered(axes, |from, to| {
                    stream.copy(from * len, &mut into[to * len..(to + 1) * len]);
                });
            }
        }
        Ok(())
    }

    /// The same as real values, `(raw - zero_point) * scale` in f32. The subtraction is exact;
    /// libcamera's wraps for unsigned 32-bit elements below the zero point.
    pub fn dequantize(
        &self,
        body: &[u8],
        max_line_len_bytes: usize,
        into: &mut Vec<f32>,
    ) -> Result<(), ParseError> {
        let stream = self.stream(body, max_line_len_bytes)?;
        let quant = self.info.quant;
        match (self.info.bits_per_element, quant.signed) {
            (8, true) => self.fill(&stream, into, |e| quant.real(i8::from_le_bytes(e))),
            (8, false) => self.fill(&stream, into, |e| quant.real(u8::from_le_bytes(e))),
            (16, true) => self.fill(&stream, into, |e| quant.real(i16::from_le_bytes(e))),
            (16, false) => self.fill(&stream, into, |e| quant.real(u16::from_le_bytes(e))),
            (_, true) => self.fill(&stream, into, |e| quant.real(i32::from_le_bytes(e))),
            (_, false) => self.fill(&stream, into, |e| quant.real(u32::from_le_bytes(e))),
        }
        Ok(())
    }

    fn fill<const LEN: usize>(
        &self,
        stream: &LineStream<'_>,
        into: &mut Vec<f32>,
        real: impl Fn([u8; LEN]) -> f32,
    ) {
        into.resize(self.elements, 0.0);
        let element = |index: usize| {
            let mut bytes = [0; LEN];
            stream.copy(index * LEN, &mut bytes);
            bytes
        };
        match self.order {
            Order::AsStored if stream.keeps_whole(LEN) => {
                let elements = stream.chunks().flat_map(|line| line.as_chunks::<LEN>().0);
                for (value, &bytes) in into.iter_mut().zip(elements) {
                    *value = real(bytes);
                }
            }
            Order::AsStored => {
                for (index, value) in into.iter_mut().enumerate() {
                    *value = real(element(index));
                }
            }
            Order::Reordered(axes) => {
                for_each_reordered(axes, |from, to| into[to] = real(element(from)));
            }
        }
    }

    fn stream<'a>(
        &self,
        body: &'a [u8],
        max_line_len_bytes: usize,
    ) -> Result<LineStream<'a>, ParseError> {
        let (first_line, len) = (self.first_line, self.len_bytes());
        LineStream::new(body, max_line_len_bytes, first_line, len, "output tensor body")
    }

    fn element_len_bytes(&self) -> usize {
        usize::from(self.info.bits_per_element) / 8
    }
}

/// How memory order becomes ordinal order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    AsStored,
    /// The axes by serialization index; missing ones have size 1.
    Reordered([Axis; 3]),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    size: usize,
    /// Distance, in elements of the result, between neighbours along this axis.
    stride: usize,
}

impl Order {
    fn new(info: &OutputTensorInfo) -> Result<Self, ParseError> {
        let refuse =
            |field, got, want| Err(ParseError::Tensor { field, tensor: info.id, got, want });
        let dimensions = &info.dimensions;
        let is_numbering = |number: fn(&Dimension) -> u8| {
            (0..dimensions.len())
                .all(|index| dimensions.iter().any(|d| usize::from(number(d)) == index))
        };
        let count = dimensions.len() as u64;
        if !is_numbering(|d| d.ordinal) {
            return refuse(
                "dimension ids",
                count,
                "each of 0, 1, 2, ... once for so many dimensions",
            );
        }
        if dimensions.iter().all(|d| d.serialization_index == d.ordinal) {
            return Ok(Self::AsStored);
        }
        if dimensions.len() > 3 {
            return refuse("numOfDimensions", count, "at most 3 where the order changes");
        }
        if !is_numbering(|d| d.serialization_index) {
            let want = "each of 0, 1, 2, ... once for so many dimensions";
            return refuse("serialization indices", count, want);
        }
        let mut axes = [Axis { size: 1, stride: 0 }; 3];
        for dimension in dimensions {
            let below = dimensions.iter().filter(|d| d.ordinal < dimension.ordinal);
            axes[usize::from(dimension.serialization_index)] = Axis {
                size: usize::from(dimension.size),
                stride: below.map(|d| usize::from(d.size)).product(),
            };
        }
        Ok(Self::Reordered(axes))
    }
}

/// Calls `place` with every element's index in memory order and its index in ordinal order.
fn for_each_reordered(axes: [Axis; 3], mut place: impl FnMut(usize, usize)) {
    let [fast, middle, slow] = axes;
    let mut from = 0;
    for c in 0..slow.size {
        for b in 0..middle.size {
            let start = c * slow.stride + b * middle.stride;
            for a in 0..fast.size {
                place(from, start + a * fast.stride);
                from += 1;
            }
        }
    }
}

/// Body lines of the largest output region: register 0x3060 holds under 2046 lines, one of which is
/// the header's (the driver refuses more in `imx500_regs`). A description of more is damage.
const MAX_BODY_LINES: usize = 2044;
/// Bytes, and so elements, that fit into those lines.
const MAX_BODY_LEN_BYTES: usize = MAX_BODY_LINES * super::dnn_lines::LINE_LEN_BYTES;
