//! What was measured of vessels, as it is written: every number with unit, uncertainty and definition.

use std::time::Duration;

use serde::Serialize;

use crate::outputs::figures::Part;
use crate::outputs::figures::measurements::{MEANINGS, Meaning};
use crate::pipeline::Stamps;
use crate::pipeline::measurements::Measurements;
use crate::pipeline::measurements::repeats::Spread;
use crate::pipeline::quality::Verdict;
use crate::source::simulated::isp::InferenceWindow;

/// One frame, measured; small and without a heap, so that the thread that measures allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) sequence: u64,
    pub(super) stamps: Stamps,
    pub(super) window: Option<InferenceWindow>,
    /// Until the next one is due.
    pub(super) next_after: Duration,
    pub(super) verdict: Verdict,
    pub(super) values: [Option<f64>; Measurements::FIGURES],
    pub(super) spreads: [Option<Spread>; Measurements::FIGURES],
    pub(super) stable_frames: usize,
    pub(super) pixel_size_um: Option<f64>,
}

/// What was measured of the vessels of one frame, and whether it was worth it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VesselFigures {
    /// Of the frame, as in [`Frame::sequence`](crate::pipeline::Frame::sequence).
    pub sequence: u64,
    /// What of the sensor that frame shows; none where nobody knows, as while a moved window settles.
    pub window: Option<Part>,
    /// On reject every value is none.
    pub quality: Verdict,
    /// Frames of the same scene under the same settings up to this one, at most as many as are looked back over.
    pub stable_frames: usize,
    /// Micrometres a pixel of the mask; none where nobody has said, or pixels are not square.
    pub pixel_size_um: Option<f64>,
    /// What the uncertainties are.
    pub uncertainty: &'static str,
    /// Every measurement, whether or not it has a value.
    pub measurements: Vec<VesselFigure>,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VesselFigure {
    /// As in [`MEANINGS`], or in micrometres.
    pub name: &'static str,
    /// "1" where it has none.
    pub unit: &'static str,
    /// Of this frame.
    pub value: Option<f64>,
    /// See [`UNCERTAINTY`].
    pub uncertainty: Option<f64>,
    /// Over the stable frames.
    pub mean: Option<f64>,
    /// Of that mean.
    pub mean_uncertainty: Option<f64>,
    /// In one sentence.
    pub definition: &'static str,
}

impl VesselFigures {
    /// By name.
    #[must_use]
    pub fn measurement(&self, name: &str) -> Option<&VesselFigure> {
        self.measurements.iter().find(|measurement| measurement.name == name)
    }
}

impl From<&Measured> for VesselFigures {
    fn from(of: &Measured) -> Self {
        let figure = |place: usize, meaning: &Meaning, factor: f64| VesselFigure {
            name: meaning.name,
            unit: meaning.unit,
            value: of.values[place].map(|value| value * factor),
            uncertainty: of.spreads[place].map(|spread| spread.deviation * factor),
            mean: of.spreads[place].map(|spread| spread.mean * factor),
            mean_uncertainty: of.spreads[place].map(|spread| spread.of_the_mean * factor),
            definition: meaning.definition,
        };
        let in_pixels =
            MEANINGS.iter().enumerate().map(|(place, meaning)| figure(place, meaning, 1.0));
        let in_micrometres = of.pixel_size_um.into_iter().flat_map(|um| {
            IN_MICROMETRES.iter().filter_map(move |(of_pixels, meaning, factor)| {
                let place = MEANINGS.iter().position(|meaning| meaning.name == *of_pixels)?;
                Some((place, meaning, factor(um)))
            })
        });
        Self {
            sequence: of.sequence,
            window: of.window.map(Part::from),
            quality: of.verdict,
            stable_frames: of.stable_frames,
            pixel_size_um: of.pixel_size_um,
            uncertainty: UNCERTAINTY,
            measurements: in_pixels
                .chain(
                    in_micrometres.map(|(place, meaning, factor)| figure(place, meaning, factor)),
                )
                .collect(),
        }
    }
}

/// What stands beside a value and beside a mean.
pub const UNCERTAINTY: &str = "uncertainty: standard deviation of one frame's value over the last stable frames, with the \
    number of frames less one, null with fewer than 5; mean_uncertainty: that over the square root of their number. How \
    well a value repeats on this camera, not how near it is to what a person would draw";

/// Name of what is in pixels, the same with a length, and the factor at a pixel of so many micrometres.
type InMicrometres = (&'static str, Meaning, fn(f64) -> f64);

const IN_MICROMETRES: [InMicrometres; 3] = [
    (
        "length_px",
        Meaning {
            name: "length_um",
            unit: "um",
            definition: "length_px times the size of a pixel of the mask",
        },
        |um| um,
    ),
    (
        "length_density_per_px",
        Meaning {
            name: "length_density_per_mm",
            unit: "1/mm",
            definition: "length_density_per_px over the size of a pixel of the mask",
        },
        |um| 1000.0 / um,
    ),
    (
        "mean_width_px",
        Meaning {
            name: "mean_width_um",
            unit: "um",
            definition: "mean_width_px times the size of a pixel of the mask",
        },
        |um| um,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_in_the_order_of_their_meanings() {
        let measured = Measurements {
            field_px: 1,
            density: Some(2.0),
            length_px: 3.0,
            length_density_per_px: Some(4.0),
            mean_width_px: Some(5.0),
            box_dimension: Some(6.0),
            end_points: 7,
            branch_points: 8,
            tortuosity_median: Some(9.0),
            tortuosity: Some(10.0),
            ..Measurements::default()
        };
        let written = serde_json::to_value(measured).unwrap();
        for (meaning, value) in MEANINGS.iter().zip(measured.figures()) {
            assert_eq!(written[meaning.name].as_f64(), value, "{}", meaning.name);
        }
    }

    #[test]
    fn every_measurement_in_micrometres_has_one_in_pixels() {
        for (of_pixels, meaning, factor) in IN_MICROMETRES {
            assert!(MEANINGS.iter().any(|meaning| meaning.name == of_pixels), "{of_pixels}");
            assert!(factor(2.0).is_finite(), "{}", meaning.name);
        }
    }
}
