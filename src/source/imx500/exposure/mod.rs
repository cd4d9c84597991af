//! Exposure and white balance: how long the sensor gathers light, how much it amplifies, and by how
//! much red and blue are raised before the network sees them.
//!
//! Without libcamera nobody else does it: the sensor keeps the exposure that it was given last, and
//! gains of 1.0, whatever stands before the lens.
//!
//! ```text
//!              picture that the network saw            registers of that same frame
//!                          |                                      |
//!                 light.rs: field of view,                        |
//!                 medians, highlights                             |
//!                          |                                      |
//!            +-------------+-------------+                        |
//!            v                           v                        |
//!     white_balance.rs            automatic.rs: how many stops <--+-- made under this exposure
//!            |                           |                        |
//!            |                    setting.rs: time first, then gain
//!            v                           v
//!      gains to NOTIFY_GAINS      lines and code to the driver
//!            |                           |
//!            +---- sensor, some frames later; the tensor, some more --> next picture
//! ```
//!
//! An order acts some frames later, and the tensor of a frame comes some frames after it. Who corrects
//! again before the first correction can be seen corrects twice, and swings. So:
//!
//! ```text
//!             wanted differs from what the frame was made under: order it
//!   +---------+ ---------------------------------------------------------> +---------+
//!   | looking |                                                            | waiting |
//!   +---------+ <--------------------------------------------------------- +---------+
//!             a frame was made under what was ordered, or too many
//!             frames were not: then what they were made under holds
//! ```
//!
//! The network is why this looks at the input tensor and not at the picture for people: it is small, it
//! comes with every inference, and it is what has to be exposed well.
//!
//! That the registers are those of the frame rests on the embedded lines, and on how far back pairing
//! finds the frame; either may be one frame ahead, and no sensor was there to tell. So nothing is concluded
//! from a frame whose registers have just changed.
//!
//! No I/O and no clock: a [`Controller`] is given what was seen and says what to set.

mod automatic;
mod damping;
mod light;
mod setting;
mod white_balance;

pub use light::{Light, LightMeter};
pub use setting::{Limits, Setting};
pub use white_balance::WhiteBalanceMode;

use super::subdev::ColourGains;
use crate::formats::embedded::SensorState;
use automatic::AutoExposure;
use white_balance::WhiteBalance;

/// How the exposure is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExposureMode {
    /// It follows the light.
    Auto,
    /// It follows the light until it has settled, and is then held.
    Locked,
    /// It is this, whatever the light.
    Fixed {
        /// Exposure time, microseconds.
        time_us: f64,
        /// Analogue gain, 1.0 and more.
        gain: f64,
    },
}

/// What the controller aims at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How the exposure is found.
    pub mode: ExposureMode,
    /// Median of green over the field of view, as the network sees it: 0.0 (black) to 1.0.
    pub brightness: f64,
    /// Longest exposure, microseconds: an eye moves. None is as long as a frame.
    pub max_time_us: Option<f64>,
    /// Largest analogue gain.
    pub max_gain: f64,
    /// How the colour gains are found.
    pub white_balance: WhiteBalanceMode,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: ExposureMode::Auto,
            brightness: 0.35,
            max_time_us: None,
            max_gain: 8.0,
            white_balance: WhiteBalanceMode::Auto,
        }
    }
}

/// A frame as the network saw it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Number of that frame.
    pub number: u64,
    /// Number of the newest frame that had arrived when this one's tensor did: what is ordered now acts
    /// on a later one.
    pub newest: u64,
    /// What its input tensor says about light.
    pub light: Light,
    /// Registers of that same frame.
    pub registers: SensorState,
    /// Whether the frame before it was made under the same exposure and gain, as far as is known.
    pub steady: bool,
}

/// What is to be set now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Orders {
    /// Exposure and gain, if they are to change.
    pub setting: Option<Setting>,
    /// Colour gains, if they are to change.
    pub colour_gains: Option<ColourGains>,
}

impl Orders {
    /// One after the other.
    pub fn each(self) -> impl Iterator<Item = Order> {
        let setting = self.setting.map(Order::Setting);
        setting.into_iter().chain(self.colour_gains.map(Order::ColourGains))
    }
}

/// One thing to set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Exposure and gain.
    Setting(Setting),
    /// Colour gains.
    ColourGains(ColourGains),
}

/// Where the controller stands.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct State {
    /// Exposure time of the newest frame that the network saw, milliseconds.
    pub exposure_ms: Option<f64>,
    /// Its analogue gain.
    pub gain: Option<f64>,
    /// Median of green over its field of view, 0.0 to 1.0.
    pub brightness: f64,
    /// Share of the picture that is field of view.
    pub field_of_view: f64,
    /// Whether the exposure is where it should be, or as near as its limits let it.
    pub exposure_settled: bool,
    /// Gain of red over green that was ordered last.
    pub red_gain: f64,
    /// Gain of blue over green.
    pub blue_gain: f64,
    /// Whether the colour gains are where they should be.
    pub white_balance_settled: bool,
    /// Orders that no frame was made under in time.
    pub orders_not_followed: u64,
    /// Frames without readable registers, from which nothing can be concluded.
    pub frames_without_registers: u64,
}

/// The state machine drawn above, for exposure and colour gains.
#[derive(Debug)]
pub struct Controller {
    options: Options,
    automatic: AutoExposure,
    ordered: Option<Ordered>,
    /// Held from now on.
    locked: Option<Setting>,
    white_balance: WhiteBalance,
    state: State,
}

#[derive(Debug, Clone, Copy)]
struct Ordered {
    setting: Setting,
    /// Newest frame when it was ordered.
    at: u64,
}

impl Controller {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let white_balance = WhiteBalance::new(options.white_balance);
        Self {
            options,
            automatic: AutoExposure::new(options.brightness),
            ordered: None,
            locked: None,
            state: State { red_gain: 1.0, blue_gain: 1.0, ..State::default() },
            white_balance,
        }
    }

    /// Takes the next frame that the network saw; gives what to set because of it.
    pub fn push(&mut self, seen: Seen) -> Orders {
        let light = seen.light;
        self.state.brightness = light.median();
        self.state.field_of_view = light.inside;
        let setting = self.expose(&light, &seen);
        let response = self.automatic.response();
        let colour_gains = self.white_balance.push(&light, response, seen.number, seen.newest);
        (self.state.red_gain, self.state.blue_gain) = self.white_balance.ordered();
        self.state.white_balance_settled = self.white_balance.is_settled();
        Orders { setting, colour_gains }
    }

    /// What the device made of an order, where its limits are narrower than ours.
    pub fn was_set(&mut self, order: Order) {
        if let (Order::Setting(setting), Some(ordered)) = (order, &mut self.ordered) {
            ordered.setting = setting;
        }
    }

    /// The device refused an order. An exposure is ordered again once no frame was made under it.
    pub fn was_refused(&mut self, order: Order) {
        if let Order::ColourGains(_) = order {
            self.white_balance.was_refused();
            (self.state.red_gain, self.state.blue_gain) = self.white_balance.ordered();
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    fn expose(&mut self, light: &Light, seen: &Seen) -> Option<Setting> {
        let (Some(in_force), Some(limits)) =
            (Setting::of(&seen.registers), Limits::of(&seen.registers, &self.options))
        else {
            self.state.frames_without_registers += 1;
            return None;
        };
        self.state.exposure_ms = Some(limits.time_us(in_force.lines) / 1000.0);
        self.state.gain = Some(in_force.gain());
        if !seen.steady {
            return None;
        }
        if let Some(ordered) = self.ordered {
            if !in_force.is_nearly(ordered.setting) {
                if seen.number < ordered.at + PATIENCE_FRAMES {
                    return None;
                }
                self.state.orders_not_followed += 1;
            }
            self.ordered = None;
        }
        let wanted = self.wanted(light, in_force, limits);
        if wanted.is_nearly(in_force) {
            return None;
        }
        self.ordered = Some(Ordered { setting: wanted, at: seen.newest });
        Some(wanted)
    }

    fn wanted(&mut self, light: &Light, in_force: Setting, limits: Limits) -> Setting {
        if let Some(locked) = self.locked {
            return locked;
        }
        if let ExposureMode::Fixed { time_us, gain } = self.options.mode {
            let fixed = limits.fixed(time_us, gain);
            self.state.exposure_settled = fixed.is_nearly(in_force);
            return fixed;
        }
        let stops = self.automatic.push(light, in_force.stops());
        let wanted = if stops == 0.0 { in_force } else { limits.split(in_force.stops() + stops) };
        // At its limit it is as near as it can be.
        let stuck = stops != 0.0 && wanted.is_nearly(in_force);
        self.state.exposure_settled = self.automatic.is_settled() || stuck;
        // With the cap on it stands at its limit, too: that is nothing to be locked.
        let lit = light.inside > 0.0;
        if self.state.exposure_settled && lit && self.options.mode == ExposureMode::Locked {
            self.locked = Some(in_force);
        }
        wanted
    }
}

/// Half a second at 30 frames a second; the slowest known way from order to register takes 3 frames.
const PATIENCE_FRAMES: u64 = 16;
