//! The one cursor that every parser reads with; each read names its field.

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
}
