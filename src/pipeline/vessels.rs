//! From an output tensor to vessel probability.
//!
//! ```text
//!   output tensor, column-major          probability, row-major, 0..=255 for 0.0..=1.0
//!   unsigned: a probability       -->    round(255 * value)
//!   signed: a logit               -->    round(255 / (1 + e^-value))
//! ```
//!
//! Only 8-bit elements need a table of 256 entries; wider ones are computed one by one. The mask is
//! where the probability reaches the threshold, and 128 is exactly where a value is 0.5 or a logit
//! is 0.

use super::subpixels::Subpixels;
use crate::formats::ap_params::OutputTensorInfo;
use crate::formats::output_tensor::OutputLayout;
use crate::formats::reader::ParseError;
use crate::formats::tensor::QuantParams;

/// Why a network's outputs are not one vessel map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// More or fewer than one tensor.
    #[error(
        "{count} output tensors: a vessel network has one; this network was made for something else"
    )]
    OutputCount {
        /// Tensors found.
        count: usize,
    },
    /// Dimensions that are no map.
    #[error(
        "output tensor \"{name}\" has {sizes:?} elements along its axes, want height, width and at most one channel, or four \
         channels before them for the quarters of every pixel"
    )]
    Shape {
        /// Name in ApParams.
        name: String,
        /// Sizes by ordinal.
        sizes: Vec<u16>,
    },
    /// Padding, widths or sizes that cannot be laid out.
    #[error(transparent)]
    Layout(#[from] ParseError),
}

/// Reads the probability out of one network's output tensor.
#[derive(Debug)]
pub struct Vessels {
    layout: OutputLayout,
    max_line_len_bytes: usize,
    subpixels: Subpixels,
    elements: Elements,
}

#[derive(Debug)]
enum Elements {
    Bytes { table: Box<[u8; 256]>, stored: Vec<u8> },
    Wide { signed: bool, real: Vec<f32> },
}

impl Vessels {
    /// Refuses a network whose outputs are not one map.
    pub fn new(
        outputs: &[OutputTensorInfo],
        max_line_len_bytes: usize,
    ) -> Result<Self, Unsuitable> {
        let [info] = outputs else {
            return Err(Unsuitable::OutputCount { count: outputs.len() });
        };
        let subpixels = subpixels(info)?;
        let layout = OutputLayout::all(outputs, max_line_len_bytes)?
            .pop()
            .ok_or(Unsuitable::OutputCount { count: 0 })?;
        let elements = if info.bits_per_element == 8 {
            Elements::Bytes { table: Box::new(probabilities(info.quant)), stored: Vec::new() }
        } else {
            Elements::Wide { signed: info.quant.signed, real: Vec::new() }
        };
        Ok(Self { layout, max_line_len_bytes, subpixels, elements })
    }
    /// Pixels a row of the map.
    #[must_use]
    pub fn width(&self) -> usize {
        self.subpixels.map_width()
    }
    /// Rows of the map.
    #[must_use]
    pub fn height(&self) -> usize {
        self.subpixels.map_height()
    }
    /// How the tensor's planes become the map.
    #[must_use]
    pub fn subpixels(&self) -> Subpixels {
        self.subpixels
    }
    /// Lines of the output region after its header.
    #[must_use]
    pub fn body_lines(&self) -> usize {
        self.layout.len_bytes().div_ceil(self.max_line_len_bytes)
    }
    /// Writes the map row-major; `into` is reused without allocation.
    pub fn read(&mut self, body: &[u8], into: &mut Vec<u8>) -> Result<(), ParseError> {
        let subpixels = self.subpixels;
        match &mut self.elements {
            Elements::Bytes { table, stored } => {
                self.layout.copy_raw(body, self.max_line_len_bytes, stored)?;
                subpixels.lay_out_columns(stored, into, |byte| table[usize::from(byte)]);
            }
            Elements::Wide { signed, real } => {
                self.layout.dequantize(body, self.max_line_len_bytes, real)?;
                let signed = *signed;
                subpixels.lay_out_columns(real, into, |value| to_byte(probability(value, signed)));
            }
        }
        Ok(())
    }
}

/// Share of the pixels that reach the threshold, 0.0 to 1.0.
#[must_use]
pub fn vessel_fraction(probability: &[u8], threshold: u8) -> f32 {
    let vessels = probability.iter().filter(|&&pixel| pixel >= threshold).count();
    vessels as f32 / probability.len().max(1) as f32
}

/// Probability of every stored byte, by its bit pattern: 0..=255 for 0.0..=1.0.
#[must_use]
pub fn probabilities(quant: QuantParams) -> [u8; 256] {
    exact_probabilities(quant).map(to_byte)
}

/// The same before it is rounded to a byte, where small ones become equal: 0.0 to 1.0.
#[must_use]
pub fn exact_probabilities(quant: QuantParams) -> [f32; 256] {
    let mut table = [0.0; 256];
    for (pattern, entry) in (0..=u8::MAX).zip(&mut table) {
        let stored =
            if quant.signed { i32::from(i8::from_le_bytes([pattern])) } else { i32::from(pattern) };
        let value = (stored - i32::from(quant.zero_point)) as f32 * quant.scale;
        *entry = probability(value, quant.signed);
    }
    table
}

fn probability(value: f32, signed: bool) -> f32 {
    if signed { 1.0 / (1.0 + (-value).exp()) } else { value }
}

fn to_byte(probability: f32) -> u8 {
    // Halves go up, so that 0.5 becomes 128. What is no number becomes 0: no vessel.
    let scaled = (probability * 255.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates at 0 and 255, which is what a probability beyond its range means"
    )]
    let byte = scaled as u8;
    byte
}

/// The axes by ordinal: height, width, and perhaps an axis of a single channel, first as PyTorch
/// orders them or last as Keras does, neither of which changes the order of the elements; or of four, first.
fn subpixels(info: &OutputTensorInfo) -> Result<Subpixels, Unsuitable> {
    let mut axes: Vec<_> = info.dimensions.iter().map(|axis| (axis.ordinal, axis.size)).collect();
    axes.sort_unstable();
    let sizes: Vec<u16> = axes.into_iter().map(|(_, size)| size).collect();
    let [planes, height, width] = match sizes[..] {
        [height, width] | [height, width, 1] => [1, height, width],
        [planes, height, width] => [planes, height, width],
        _ => return Err(Unsuitable::Shape { name: info.name.clone(), sizes }),
    }
    .map(usize::from);
    Subpixels::new(planes, width, height)
        .ok_or_else(|| Unsuitable::Shape { name: info.name.clone(), sizes })
}

#[cfg(test)]
mod tests {
    use super::{Unsuitable, Vessels, probabilities, vessel_fraction};
    use crate::formats::ap_params::OutputTensorInfo;
    use crate::formats::dnn_lines::LINE_LEN_BYTES;
    use crate::formats::reader::ParseError;
    use crate::formats::tensor::{Dimension, QuantParams};

    const UNSIGNED: QuantParams = QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed: false };
    const SIGNED: QuantParams = QuantParams { scale: 1.0 / 16.0, zero_point: 0, signed: true };

    fn output(sizes: &[u16], bits_per_element: u8, quant: QuantParams) -> OutputTensorInfo {
        let dimensions = (0..).zip(sizes).map(|(ordinal, &size)| Dimension {
            ordinal,
            size,
            serialization_index: ordinal,
            padding: 0,
        });
        let name = "mask".to_owned();
        OutputTensorInfo { id: 0, name, dimensions: dimensions.collect(), bits_per_element, quant }
    }

    fn read(info: OutputTensorInfo, body: &[u8]) -> Vec<u8> {
        let mut vessels = Vessels::new(&[info], LINE_LEN_BYTES).unwrap();
        let mut probability = vec![0xa5; 100];
        vessels.read(body, &mut probability).unwrap();
        assert_eq!(probability.len(), vessels.width() * vessels.height());
        probability
    }

    #[test]
    fn columns_become_rows() {
        // Two rows of three: columns 10 40, 20 50, 30 60. Whole numbers survive a scale of 1/255.
        let quant = QuantParams { scale: 1.0 / 255.0, ..UNSIGNED };
        let stored = [10, 40, 20, 50, 30, 60];
        let rows = [10, 20, 30, 40, 50, 60];
        assert_eq!(read(output(&[2, 3], 8, quant), &stored), rows);
        assert_eq!(read(output(&[1, 2, 3], 8, quant), &stored), rows);
        assert_eq!(read(output(&[2, 3, 1], 8, quant), &stored), rows);
    }

    #[test]
    fn row_major_in_memory_becomes_rows_too() {
        // The width has serialization index 0: the sensor sends whole rows.
        let mut info = output(&[2, 3], 8, QuantParams { scale: 1.0 / 255.0, ..UNSIGNED });
        (info.dimensions[0].serialization_index, info.dimensions[1].serialization_index) = (1, 0);
        assert_eq!(read(info, &[10, 20, 30, 40, 50, 60]), [10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn unsigned_bytes_are_probabilities() {
        let table = probabilities(UNSIGNED);
        assert_eq!([table[0], table[127], table[128], table[255]], [0, 127, 128, 254]);
    }

    #[test]
    fn signed_bytes_are_logits() {
        let table = probabilities(SIGNED);
        // Logits 0, 1, -1, -8 (0x80), 7.9375 (0x7f): 255 times 0.5, 0.7311, 0.2689, 0.0003, 0.9996.
        let got = [table[0], table[16], table[256 - 16], table[0x80], table[0x7f]];
        assert_eq!(got, [128, 186, 69, 0, 255]);
    }

    #[test]
    fn table_never_falls_and_keeps_the_middle() {
        for (quant, order) in [
            (UNSIGNED, (0..=255).collect::<Vec<u8>>()),
            (SIGNED, (128..=255).chain(0..=127).collect()),
        ] {
            let table = probabilities(quant);
            let in_order: Vec<u8> =
                order.iter().map(|&stored| table[usize::from(stored)]).collect();
            assert!(in_order.is_sorted(), "{quant:?}");
            assert_eq!(in_order.iter().filter(|&&probability| probability >= 128).count(), 128);
        }
    }

    #[test]
    fn zero_point_is_taken_off() {
        let table = probabilities(QuantParams { zero_point: 100, ..UNSIGNED });
        assert_eq!([table[0], table[100], table[228]], [0, 0, 128]);
    }

    #[test]
    fn wide_elements_agree_with_bytes() {
        let bytes = read(output(&[4, 64], 8, SIGNED), &(0..=255).collect::<Vec<u8>>());
        let stored = (0..=255_u8).map(|pattern| i8::from_le_bytes([pattern]));
        let halves: Vec<u8> = stored.clone().flat_map(|v| i16::from(v).to_le_bytes()).collect();
        let words: Vec<u8> = stored.flat_map(|v| i32::from(v).to_le_bytes()).collect();
        assert_eq!(read(output(&[4, 64], 16, SIGNED), &halves), bytes);
        assert_eq!(read(output(&[4, 64], 32, SIGNED), &words), bytes);
    }

    #[test]
    fn values_beyond_a_probability_saturate() {
        let quant = QuantParams { scale: 1.0, ..UNSIGNED };
        assert_eq!(probabilities(quant)[..3], [0, 255, 255]);
        let no_number = QuantParams { scale: f32::NAN, ..UNSIGNED };
        assert_eq!(probabilities(no_number), [0; 256]);
    }

    #[test]
    fn fraction_counts_what_reaches_the_threshold() {
        assert_eq!(vessel_fraction(&[127, 128, 129, 0], 128).to_bits(), 0.5_f32.to_bits());
        assert_eq!(vessel_fraction(&[], 128).to_bits(), 0.0_f32.to_bits());
    }

    /// As the sensor sends it: planes fastest, then rows, then columns.
    #[test]
    fn four_channels_are_the_quarters_of_every_pixel() {
        let mut vessels = Vessels::new(&[output(&[4, 1, 2], 8, UNSIGNED)], LINE_LEN_BYTES).unwrap();
        assert_eq!((vessels.width(), vessels.height(), vessels.body_lines()), (4, 2, 1));
        let mut map = Vec::new();
        vessels.read(&[0, 64, 128, 192, 32, 96, 160, 224], &mut map).unwrap();
        assert_eq!(map, [0, 64, 32, 96, 128, 191, 159, 223]);
    }

    #[test]
    fn refuses_what_is_not_one_map() {
        let map = output(&[2, 3], 8, UNSIGNED);
        let count = Vessels::new(&[map.clone(), map], LINE_LEN_BYTES).unwrap_err();
        assert_eq!(count, Unsuitable::OutputCount { count: 2 });
        assert_eq!(
            Vessels::new(&[], LINE_LEN_BYTES).unwrap_err(),
            Unsuitable::OutputCount { count: 0 }
        );
        for sizes in [&[6][..], &[2, 2, 3], &[1, 1, 2, 3]] {
            let got = Vessels::new(&[output(sizes, 8, UNSIGNED)], LINE_LEN_BYTES).unwrap_err();
            assert_eq!(got, Unsuitable::Shape { name: "mask".to_owned(), sizes: sizes.to_vec() });
        }
    }

    #[test]
    fn refuses_a_body_that_is_too_short() {
        let mut vessels = Vessels::new(&[output(&[2, 3], 8, UNSIGNED)], LINE_LEN_BYTES).unwrap();
        let error = vessels.read(&[0; 5], &mut Vec::new()).unwrap_err();
        assert!(matches!(error, ParseError::Truncated { got: 5, want: 6, .. }), "{error:?}");
    }

    #[test]
    fn counts_its_lines() {
        for (sizes, bits, lines) in [(&[16, 160], 8, 1), (&[16, 160], 16, 2), (&[17, 160], 8, 2)] {
            let vessels = Vessels::new(&[output(sizes, bits, UNSIGNED)], LINE_LEN_BYTES).unwrap();
            assert_eq!(vessels.body_lines(), lines, "{sizes:?} {bits}");
        }
    }
}
