//! A tensor's bytes, which lie in the front part of each of its lines, as one stream.
//!
//! ```text
//!   first line   [ payload: max_line_len bytes | unused ]   2560 bytes in memory
//!   next line    [ payload continues           | unused ]
//!   last line    [ rest of the payload | unused         ]
//! ```

use super::dnn_lines::LINE_LEN_BYTES;
use super::reader::ParseError;

/// One tensor's payload, checked to lie inside the body it was cut from.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineStream<'a> {
    lines: &'a [u8],
    payload_len: usize,
    len: usize,
}

impl<'a> LineStream<'a> {
    /// The `len` payload bytes that start at `first_line` of `body`.
    pub(super) fn new(
        body: &'a [u8],
        max_line_len_bytes: usize,
        first_line: usize,
        len: usize,
        field: &'static str,
    ) -> Result<Self, ParseError> {
        let payload_len = payload_len(max_line_len_bytes)?;
        let offset = first_line.saturating_mul(LINE_LEN_BYTES);
        let lines = body.get(offset..).unwrap_or_default();
        let full_lines = len.saturating_sub(1) / payload_len;
        let want = full_lines
            .saturating_mul(LINE_LEN_BYTES)
            .saturating_add(len.saturating_sub(full_lines * payload_len));
        match lines.get(..want) {
            Some(lines) => Ok(Self { lines, payload_len, len }),
            None => Err(ParseError::Truncated { field, offset, got: lines.len(), want }),
        }
    }

    /// Copies stream bytes from `at` on; `at + into.len()` must not exceed the stream.
    pub(super) fn copy(&self, at: usize, mut into: &mut [u8]) {
        let mut line = at / self.payload_len;
        let mut column = at % self.payload_len;
        while !into.is_empty() {
            let len = into.len().min(self.payload_len - column);
            let (head, rest) = into.split_at_mut(len);
            let start = line * LINE_LEN_BYTES + column;
            head.copy_from_slice(&self.lines[start..start + len]);
            into = rest;
            line += 1;
            column = 0;
        }
    }

    /// The payload of each line in turn; the last one may be shorter.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &'a [u8]> {
        let (lines, payload_len) = (self.lines, self.payload_len);
        lines.chunks(LINE_LEN_BYTES).map(move |line| &line[..line.len().min(payload_len)])
    }

    /// Whether elements of `width` bytes never straddle two lines.
    pub(super) fn keeps_whole(&self, width: usize) -> bool {
        self.payload_len.is_multiple_of(width) || self.len <= self.payload_len
    }
}

/// Lines that `len` payload bytes take.
pub(super) fn line_count(len: usize, max_line_len_bytes: usize) -> Result<usize, ParseError> {
    Ok(len.div_ceil(payload_len(max_line_len_bytes)?))
}

fn payload_len(max_line_len_bytes: usize) -> Result<usize, ParseError> {
    if (1..=LINE_LEN_BYTES).contains(&max_line_len_bytes) {
        return Ok(max_line_len_bytes);
    }
    Err(ParseError::Value {
        field: "max_line_len",
        offset: 2, // in the header
        got: max_line_len_bytes as u64,
        want: "1 to 2560, the bytes of a line",
    })
}
