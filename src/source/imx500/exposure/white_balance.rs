//! Gains of red and blue, so that white light looks white to the network.
//!
//! A sensor answers most strongly to green, so without gains everything is green. How much red and blue
//! need depends on the lamp. Grey world takes the mean colour of a scene for grey, which is wrong before
//! a fundus: it is red. Followed all the way it would bleach the retina to grey, so
//!
//! ```text
//!   red and blue that grey world misses, in stops          e.g. red 1.0, blue 2.0
//!     x 0.75       only part of the way                         0.75       1.5
//!     to 0..1.32   gains of 1.0 to 2.5, no others               1.68       2.5
//! ```
//!
//! The lower limit is what keeps a fundus red: its red is stronger than its green, grey world would lower it,
//! and no white light needs that. What comes out is a steady picture of plausible colour, not a true one. For
//! a true one hold a white card before the lens and let the gains lock there, or configure them.
//!
//! There is no read-back of these gains. But an order can say which frame was the newest when it was
//! given, and [`FRAMES_TO_ACT`] frames later it is in force; pictures of earlier frames are not looked
//! at, because nobody knows under which gains they were made.

use super::super::subdev::ColourGains;
use super::damping::Damping;
use super::light::Light;

/// How the colour gains are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WhiteBalanceMode {
    /// They follow the scene.
    Auto,
    /// They follow the scene until they have settled, and are then held.
    Locked,
    /// They are these, whatever the scene; 1.0 leaves a colour as it is.
    Fixed {
        /// Red over green.
        red: f64,
        /// Blue over green.
        blue: f64,
    },
}

/// The loop over the colour gains.
#[derive(Debug)]
pub(super) struct WhiteBalance {
    mode: WhiteBalanceMode,
    /// log2 of red and blue over green, as ordered last.
    gains: [f64; 2],
    /// Those before.
    previous: [f64; 2],
    /// Newest frame when they were ordered; none before the first order.
    ordered_at: Option<u64>,
    damping: [Damping; 2],
    settled: bool,
    locked: bool,
}

impl WhiteBalance {
    /// Gains of 1.0 in force, as the sensor starts.
    #[must_use]
    pub(super) fn new(mode: WhiteBalanceMode) -> Self {
        Self {
            mode,
            gains: [0.0; 2],
            previous: [0.0; 2],
            ordered_at: None,
            damping: [Damping::default(); 2],
            settled: false,
            locked: false,
        }
    }

    /// Takes what frame `number` looked like, while `newest` has arrived; `response` as
    /// [`super::automatic`] has it. Gives new gains, if they are to change.
    pub(super) fn push(
        &mut self,
        light: &Light,
        response: f64,
        number: u64,
        newest: u64,
    ) -> Option<ColourGains> {
        if let WhiteBalanceMode::Fixed { red, blue } = self.mode {
            self.settled = true;
            let first = self.ordered_at.is_none();
            return first.then(|| self.order([red, blue].map(in_range), newest));
        }
        let under_known_gains = self.ordered_at.is_none_or(|at| number >= at + FRAMES_TO_ACT);
        if self.locked || !under_known_gains || !is_measurable(light) {
            return None;
        }
        let [red, green, blue] = light.colours;
        let mut change = [0.0; 2];
        for (axis, colour) in [red, blue].into_iter().enumerate() {
            let seen = (colour / green).log2() * response;
            let without_gain = seen - self.gains[axis];
            let wanted = (-SHARE_OF_GREY * without_gain).clamp(LEAST_GAIN, LARGEST_GAIN);
            change[axis] = wanted - self.gains[axis];
        }
        let tolerated = if self.settled { 2.0 * DEAD_BAND_STOPS } else { DEAD_BAND_STOPS };
        if change.iter().all(|stops| stops.abs() <= tolerated) {
            self.settled = true;
            self.locked = self.mode == WhiteBalanceMode::Locked;
            self.damping.iter_mut().for_each(Damping::rest);
            return None;
        }
        self.settled = false;
        let step = |axis: usize, damping: &mut Damping| damping.damp(change[axis]) * STEP_SHARE;
        let [first, second] = &mut self.damping;
        let gains = [self.gains[0] + step(0, first), self.gains[1] + step(1, second)];
        Some(self.order(gains, newest))
    }

    /// Gain of red and of blue over green that was ordered last.
    #[must_use]
    pub(super) fn ordered(&self) -> (f64, f64) {
        (self.gains[0].exp2(), self.gains[1].exp2())
    }

    /// Whether the gains were where they should be, when last that could be seen.
    #[must_use]
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The device refused the newest order: what was in force before it still is.
    pub(super) fn was_refused(&mut self) {
        self.gains = self.previous;
        if let WhiteBalanceMode::Fixed { .. } = self.mode {
            self.ordered_at = None;
        }
    }

    fn order(&mut self, gains: [f64; 2], newest: u64) -> ColourGains {
        self.previous = std::mem::replace(&mut self.gains, gains);
        self.ordered_at = Some(newest);
        let [red, blue] = gains.map(word);
        ColourGains { red, blue, ..ColourGains::default() }
    }
}

/// Neither too dark to have a colour nor so bright that one is cut off.
fn is_measurable(light: &Light) -> bool {
    light.inside > 0.0
        && light.colours.iter().all(|&colour| colour >= DARKEST && !Light::is_clipped(colour))
}

/// A configured gain as stops, within what the control takes.
fn in_range(gain: f64) -> f64 {
    gain.clamp(1.0 / 256.0, 4095.0 / 256.0).log2()
}

/// 256 is 1.0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the 12 bits of the control"
)]
fn word(stops: f64) -> u16 {
    (stops.exp2() * 256.0).round().clamp(1.0, 4095.0) as u16
}

const SHARE_OF_GREY: f64 = 0.75;
/// In stops: 1.0 and 2.5.
const LEAST_GAIN: f64 = 0.0;
const LARGEST_GAIN: f64 = 1.321_928;
/// With a response that is 2.2 times as steep as assumed, the worst one, this just does not swing.
const STEP_SHARE: f64 = 0.6;
/// 3.5 %.
const DEAD_BAND_STOPS: f64 = 0.05;
/// Exposure, which goes the same way, is known to act after 2 to 3 frames; the rest is margin.
const FRAMES_TO_ACT: u64 = 6;
/// Below three steps of 255 a median is rounding.
const DARKEST: f64 = 3.0 / 255.0;
