//! What was measured of vessels, each with its unit and definition.

use serde::Serialize;

use crate::pipeline::measurements::Measurements;

/// Of one mask, within its field of view. Null is what cannot be said, never nought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasurementFigures {
    /// Area of the field of view, pixels.
    pub field_of_view_px: usize,
    /// Vessel density, 0 to 1.
    pub density: Option<f64>,
    /// Length of the centrelines, pixels.
    pub length_px: f64,
    /// Length density, 1 / pixel.
    pub length_density_per_px: Option<f64>,
    /// Mean width, pixels.
    pub mean_width_px: Option<f64>,
    /// D0.
    pub box_dimension: Option<f64>,
    /// Ends.
    pub end_points: usize,
    /// Branchings.
    pub branch_points: usize,
    /// Median over vessels.
    pub tortuosity_median: Option<f64>,
    /// Weighted by length.
    pub tortuosity: Option<f64>,
}

impl From<Measurements> for MeasurementFigures {
    fn from(of: Measurements) -> Self {
        Self {
            field_of_view_px: of.field_px,
            density: of.density,
            length_px: of.length_px,
            length_density_per_px: of.length_density_per_px,
            mean_width_px: of.mean_width_px,
            box_dimension: of.box_dimension,
            end_points: of.end_points,
            branch_points: of.branch_points,
            tortuosity_median: of.tortuosity_median,
            tortuosity: of.tortuosity,
        }
    }
}

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// As it is called in [`MeasurementFigures`].
    pub name: &'static str,
    /// "1" where it has none.
    pub unit: &'static str,
    /// In one sentence.
    pub definition: &'static str,
}

/// Every figure's, in their order.
pub const MEANINGS: [Meaning; 10] = [
    Meaning {
        name: "field_of_view_px",
        unit: "pixels",
        definition: "area in which vessels are looked for: the lit disc, found in the picture",
    },
    Meaning {
        name: "density",
        unit: "1",
        definition: "vessel area in the field of view over the area of the field of view (not of the picture)",
    },
    Meaning {
        name: "length_px",
        unit: "pixels",
        definition: "length of the centrelines: 1 for an orthogonal and the square root of 2 for a diagonal step",
    },
    Meaning {
        name: "length_density_per_px",
        unit: "1/pixel",
        definition: "length of the centrelines over the area of the field of view",
    },
    Meaning {
        name: "mean_width_px",
        unit: "pixels",
        definition: "vessel area over the length of the centrelines",
    },
    Meaning {
        name: "box_dimension",
        unit: "1",
        definition: "box-counting dimension D0: slope of the number of boxes that vessels touch, boxes of 2 to 256 \
                     pixels; only pictures of one size can be compared",
    },
    Meaning { name: "end_points", unit: "points", definition: "ends of centrelines" },
    Meaning { name: "branch_points", unit: "points", definition: "places where centrelines meet" },
    Meaning {
        name: "tortuosity_median",
        unit: "1",
        definition: "length of a vessel's smoothed centreline over the distance of its ends; the median over the \
                     vessels between ends and branchings that are 15 pixels or longer",
    },
    Meaning {
        name: "tortuosity",
        unit: "1",
        definition: "the same, as the mean weighted by the vessels' lengths",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_meaning() {
        let figures = MeasurementFigures::from(Measurements::default());
        let written = serde_json::to_value(figures).unwrap();
        let mut names: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let mut meant = MEANINGS.map(|meaning| meaning.name.to_owned());
        meant.sort();
        assert_eq!(names, meant);
    }
}
