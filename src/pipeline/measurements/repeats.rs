//! How far a figure strays from frame to frame while nothing changes: what its last digits are worth.
//!
//! ```text
//!   frames  ..oooooooo x ooooo | oooooooooooo       o  still: the mask overlaps with that of the frame before
//!                      ^       ^     +------+
//!                      moved   set anew  the last N of this stretch: mean, deviation
//! ```
//!
//! A stretch begins anew when threshold, size or window of the mask change, when the mask moves, or when a frame is not fit to
//! be measured. What is left then is noise of light, sensor and network, and an eye that moves a little: it says how well
//! a figure repeats, not how true it is. A bias that all frames share is not in it.

use std::collections::VecDeque;

use super::Measurements;
use crate::source::simulated::isp::InferenceWindow;

/// The last frames of a stretch; nothing is allocated once it is full.
#[derive(Debug)]
pub struct Repeats {
    most: usize,
    under: Option<Under>,
    kept: VecDeque<[Option<f64>; Measurements::FIGURES]>,
}

/// What must not change within a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Under {
    /// Of the mask.
    pub threshold: u8,
    /// Pixels a row of the mask.
    pub width: usize,
    /// Rows of the mask.
    pub height: usize,
    /// Part of the sensor that the network saw; none where that is not known.
    pub window: Option<InferenceWindow>,
}

/// Of one figure over the frames of a stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Over the frames.
    pub mean: f64,
    /// Standard deviation of one frame's value: the square root of the sum of squared differences from the mean over
    /// the number of frames less one.
    pub deviation: f64,
    /// Standard deviation of the mean: that over the square root of the number of frames. Too small where frames are
    /// alike for a common reason.
    pub of_the_mean: f64,
}

impl Repeats {
    /// Looks back over `most` frames.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, under: None, kept: VecDeque::with_capacity(most) }
    }

    /// The next frame. `stillness` is intersection over union of its mask with that of the frame before, none where
    /// there is none to compare with.
    pub fn push(&mut self, measured: &Measurements, under: Under, stillness: Option<f64>) {
        let still = stillness.is_some_and(|overlap| overlap >= STILL);
        if !still || self.under != Some(under) {
            self.kept.clear();
        }
        self.under = Some(under);
        if self.kept.len() >= self.most {
            self.kept.pop_front();
        }
        if self.most > 0 {
            self.kept.push_back(measured.figures());
        }
    }

    /// Begins anew with the next frame.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Frames of the stretch, as many as it looks back over at most.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.kept.len()
    }

    /// Of each figure, in the order of [`Measurements::figures`]. None with fewer than [`FEWEST`] frames, and where one
    /// of the frames has no value.
    #[must_use]
    pub fn spreads(&self) -> [Option<Spread>; Measurements::FIGURES] {
        std::array::from_fn(|figure| self.spread(figure))
    }

    fn spread(&self, figure: usize) -> Option<Spread> {
        if self.kept.len() < FEWEST {
            return None;
        }
        let frames = self.kept.len() as f64;
        let mean = self.kept.iter().map(|of| of[figure]).sum::<Option<f64>>()? / frames;
        let squares =
            self.kept.iter().flat_map(|of| of[figure]).map(|value| (value - mean).powi(2));
        let deviation = (squares.sum::<f64>() / (frames - 1.0)).sqrt();
        Some(Spread { mean, deviation, of_the_mean: deviation / frames.sqrt() })
    }
}

/// Frames below which a deviation says more about chance than about the figure.
pub const FEWEST: usize = 5;
/// Overlap of two masks from which on the second shows the same place, if moved by a pixel or two, which changes no figure:
/// vessels are a few pixels wide. Two masks that have nothing to do with each other, a tenth of each vessel, overlap by 0.05.
pub const STILL: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    const UNDER: Under = Under { threshold: 128, width: 8, height: 8, window: None };
    const CLOSE: InferenceWindow = InferenceWindow { left: 0, top: 0, width: 800, height: 800 };

    fn of_density(density: f64) -> Measurements {
        Measurements { density: Some(density), ..Measurements::default() }
    }

    /// Of densities 0.1, 0.2, ...
    fn after(frames: i32) -> Repeats {
        let mut repeats = Repeats::new(8);
        for frame in 1..=frames {
            repeats.push(&of_density(f64::from(frame) / 10.0), UNDER, Some(0.9));
        }
        repeats
    }

    #[test]
    fn five_frames_have_a_mean_and_a_deviation() {
        assert_eq!(after(4).spreads(), [None; Measurements::FIGURES]);
        let spread = after(5).spreads()[1].expect("density is the second figure");
        assert!((spread.mean - 0.3).abs() < 1e-12);
        // 4 + 1 + 0 + 1 + 4 hundredths over 4.
        assert!((spread.deviation - 0.025_f64.sqrt()).abs() < 1e-12);
        assert!((spread.of_the_mean - 0.005_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn only_the_last_frames_count() {
        let repeats = after(30);
        assert_eq!(repeats.frames(), 8);
        assert!((repeats.spreads()[1].unwrap().mean - 2.65).abs() < 1e-12, "2.3 to 3.0");
    }

    #[test]
    fn a_figure_that_one_frame_lacks_has_no_spread() {
        let mut repeats = after(5);
        repeats.push(&Measurements::default(), UNDER, Some(1.0));
        assert_eq!((repeats.frames(), repeats.spreads()[1]), (6, None));
        assert_eq!(
            repeats.spreads()[0].map(|spread| spread.deviation),
            Some(0.0),
            "field_px, a count"
        );
    }

    #[test]
    fn whatever_changes_begins_a_new_stretch() {
        let push = |under: Under, stillness: Option<f64>| {
            let mut repeats = after(6);
            repeats.push(&of_density(0.5), under, stillness);
            repeats.frames()
        };
        assert_eq!(push(UNDER, Some(0.4)), 7);
        assert_eq!(push(UNDER, Some(0.39)), 1, "moved");
        assert_eq!(push(UNDER, None), 1, "nothing to compare with");
        assert_eq!(push(Under { threshold: 100, ..UNDER }, Some(1.0)), 1);
        assert_eq!(push(Under { width: 16, ..UNDER }, Some(1.0)), 1);
        assert_eq!(push(Under { window: Some(CLOSE), ..UNDER }, Some(1.0)), 1);
        let mut repeats = after(6);
        repeats.forget();
        assert_eq!(repeats.frames(), 0);
    }

    #[test]
    fn looking_back_over_nothing_says_nothing() {
        let mut repeats = Repeats::new(0);
        repeats.push(&of_density(0.1), UNDER, Some(1.0));
        assert_eq!(repeats.frames(), 0);
    }
}
