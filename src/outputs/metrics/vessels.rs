//! Quality and vessel measurements of the frame that was measured last, while the newest mask is live.

use std::fmt::Error;

use super::Reading;
use super::family::{Families, Family};
use crate::outputs::measure::VesselFigure;
use crate::outputs::overlay::Freshness;
use crate::pipeline::quality::Grade;

/// On reject no measurement has a sample, and the grade says why.
pub(super) fn figures(families: &mut Families<'_, '_>, reading: &Reading) -> Result<(), Error> {
    let live = reading.freshness == Freshness::Live;
    let Some(vessels) = reading.counted.vessels.as_ref().filter(|_| live) else { return Ok(()) };
    let grades = [Grade::Good, Grade::Usable, Grade::Reject];
    let is = |grade| f64::from(u8::from(vessels.quality.grade == grade));
    families.gauges(GRADE, grades.map(|grade| (vec![("grade", grade.name())], is(grade))))?;
    let criteria = vessels.quality.criteria.iter();
    let known = criteria
        .filter_map(|of| of.value.map(|value| (vec![("criterion", of.standard.name)], value)));
    families.gauges(CRITERION, known)?;
    // Of a simulated sensor it is the simulation that was measured.
    let quality = reading.counted.snapshot.source.quality.name();
    let labelled = |figure: fn(&VesselFigure) -> Option<f64>| {
        vessels.measurements.iter().filter_map(move |of| {
            let labels = vec![("measurement", of.name), ("unit", of.unit), ("quality", quality)];
            figure(of).map(|value| (labels, value))
        })
    };
    families.gauges(MEASUREMENT, labelled(|of| of.value))?;
    families.gauges(UNCERTAINTY, labelled(|of| of.uncertainty))?;
    families.gauge(STABLE_FRAMES, vessels.stable_frames as f64)
}

const GRADE: Family = Family::new(
    "frame_grade",
    "",
    "1 for the grade of the frame that was measured last, 0 for the others",
);
const CRITERION: Family = Family::new(
    "frame_criterion",
    "",
    "What each criterion of quality says of that frame; docs/quality.md has units and bounds",
);
const MEASUREMENT: Family = Family::new(
    "vessel_measurement",
    "",
    "Vessel measurements of that frame, each in its own unit, none where it is rejected; docs/measurements.md",
);
const UNCERTAINTY: Family = Family::new(
    "vessel_measurement_uncertainty",
    "",
    "Standard deviation of each over the last stable frames, none with fewer than 5",
);
const STABLE_FRAMES: Family =
    Family::new("vessel_stable_frames", "", "Frames that the uncertainty was taken over");
