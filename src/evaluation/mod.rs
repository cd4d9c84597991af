//! How far a segmentation agrees with a drawn truth: arithmetic only, on plain slices.
//!
//! ```text
//!   scores, row-major f32 --+-- >= threshold --> Counts --> Dice, accuracy, ... pooled and per picture
//!   truth, row-major bool --+-- in steps ------> Scores --> area under the ROC curve, best threshold
//!   region, row-major bool  |                    where nobody drew it, pipeline::field_of_view finds it
//!   green channel ----------+-- ridge            what no learning gets: the floor of every comparison
//! ```
//!
//! Figures in the literature mix regions, splits and means; here every figure says its own.

mod bootstrap;
mod counts;
mod ridge;
mod roc;

pub use bootstrap::interval_of_pooled_dice;
pub use counts::Counts;
pub use ridge::ridge;
pub use roc::Scores;
