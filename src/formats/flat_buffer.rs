//! FlatBuffer tables, vectors and strings, read with every offset checked.
//!
//! The `flatbuffers` crate's checked reader needs generated code and its unchecked one needs
//! `unsafe`, so the few shapes that the sensor uses are read here; writing goes through that crate.
//!
//! ```text
//!   table   i32 distance back to the vtable, then the fields
//!   vtable  u16 own length, u16 table length, u16 place of field 0, 1, ... (0 = default)
//!   vector  u32 count, then the elements          string  u32 length, bytes, NUL
//!   Fields that are tables, vectors or strings hold a u32 distance forward to them.
//! ```
//!
//! Offsets may overlap or point back at a parent: nothing here follows them by itself, and callers
//! descend a fixed number of levels with bounded counts, so time and memory stay bounded.

use super::reader::{ParseError, Reader};

/// One table whose vtable lies inside the buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    buffer: &'a [u8],
    at: usize,
    len: usize,
    vtable_at: usize,
    vtable_len: usize,
}

impl<'a> Table<'a> {
    /// The table that the first four bytes of the buffer point at.
    pub(super) fn root(buffer: &'a [u8]) -> Result<Self, ParseError> {
        Self::at(buffer, follow(buffer, 0, "root")?)
    }

    fn at(buffer: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let distance = Reader::at(buffer, at).i32_le("vtable distance")?;
        let vtable_at = i64::try_from(at).ok().map(|at| at - i64::from(distance));
        let Some(vtable_at) = vtable_at.and_then(|at| usize::try_from(at).ok()) else {
            return Err(ParseError::Value {
                field: "vtable distance",
                offset: at,
                got: u64::from(distance.unsigned_abs()),
                want: "a distance that stays inside the buffer",
            });
        };
        let mut r = Reader::at(buffer, vtable_at);
        let vtable_len = usize::from(r.u16_le("vtable length")?);
        let len = usize::from(r.u16_le("table length")?);
        Reader::at(buffer, vtable_at).take(vtable_len, "vtable")?;
        Reader::at(buffer, at).take(len, "table")?;
        Ok(Self { buffer, at, len, vtable_at, vtable_len })
    }

    /// Where a field lies, for errors about its value; the table's own place if it has its default.
    pub(super) fn offset_of(&self, id: usize) -> usize {
        self.place(id, 0, "").ok().flatten().unwrap_or(self.at)
    }

    /// Place of a field in the buffer; `None` where the field has its default.
    fn place(
        &self,
        id: usize,
        len: usize,
        field: &'static str,
    ) -> Result<Option<usize>, ParseError> {
        let entry = 4 + 2 * id;
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        let entry_at = self.vtable_at + entry;
        let in_table = usize::from(Reader::at(self.buffer, entry_at).u16_le(field)?);
        if in_table == 0 {
            return Ok(None);
        }
        if in_table < 4 || in_table + len > self.len {
            return Err(ParseError::Value {
                field,
                offset: entry_at,
                got: in_table as u64,
                want: "a place inside the table",
            });
        }
        Ok(Some(self.at + in_table))
    }

    /// A byte; 0 where absent.
    pub(super) fn u8(&self, id: usize, field: &'static str) -> Result<u8, ParseError> {
        match self.place(id, 1, field)? {
            Some(at) => Reader::at(self.buffer, at).u8(field),
            None => Ok(0),
        }
    }

    /// Two bytes; 0 where absent.
    pub(super) fn u16(&self, id: usize, field: &'static str) -> Result<u16, ParseError> {
        match self.place(id, 2, field)? {
            Some(at) => Reader::at(self.buffer, at).u16_le(field),
            None => Ok(0),
        }
    }

    /// Four bytes; 0 where absent.
    pub(super) fn u32(&self, id: usize, field: &'static str) -> Result<u32, ParseError> {
        match self.place(id, 4, field)? {
            Some(at) => Reader::at(self.buffer, at).u32_le(field),
            None => Ok(0),
        }
    }

    /// A table; `None` where absent.
    pub(super) fn table(&self, id: usize, field: &'static str) -> Result<Option<Self>, ParseError> {
        let Some(place) = self.place(id, 4, field)? else {
            return Ok(None);
        };
        follow(self.buffer, place, field).and_then(|at| Self::at(self.buffer, at)).map(Some)
    }

    /// A number; 0.0 where absent. Infinities and NaN are refused.
    pub(super) fn f32(&self, id: usize, field: &'static str) -> Result<f32, ParseError> {
        let Some(at) = self.place(id, 4, field)? else {
            return Ok(0.0);
        };
        let value = Reader::at(self.buffer, at).f32_le(field)?;
        if !value.is_finite() {
            let got = u64::from(value.to_bits());
            return Err(ParseError::Value { field, offset: at, got, want: "bits of a number" });
        }
        Ok(value)
    }

    /// A UTF-8 string of at most `max_len` bytes; empty where absent.
    pub(super) fn string(
        &self,
        id: usize,
        max_len: usize,
        field: &'static str,
    ) -> Result<&'a str, ParseError> {
        let Some(place) = self.place(id, 4, field)? else {
            return Ok("");
        };
        let at = follow(self.buffer, place, field)?;
        let mut r = Reader::at(self.buffer, at);
        let len = bounded(r.u32_le(field)?, max_len, at, field)?;
        let bytes = r.take(len, field)?;
        std::str::from_utf8(bytes).map_err(|error| {
            let bad = error.valid_up_to();
            ParseError::Value {
                field,
                offset: at + 4 + bad,
                got: bytes.get(bad).copied().map_or(0, u64::from),
                want: "UTF-8",
            }
        })
    }

    /// A vector of at most `max_count` tables; empty where absent.
    pub(super) fn tables(
        &self,
        id: usize,
        max_count: usize,
        field: &'static str,
    ) -> Result<Tables<'a>, ParseError> {
        let Some(place) = self.place(id, 4, field)? else {
            return Ok(Tables { buffer: self.buffer, at: 0, left: 0, field });
        };
        let at = follow(self.buffer, place, field)?;
        let mut r = Reader::at(self.buffer, at);
        let left = bounded(r.u32_le(field)?, max_count, at, field)?;
        r.take(4 * left, field)?;
        Ok(Tables { buffer: self.buffer, at: at + 4, left, field })
    }
}

/// The tables of a vector, in its order.
#[derive(Debug)]
pub(super) struct Tables<'a> {
    buffer: &'a [u8],
    at: usize,
    left: usize,
    field: &'static str,
}

impl Tables<'_> {
    /// Elements that are left.
    pub(super) fn len(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Tables<'a> {
    type Item = Result<Table<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at += 4;
        Some(follow(self.buffer, at, self.field).and_then(|at| Table::at(self.buffer, at)))
    }
}

/// Reads the distance at `at` and returns the place it points to, which may still be behind the
/// end.
fn follow(buffer: &[u8], at: usize, field: &'static str) -> Result<usize, ParseError> {
    let distance = Reader::at(buffer, at).u32_le(field)?;
    let place = usize::try_from(distance).ok().and_then(|distance| at.checked_add(distance));
    place.ok_or(ParseError::Value {
        field,
        offset: at,
        got: u64::from(distance),
        want: "a distance that stays inside the buffer",
    })
}

fn bounded(
    count: u32,
    max: usize,
    offset: usize,
    field: &'static str,
) -> Result<usize, ParseError> {
    match usize::try_from(count) {
        Ok(count) if count <= max => Ok(count),
        _ => Err(ParseError::Value {
            field,
            offset,
            got: u64::from(count),
            want: "a count within the limit stated in ap_params.rs",
        }),
    }
}
