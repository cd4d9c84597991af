//! Everything that is measured on the vessels: a line here is a key of the measurements document and a sensor in
//! Home Assistant. What needs a frame worth measuring is in the document by itself, and has a line here only for how
//! Home Assistant shows it.

use super::reading::Reading;

/// One number of a frame.
pub(super) struct Measure {
    /// Key in the document.
    pub(super) name: &'static str,
    /// Of the document's value.
    pub(super) unit: &'static str,
    pub(super) definition: &'static str,
    pub(super) value: fn(&Reading) -> f64,
    /// How a person sees it.
    pub(super) shown: Shown,
}

/// How Home Assistant shows a measure.
pub(super) struct Shown {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// Shown over published.
    pub(super) factor: u32,
    pub(super) decimals: u8,
    pub(super) icon: &'static str,
}

pub(super) const MEASURES: [Measure; 1] = [Measure {
    name: "vessel_fraction",
    unit: "1",
    definition: "share of the frame's tensor pixels with probability >= threshold",
    value: |reading| f64::from(reading.vessel_fraction),
    shown: Shown {
        name: "Vessel fraction",
        unit: "%",
        factor: 100,
        decimals: 2,
        icon: "mdi:source-branch",
    },
}];

/// A measurement of a frame that was judged, by its name in
/// [`MEANINGS`](crate::outputs::figures::measurements::MEANINGS).
pub(super) struct OfVessels {
    pub(super) name: &'static str,
    pub(super) shown: Shown,
}

pub(super) const OF_VESSELS: [OfVessels; 10] = [
    of_vessels("field_of_view_px", "Field of view", "px", 0, "mdi:circle-outline"),
    OfVessels {
        name: "density",
        shown: Shown {
            name: "Vessel density",
            unit: "%",
            factor: 100,
            decimals: 2,
            icon: "mdi:source-branch",
        },
    },
    of_vessels("length_px", "Vessel length", "px", 0, "mdi:vector-polyline"),
    of_vessels("length_density_per_px", "Length density", "1/px", 5, "mdi:vector-polyline"),
    of_vessels("mean_width_px", "Mean vessel width", "px", 2, "mdi:arrow-expand-horizontal"),
    of_vessels("box_dimension", "Box dimension", "1", 3, "mdi:fractal"),
    of_vessels("end_points", "Vessel ends", "points", 0, "mdi:vector-point"),
    of_vessels("branch_points", "Vessel branchings", "points", 0, "mdi:vector-point"),
    of_vessels("tortuosity_median", "Tortuosity, median", "1", 3, "mdi:sine-wave"),
    of_vessels("tortuosity", "Tortuosity", "1", 3, "mdi:sine-wave"),
];

const fn of_vessels(
    measurement: &'static str,
    name: &'static str,
    unit: &'static str,
    decimals: u8,
    icon: &'static str,
) -> OfVessels {
    OfVessels { name: measurement, shown: Shown { name, unit, factor: 1, decimals, icon } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::figures::measurements::MEANINGS;

    #[test]
    fn every_measurement_is_shown() {
        let shown = OF_VESSELS.map(|of| of.name);
        assert_eq!(shown, MEANINGS.map(|meaning| meaning.name));
    }
}
