//! Spoilt copies, each with what the gate says of it and how far it really harms.

use qsegment::pipeline::quality::{CRITERIA, Grade};

use crate::degrade::Degradation::{
    self, Bright, Cut, Dark, Defocus, Moved, Noise, None as Untouched, Smear, Uneven,
};

/// Every degradation that is tried.
pub(crate) fn ladder() -> Vec<Degradation> {
    [Untouched]
        .into_iter()
        .chain([1.0, 1.5, 2.0, 3.0, 4.0, 6.0].map(Defocus))
        .chain([4, 8, 12, 18, 26].map(Smear))
        .chain([0.7, 0.5, 0.35, 0.25, 0.18].map(Dark))
        .chain([1.5, 2.0, 3.0, 4.0, 6.0].map(Bright))
        .chain([0.6, 0.4, 0.25, 0.12].map(Uneven))
        .chain([5.0, 10.0, 20.0, 30.0, 50.0].map(Noise))
        .chain([0.05, 0.1, 0.2, 0.3, 0.5].map(Cut))
        .chain([0, 1, 2, 3, 5, 8, 12].map(Moved))
        .collect()
}

/// The criterion that a degradation is meant for.
pub(crate) fn own(degradation: Degradation) -> Option<&'static str> {
    match degradation {
        Untouched => None,
        Defocus(_) | Smear(_) => Some("focus"),
        Dark(_) => Some("brightness"),
        Bright(_) => Some("headroom"),
        Uneven(_) => Some("evenness"),
        Noise(_) => Some("contrast"),
        Cut(_) => Some("roundness"),
        Moved(_) => Some("stillness"),
    }
}

/// One copy, at one size of the network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spoilt {
    /// 1 to 14; both eyes of a child are on one side of the split.
    pub(crate) child: u32,
    pub(crate) side: usize,
    pub(crate) degradation: Degradation,
    pub(crate) grade: Grade,
    pub(crate) values: [Option<f64>; CRITERIA.len()],
    /// Dice with the first observer, and that of the untouched picture at the same size.
    pub(crate) dice: f64,
    pub(crate) dice_before: f64,
    /// Share of vessels in the field that was found, and that of the untouched picture.
    pub(crate) density: f64,
    pub(crate) density_before: f64,
    /// Area of that field, and that of the untouched picture's.
    pub(crate) field: f64,
    pub(crate) field_before: f64,
}

/// What it does to a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    None,
    Slight,
    Serious,
}

impl Spoilt {
    pub(crate) fn value(&self, criterion: &str) -> Option<f64> {
        self.values[CRITERIA.iter().position(|of| of.name == criterion)?]
    }

    pub(crate) fn density_change(&self) -> f64 {
        self.density / self.density_before - 1.0
    }

    pub(crate) fn dice_lost(&self) -> f64 {
        self.dice_before - self.dice
    }

    /// Serious: density or field are wrong by 15 %, as far as two people differ in density, or the mask lost 0.05 of its
    /// Dice. Slight: a third of that. A movement harms no single frame: it is slight from half a vessel's mean width of
    /// 5.4 pixels on, and serious from the whole.
    pub(crate) fn harm(&self) -> Harm {
        if let Moved(by) = self.degradation {
            return match by {
                0..3 => Harm::None,
                3..6 => Harm::Slight,
                _ => Harm::Serious,
            };
        }
        let field_change = (self.field / self.field_before - 1.0).abs();
        let wrong = self.density_change().abs().max(field_change);
        if wrong > 0.15 || self.dice_lost() > 0.05 {
            Harm::Serious
        } else if wrong > 0.05 || self.dice_lost() > 0.02 {
            Harm::Slight
        } else {
            Harm::None
        }
    }
}
