//! The one cursor that every parser reads with; each read names its field.
//!
//! ```text
//!   bytes   [ . . . . . . . . . . . . ]
//!   offset    ^base        ^base + at     errors say base + at: the place in the buffer that the
//!                                         reader of the error has before him
//! ```

/// Why bytes could not be read: which field, where, what was found and what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes end before the field does.
    #[error("{field} at byte {offset:#06x}: {want} bytes wanted, {got} left")]
    Truncated {
        /// Name of the field.
        field: &'static str,
        /// Byte offset of the field in the buffer that is parsed.
        offset: usize,
        /// Bytes that are left.
        got: usize,
        /// Bytes the field needs.
        want: usize,
    },
    /// The field holds a value that makes no sense.
    #[error("{field} at byte {offset:#06x}: got {got}, want {want}")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// Byte offset of the field in the buffer that is parsed.
        offset: usize,
        /// The value found.
        got: u64,
        /// The values accepted, in words.
        want: &'static str,
    },
    /// The ApParams can be read, but describe a tensor that cannot lie in the lines.
    #[error("{field} of tensor {tensor}: got {got}, want {want}")]
    Tensor {
        /// Name of the field.
        field: &'static str,
        /// The tensor's id (its ordinal) in ApParams.
        tensor: u8,
        /// The value found.
        got: u64,
        /// The values accepted, in words.
        want: &'static str,
    },
}

/// Reads little-endian fields one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0 }
    }

    /// Starts at byte `at`. A place behind the end is no error yet; the first read there is.
    #[must_use]
    pub fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, base: 0 }
    }

    /// Errors count from `base`: where `bytes` begins in the buffer they were cut out of.
    #[must_use]
    pub fn with_base(self, base: usize) -> Self {
        Self { base, ..self }
    }

    /// Offset of the next field, as errors state it.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base.saturating_add(self.at)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], ParseError> {
        let left = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = left.get(..len) else {
            let (offset, got) = (self.offset(), left.len());
            return Err(ParseError::Truncated { field, offset, got, want: len });
        };
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, field)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, ParseError> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    /// Two bytes.
    pub fn u16_le(&mut self, field: &'static str) -> Result<u16, ParseError> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    /// Four bytes.
    pub fn u32_le(&mut self, field: &'static str) -> Result<u32, ParseError> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    /// Eight bytes.
    pub fn u64_le(&mut self, field: &'static str) -> Result<u64, ParseError> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    /// Four bytes, two's complement.
    pub fn i32_le(&mut self, field: &'static str) -> Result<i32, ParseError> {
        Ok(i32::from_le_bytes(self.array(field)?))
    }

    /// Four bytes, IEEE 754.
    pub fn f32_le(&mut self, field: &'static str) -> Result<f32, ParseError> {
        Ok(f32::from_le_bytes(self.array(field)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [u8; 15] = [
        0x2a, // u8
        0x90, 0x09, // u16 = 2448
        0x78, 0x56, 0x34, 0x12, // u32
        0xfe, 0xff, 0xff, 0xff, // i32 = -2
        0x00, 0x00, 0x80, 0x3b, // f32 = 1/256
    ];

    fn read_all(r: &mut Reader<'_>) -> Result<(u8, u16, u32, i32, f32), ParseError> {
        Ok((r.u8("a")?, r.u16_le("b")?, r.u32_le("c")?, r.i32_le("d")?, r.f32_le("e")?))
    }

    #[test]
    fn reads_little_endian_fields_in_order() {
        let got = read_all(&mut Reader::new(&FIELDS)).unwrap();
        assert_eq!(got, (42, 2448, 0x1234_5678, -2, 1.0 / 256.0));
    }

    #[test]
    fn refuses_every_truncation_and_names_the_field() {
        for len in 0..FIELDS.len() {
            let got = read_all(&mut Reader::new(&FIELDS[..len]));
            assert!(matches!(got, Err(ParseError::Truncated { .. })), "len {len}: {got:?}");
        }
        let error = read_all(&mut Reader::new(&FIELDS[..4]).with_base(0x1000)).unwrap_err();
        assert_eq!(error.to_string(), "c at byte 0x1003: 4 bytes wanted, 1 left");
    }

    #[test]
    fn a_start_behind_the_end_is_refused_at_the_first_read() {
        let want = ParseError::Truncated { field: "far", offset: usize::MAX, got: 0, want: 1 };
        assert_eq!(Reader::at(&FIELDS, usize::MAX).u8("far"), Err(want));
    }
}
