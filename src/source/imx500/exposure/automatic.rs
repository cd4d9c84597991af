//! How many stops of light are missing, or too many.
//!
//! The picture is encoded by a gamma that nobody has published for this sensor. Taken as a power law,
//!
//! ```text
//!   log2(median) = stops / response + constant        response 2.2: what a display undoes
//! ```
//!
//! stops follow from medians once the response is known, and it is learnt: after a correction the same
//! scene was seen under two exposures, which gives the slope. Before that [`CAUTIOUS`] is assumed, with
//! which a correction stops short of its aim rather than going past it.
//!
//! ```text
//!   seen                                        correction
//!   ------------------------------------------  -----------------------------------------------
//!   median clipped                              3 stops down: how far over is unknown
//!   more highlights clipped than may be         down at once, the further the more are clipped
//!   median off its aim                          to the aim, at most 3 stops, and not so far up
//!                                               that highlights clip
//!   within a fifteenth of a stop                none: settled
//!   settled, and off by less than twice that,   none: noise, a blink
//!   or for fewer than 3 frames
//! ```

use super::damping::Damping;
use super::light::Light;

/// From medians to corrections.
#[derive(Debug)]
pub(super) struct AutoExposure {
    aim: f64,
    response: Option<f64>,
    last: Option<Measured>,
    damping: Damping,
    settled: bool,
    /// Frames in a row that were off while it was settled.
    off: u32,
}

#[derive(Debug, Clone, Copy)]
struct Measured {
    stops: f64,
    median: f64,
}

impl AutoExposure {
    /// `brightness` is the median that it aims at, 0.0 to 1.0.
    pub(super) fn new(brightness: f64) -> Self {
        Self {
            // What is clipped cannot be aimed at, and darkness gives nothing to measure.
            aim: brightness.clamp(0.02, 0.9),
            response: None,
            last: None,
            damping: Damping::default(),
            settled: false,
            off: 0,
        }
    }

    /// The correction, in stops, for a picture that was made under `stops`; 0.0 is none.
    pub(super) fn push(&mut self, light: &Light, stops: f64) -> f64 {
        self.learn(Measured { stops, median: light.median() });
        let missing = self.missing(light);
        let tolerated = if self.settled { 2.0 * DEAD_BAND_STOPS } else { DEAD_BAND_STOPS };
        if missing.abs() <= tolerated {
            self.settled = true;
            self.off = 0;
            self.damping.rest();
            return 0.0;
        }
        self.off += 1;
        if self.settled && self.off < PATIENT_FRAMES {
            return 0.0;
        }
        self.settled = false;
        self.damping.damp(missing)
    }

    /// Whether it was within its dead band lately.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The response, learnt or else as a display has it.
    pub(super) fn response(&self) -> f64 {
        self.response.unwrap_or(2.2)
    }

    fn learn(&mut self, now: Measured) {
        let measurable = |median: f64| median > DARKEST && !Light::is_clipped(median);
        if let Some(last) = self.last
            && (now.stops - last.stops).abs() >= TELLING_STOPS
            && measurable(last.median)
            && measurable(now.median)
        {
            let slope = (now.stops - last.stops) / (now.median / last.median).log2();
            // A scene that changed in between gives a slope that is none.
            if slope.is_finite() && slope > 0.0 {
                self.response = Some(slope.clamp(LEAST_RESPONSE, LARGEST_RESPONSE));
            }
        }
        self.last = Some(now);
    }

    fn missing(&self, light: &Light) -> f64 {
        if Light::is_clipped(light.median()) {
            return -MOST_STOPS;
        }
        let response = self.response.unwrap_or(CAUTIOUS);
        let to_aim = ((self.aim / light.median()).log2() * response).clamp(-MOST_STOPS, MOST_STOPS);
        if Light::is_clipped(light.highlight) {
            // At least half a stop, after which there is room again but none to go back up into.
            return to_aim.min(-ROOM_STOPS - 1.5 * light.clipped);
        }
        let room = (HIGHLIGHT_AIM / light.highlight).log2() * response - ROOM_STOPS;
        to_aim.min(room.max(0.0))
    }
}

/// A picture without any gamma, which is not to be expected, would be corrected a fifth too far.
const CAUTIOUS: f64 = 1.2;
const LEAST_RESPONSE: f64 = 1.0;
const LARGEST_RESPONSE: f64 = 3.0;
const MOST_STOPS: f64 = 3.0;
/// As long as the response is not learnt, it is up to twice that in truth.
const DEAD_BAND_STOPS: f64 = 1.0 / 15.0;
const PATIENT_FRAMES: u32 = 3;
/// So large a correction tells the response in spite of noise.
const TELLING_STOPS: f64 = 0.4;
/// Below three steps of 255 a median is rounding.
const DARKEST: f64 = 3.0 / 255.0;
const HIGHLIGHT_AIM: f64 = 0.97;
const ROOM_STOPS: f64 = 0.5;
