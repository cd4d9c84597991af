//! Whether a frame is worth measuring, and what to do at the bench when it is not.
//!
//! ```text
//!   picture, on the mask's grid --+--> field.rs --> field_size, roundness
//!   field of view ----------------+--> light.rs --> brightness, headroom, evenness      worst grade
//!                                 +--> focus.rs --> focus                           --> of the frame
//!   mask -------------------------+--> contrast.rs > contrast
//!                                 +--> still.rs --> stillness, plausibility
//! ```
//!
//! Every criterion is a number of which more is better, with two bounds: from one it is good, from the other usable, and
//! below that no measurement of the frame means anything. `criteria.rs` has the bounds, definitions and advice;
//! docs/quality.md how the bounds were set, and how often they are wrong.
//!
//! All is judged in green, where vessels have most contrast, and on the mask's pixels: a larger picture is averaged down to
//! them, since detail finer than that says nothing about the mask. Not judged: what is in the picture. A sharp, bright
//! photograph of a tree passes everything but plausibility, perhaps that too.

mod contrast;
mod criteria;
mod field;
mod focus;
mod green;
mod light;
mod still;

pub use criteria::{CRITERIA, Standard};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use field::Extent;
use green::Green;
use light::Light;
use still::Before;

/// How good a frame is. The worse is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Numbers of it would mislead: none are given.
    Reject,
    /// Worth measuring, and could be better.
    Usable,
    /// As good as the pictures that the bounds were set on.
    Good,
}

impl Grade {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Usable => "usable",
            Self::Reject => "reject",
        }
    }
}

/// What one criterion says of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Criterion {
    /// Its name, unit, definition, bounds and advice.
    pub standard: &'static Standard,
    /// In the criterion's unit; none where nothing can be said, as of stillness in the first frame.
    pub value: Option<f64>,
    /// Of the value. What nothing can be said of does not decide, and is good.
    pub grade: Grade,
}

impl Criterion {
    fn new(standard: &'static Standard, value: Option<f64>) -> Self {
        Self { standard, value, grade: value.map_or(Grade::Good, |value| standard.grade(value)) }
    }

    /// What would make it better; none where it is good.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        (self.grade < Grade::Good).then_some(self.standard.advice)
    }
}

/// One frame, judged. Written as the pages and files have it: grade, advice, and every criterion with its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The worst of the criteria's.
    pub grade: Grade,
    /// In the order of [`CRITERIA`]: what comes earlier explains what comes later.
    pub criteria: [Criterion; CRITERIA.len()],
}

impl Verdict {
    fn new(values: [Option<f64>; CRITERIA.len()]) -> Self {
        let criteria: [Criterion; CRITERIA.len()] =
            std::array::from_fn(|i| Criterion::new(&CRITERIA[i], values[i]));
        let grade = criteria.iter().fold(Grade::Good, |worst, of| worst.min(of.grade));
        Self { grade, criteria }
    }

    /// The first criterion with the frame's grade; none where all are good.
    #[must_use]
    pub fn failed(&self) -> Option<&Criterion> {
        self.criteria.iter().find(|of| of.grade == self.grade && of.grade < Grade::Good)
    }

    /// What to do first; none where all is good.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        self.failed().and_then(Criterion::advice)
    }
}

/// One frame, and where its field of view lies.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Interleaved RGB, `width * height * 3` bytes; it covers the same view as the mask.
    pub rgb: &'a [u8],
    /// Pixels a row of the picture.
    pub width: usize,
    /// Rows of the picture.
    pub height: usize,
    /// Vessel probability, row-major, 0..=255 for 0.0..=1.0.
    pub probability: &'a [u8],
    /// The mask is `probability >= threshold`.
    pub threshold: u8,
    /// As large as the mask, non-zero inside the field of view.
    pub field: &'a [u8],
    /// Pixels a row of the mask.
    pub mask_width: usize,
    /// Rows of the mask.
    pub mask_height: usize,
}

/// Judges one frame after the other; nothing is allocated once its buffers have grown.
#[derive(Debug, Default)]
pub struct Judge {
    green: Green,
    before: Before,
}

impl Judge {
    /// The next frame is judged as if it were the first.
    pub fn forget(&mut self) {
        self.before.forget();
    }

    /// Frames must come in their order: stillness is that against the frame judged before.
    ///
    /// # Panics
    /// When a slice has another length than its sides say.
    pub fn judge(&mut self, seen: Seen<'_>) -> Verdict {
        let Seen { probability, field, mask_width: width, mask_height: height, .. } = seen;
        assert_eq!(seen.rgb.len(), seen.width * seen.height * 3, "three bytes a pixel");
        assert_eq!(probability.len(), width * height, "a byte a pixel of the mask");
        assert_eq!(field.len(), width * height, "the field of view is that of the mask");
        let compared = self.before.compare(seen);
        let Some(extent) = Extent::of(field, width) else {
            let mut nothing = [None; CRITERIA.len()];
            nothing[0] = Some(0.0);
            return Verdict::new(nothing);
        };
        let green = self.green.on_the_grid(seen);
        let light = Light::of(green, seen, extent);
        Verdict::new([
            Some(extent.size(width * height)),
            Some(extent.roundness()),
            Some(light.brightness()),
            Some(light.headroom()),
            light.evenness(),
            focus::focus(green, field, width, extent.scale()),
            contrast::contrast(green, seen, extent.scale()),
            compared.stillness,
            Some(still::plausibility(compared.vessel_px, extent.pixels)),
        ])
    }
}

impl Serialize for Grade {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("Verdict", 3)?;
        written.serialize_field("grade", &self.grade)?;
        written.serialize_field("advice", &self.advice())?;
        written.serialize_field("criteria", &self.criteria)?;
        written.end()
    }
}

impl Serialize for Criterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("Criterion", 8)?;
        written.serialize_field("name", self.standard.name)?;
        written.serialize_field("unit", self.standard.unit)?;
        written.serialize_field("value", &self.value)?;
        written.serialize_field("grade", &self.grade)?;
        written.serialize_field("good_from", &self.standard.good_from)?;
        written.serialize_field("usable_from", &self.standard.usable_from)?;
        written.serialize_field("definition", self.standard.definition)?;
        written.serialize_field("advice", &self.advice())?;
        written.end()
    }
}
