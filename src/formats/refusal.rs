//! Why a file is not what it should be: field, byte, what was found, what was wanted.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::reader::ParseError;

/// One reason to refuse a file. The field may carry the part it lies in (`imx500_regs entry 12:
/// value`); the offset counts from the beginning of the file where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What is wrong.
    pub field: String,
    /// Byte in the file; `None` where a place makes no sense (a member that is missing).
    pub offset: Option<u64>,
    /// What was found.
    pub got: String,
    /// What would be accepted, in words.
    pub want: String,
}

impl Refusal {
    /// A refusal of `field`, which lies at byte `offset`.
    #[must_use]
    pub fn at(
        offset: usize,
        field: impl Into<String>,
        got: impl Display,
        want: impl Into<String>,
    ) -> Self {
        let offset = Some(offset as u64);
        Self { field: field.into(), offset, got: got.to_string(), want: want.into() }
    }

    /// A refusal of something that has no place.
    #[must_use]
    pub fn of(field: impl Into<String>, got: impl Display, want: impl Into<String>) -> Self {
        Self { field: field.into(), offset: None, got: got.to_string(), want: want.into() }
    }

    /// The same, at byte `offset`.
    #[must_use]
    pub fn moved_to(self, offset: usize) -> Self {
        Self { offset: Some(offset as u64), ..self }
    }

    /// The same, with its offset counted from `base` bytes earlier, and named as a part of `part`.
    #[must_use]
    pub fn within(self, part: &str, base: usize) -> Self {
        let offset = self.offset.map(|offset| offset.saturating_add(base as u64));
        Self { field: format!("{part}: {}", self.field), offset, ..self }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset:#06x}")?;
        }
        write!(f, ": got {}, want {}", self.got, self.want)
    }
}

impl std::error::Error for Refusal {}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Truncated { field, offset, got, want } => {
                Self::at(offset, field, format!("{got} bytes"), format!("{want} bytes"))
            }
            ParseError::Value { field, offset, got, want } => Self::at(offset, field, got, want),
            ParseError::Tensor { field, tensor, got, want } => {
                Self::of(format!("{field} of tensor {tensor}"), got, want)
            }
        }
    }
}
