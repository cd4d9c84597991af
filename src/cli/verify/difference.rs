//! Two outputs compared element by element, in steps of the stored number (LSB).

use std::collections::BTreeMap;
use std::fmt;

use qsegment::emulator::TensorSpec;
use serde::Serialize;

/// How far two tensors agree.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub(super) struct Difference {
    pub(super) elements: usize,
    pub(super) differing: usize,
    /// How many elements differ by how many steps.
    pub(super) by_lsb: BTreeMap<u32, usize>,
    pub(super) first: Option<Element>,
}

/// An element in which two tensors differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Element {
    pub(super) tensor: String,
    pub(super) channel: usize,
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) got: i32,
    pub(super) want: i32,
}

impl Difference {
    /// Both in C, H, W, as stored.
    ///
    /// # Panics
    /// When one of them is not as long as the tensor.
    pub(super) fn of(spec: &TensorSpec, got: &[u8], want: &[u8]) -> Self {
        assert_eq!((got.len(), want.len()), (spec.len_bytes(), spec.len_bytes()), "{}", spec.name);
        let mut difference = Self { elements: got.len(), ..Self::default() };
        for (at, (&got, &want)) in got.iter().zip(want).enumerate() {
            let (got, want) = (spec.widen(got), spec.widen(want));
            if got == want {
                continue;
            }
            difference.differing += 1;
            *difference.by_lsb.entry(got.abs_diff(want)).or_default() += 1;
            difference.first.get_or_insert_with(|| Element {
                tensor: spec.name.clone(),
                channel: at / (spec.height * spec.width),
                row: at / spec.width % spec.height,
                column: at % spec.width,
                got,
                want,
            });
        }
        difference
    }

    /// Both together; the first element is that of whichever has one.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.elements += other.elements;
        self.differing += other.differing;
        for (lsb, count) in other.by_lsb {
            *self.by_lsb.entry(lsb).or_default() += count;
        }
        self.first = self.first.or(other.first);
        self
    }

    pub(super) fn largest(&self) -> u32 {
        self.by_lsb.last_key_value().map_or(0, |(lsb, _)| *lsb)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} elements differ", self.differing, self.elements)?;
        for (lsb, count) in &self.by_lsb {
            write!(f, ", {count} by {lsb} LSB")?;
        }
        if let Some(first) = &self.first {
            let Element { tensor, channel, row, column, got, want } = first;
            write!(
                f,
                "; the first in {tensor}, channel {channel}, row {row}, column {column}: got {got}, \
                 want {want}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(signed: bool) -> TensorSpec {
        TensorSpec {
            name: "mask".into(),
            channels: 2,
            height: 2,
            width: 3,
            scale: 1.0 / 128.0,
            zero_point: 0,
            signed,
        }
    }

    #[test]
    fn counts_by_step_and_names_the_first() {
        let want = [10; 12];
        let mut got = want;
        (got[5], got[7], got[11]) = (9, 14, 11);
        let difference = Difference::of(&spec(false), &got, &want);
        assert_eq!(
            difference.to_string(),
            "3 of 12 elements differ, 2 by 1 LSB, 1 by 4 LSB; the first in mask, channel 0, row 1, \
             column 2: got 9, want 10"
        );
        assert_eq!(difference.largest(), 4);
    }

    #[test]
    fn signed_bytes_are_compared_as_numbers() {
        let mut got = [0xff; 12];
        got[6] = 0;
        let difference = Difference::of(&spec(true), &got, &[0xff; 12]);
        assert_eq!(difference.by_lsb, BTreeMap::from([(1, 1)]));
        let first = difference.first.unwrap();
        assert_eq!(
            (first.channel, first.row, first.column, first.got, first.want),
            (1, 0, 0, 0, -1)
        );
    }

    #[test]
    fn sums_keep_the_first_of_all() {
        let same = Difference::of(&spec(false), &[1; 12], &[1; 12]);
        let other = Difference::of(&spec(false), &[1; 12], &[2; 12]);
        let both = same.clone().and(other.clone()).and(other);
        assert_eq!((both.elements, both.differing, both.largest()), (36, 24, 1));
        assert_eq!(both.first.unwrap().got, 1);
        assert_eq!(same.to_string(), "0 of 12 elements differ");
    }
}
