//! What was measured of vessels, each with its unit and definition.

use serde::Serialize;

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// As it is called in [`Measurements`](crate::pipeline::measurements::Measurements), written.
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
    use crate::pipeline::measurements::Measurements;

    #[test]
    fn every_figure_has_its_meaning() {
        let written = serde_json::to_value(Measurements::default()).unwrap();
        let mut names: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let mut meant = MEANINGS.map(|meaning| meaning.name.to_owned());
        meant.sort();
        assert_eq!(names, meant);
    }
}
