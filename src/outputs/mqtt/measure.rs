//! Everything that is measured on the vessels: a line here is a key of the measurements document and a sensor in
//! Home Assistant.

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
