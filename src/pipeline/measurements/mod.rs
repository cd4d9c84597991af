//! What a mask says about vessels, in numbers with a definition each.
//!
//! ```text
//!   mask within the field of view --+--> area ------------------------------> density
//!                                   +--> boxes.rs --------------------------> D0
//!                                   +--> skeleton --> centreline.rs ---------> length, ends, branchings
//!                                                |       +--> tortuosity.rs -> tortuosity
//!                                                +--> width.rs -------------> width map
//!   one frame after the other ----> repeats.rs ---> mean and deviation of each
//! ```
//!
//! Definitions follow those in use for fundus pictures; where tools differ, the one taken stands at the field. Not
//! measured: anything that needs arteries told from veins, or the optic disc (CRAE, CRVE, AVR), which a vessel mask does
//! not know. Numbers of one network and one camera can be compared with each other; against a person's drawing two
//! people differ by 15 % in density and 13 % in width (CHASE_DB1).

mod boxes;
mod centreline;
pub mod repeats;
mod tortuosity;
mod width;

use boxes::Boxes;
use centreline::Centrelines;
use tortuosity::{Tortuosity, Winding};

use super::skeleton::Thinning;

/// Of one mask. Pixels are the mask's own. Written, what cannot be said is null.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Measurements {
    /// Pixels of the field of view.
    #[serde(rename = "field_of_view_px")]
    pub field_px: usize,
    /// Vessel pixels in it; not written, since density says the same.
    #[serde(skip)]
    pub vessel_px: usize,
    /// Share of the field of view that is vessel, 0.0 to 1.0; none without a field of view. Not of the whole picture.
    pub density: Option<f64>,
    /// Length of the centrelines, pixels: 1 for every orthogonal and sqrt 2 for every diagonal step.
    pub length_px: f64,
    /// That length over the area of the field of view, 1 / pixel.
    pub length_density_per_px: Option<f64>,
    /// Vessel area over the length of the centrelines, pixels; none without vessels.
    pub mean_width_px: Option<f64>,
    /// Box-counting dimension D0 of the vessels, boxes of 2 to 256 pixels.
    pub box_dimension: Option<f64>,
    /// Ends of centrelines.
    pub end_points: usize,
    /// Places where centrelines meet.
    pub branch_points: usize,
    /// Length of the way over the distance of its ends, 1.0 for a straight vessel: the median over the vessels between
    /// ends and branchings that are 15 pixels or longer.
    pub tortuosity_median: Option<f64>,
    /// The same, weighted by the length of each.
    pub tortuosity: Option<f64>,
}

impl Measurements {
    /// How many there are, without the vessel pixels that are not written.
    pub const FIGURES: usize = 10;

    /// Every figure, in the order of the fields.
    #[must_use]
    pub fn figures(&self) -> [Option<f64>; Self::FIGURES] {
        [
            Some(self.field_px as f64),
            self.density,
            Some(self.length_px),
            self.length_density_per_px,
            self.mean_width_px,
            self.box_dimension,
            Some(self.end_points as f64),
            Some(self.branch_points as f64),
            self.tortuosity_median,
            self.tortuosity,
        ]
    }
}

/// Measures one mask after the other; nothing is allocated once its buffers have grown.
#[derive(Debug, Default)]
pub struct Measuring {
    thinning: Thinning,
    centrelines: Centrelines,
    boxes: Boxes,
    tortuosity: Tortuosity,
    /// The mask within the field of view.
    vessels: Vec<u8>,
    skeleton: Vec<u8>,
    path: Vec<(f64, f64)>,
    windings: Vec<Winding>,
}

impl Measuring {
    /// Measures where `probability >= threshold` within `field`. Both are row-major with `width` pixels a row;
    /// non-zero is inside the field of view.
    ///
    /// # Panics
    /// When they differ in length.
    pub fn measure(
        &mut self,
        probability: &[u8],
        threshold: u8,
        field: &[u8],
        width: usize,
    ) -> Measurements {
        assert_eq!(probability.len(), field.len(), "the field of view is that of the mask");
        let field_px = field.iter().filter(|inside| **inside != 0).count();
        self.vessels.clear();
        let inside = probability.iter().zip(field);
        self.vessels.extend(inside.map(|(&p, &inside)| u8::from(p >= threshold && inside != 0)));
        let vessel_px = self.vessels.iter().filter(|vessel| **vessel != 0).count();
        self.skeleton.clone_from(&self.vessels);
        self.thinning.thin(&mut self.skeleton, width);
        self.centrelines.read(&self.skeleton, width);
        let length_px = self.centrelines.length_px();
        let over_field = |value: f64| (field_px > 0).then(|| value / field_px as f64);
        let (tortuosity_median, tortuosity) = self.winding();
        Measurements {
            field_px,
            vessel_px,
            density: over_field(vessel_px as f64),
            length_px,
            length_density_per_px: over_field(length_px),
            mean_width_px: (length_px > 0.0).then(|| vessel_px as f64 / length_px),
            box_dimension: self.boxes.dimension(&self.vessels, width),
            end_points: self.centrelines.end_points(),
            branch_points: self.centrelines.branch_points(),
            tortuosity_median,
            tortuosity,
        }
    }

    /// Every place of the centrelines measured last (column, row), and the width of the vessel there in pixels.
    pub fn widths(&self, width: usize) -> impl Iterator<Item = ((usize, usize), f32)> {
        self.centrelines.places().map(move |place| (place, width::at(&self.vessels, width, place)))
    }

    /// Median, and mean weighted by length.
    fn winding(&mut self) -> (Option<f64>, Option<f64>) {
        let Self { centrelines, tortuosity, path, windings, .. } = self;
        windings.clear();
        centrelines.walk(|path| windings.extend(tortuosity.of(path)), path);
        let length: f64 = windings.iter().map(|winding| winding.arc_px).sum();
        let weighted =
            windings.iter().map(|winding| winding.ratio * winding.arc_px).sum::<f64>() / length;
        windings.sort_unstable_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let middle = windings.len() / 2;
        let median = match windings.len() {
            0 => return (None, None),
            odd if odd % 2 == 1 => windings[middle].ratio,
            _ => f64::midpoint(windings[middle - 1].ratio, windings[middle].ratio),
        };
        (Some(median), Some(weighted))
    }
}
