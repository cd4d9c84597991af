//! The metadata buffer as a whole: where the embedded lines end and the DNN area begins.
//!
//! ```text
//!   0          E          2E
//!   | embedded | embedded | DNN area ...
//!   | line 0   | line 1   |
//! ```
//!
//! E is written nowhere in the buffer: it follows from the sensor's mode and the receiver. A source
//! knows it; a buffer out of a file does not say, and then the DNN area must be found by its looks.

use super::ap_params::ApParams;
use super::dnn_lines::{DnnLines, LINE_LEN_BYTES};
use super::embedded::{LinePacking, SensorState, embedded_line_len_bytes};
use super::reader::{ParseError, Reader};

/// The two embedded lines and the DNN area.
pub fn split(metadata: &[u8], line_len_bytes: usize) -> Result<(&[u8], &[u8]), ParseError> {
    let embedded =
        Reader::new(metadata).take(line_len_bytes.saturating_mul(2), "embedded lines")?;
    Ok((embedded, &metadata[embedded.len()..]))
}

/// Finds the length of an embedded line: of the four that the sensor's two modes and the receivers
/// give, the one behind which the DNN area looks most like one. `None` where none does.
#[must_use]
pub fn guess_embedded_line_len(metadata: &[u8]) -> Option<usize> {
    let lens = MODE_WIDTHS.into_iter().flat_map(|width| {
        [LinePacking::Pi5, LinePacking::Pi4].map(|packing| embedded_line_len_bytes(width, packing))
    });
    // Of equal ones the first: `max_by_key` would take the last.
    let scored = lens.filter_map(|len| Some((likeness(metadata, len)?, len)));
    scored.reduce(|best, other| if other.0 > best.0 { other } else { best }).map(|(_, len)| len)
}

/// How many independent signs speak for this length; `None` where the DNN area does not even split.
/// A run of zeros splits, as an input header without a line length: hence that further condition.
fn likeness(metadata: &[u8], line_len_bytes: usize) -> Option<u8> {
    let (embedded, dnn_area) = split(metadata, line_len_bytes).ok()?;
    let lines = DnnLines::split(dnn_area).ok()?;
    let payload_len = usize::from(lines.input.header.max_line_len_bytes);
    if !(1..=LINE_LEN_BYTES).contains(&payload_len) {
        return None;
    }
    let params = lines.input.ap_params_bytes().and_then(ApParams::parse);
    let starts_line = |line: &[u8]| SensorState::parse(line, line.len() / 2).is_ok();
    let signs = [
        lines.output.is_some(),
        params.is_ok_and(|params| !params.networks.is_empty()),
        // The second line's start byte is at E, so that a wrong E meets another byte there.
        starts_line(embedded),
        starts_line(&embedded[line_len_bytes..]),
    ];
    Some(signs.into_iter().map(u8::from).sum())
}

/// Widths of the sensor's modes, binned and full (driver `imx500.c`).
const MODE_WIDTHS: [usize; 2] = [2028, 4056];
