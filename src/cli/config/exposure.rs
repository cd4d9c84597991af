//! `[exposure]` and `[white_balance]`: how bright the camera's network sees, and in what colours.

use std::num::NonZeroU32;

use qsegment::source::imx500::exposure;
use serde::{Deserialize, Serialize};

use super::Config;

/// How long the camera exposes and how much it amplifies, so that the network sees well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Exposure {
    /// `"auto"` follows the light, `"locked"` follows it until it has settled and is then held, `"fixed"`
    /// is `time_us` and `gain`. Default `"auto"`.
    pub(crate) mode: Adjusted,
    /// Median of green over the field of view (the black around it does not count) that is aimed at, as the
    /// network sees it, 0.05 to 0.9. Default 0.35.
    pub(crate) brightness: Brightness,
    /// Longest exposure that is found, microseconds: a longer one blurs an eye that moves. Default 0, as
    /// long as a frame.
    pub(crate) max_time_us: u32,
    /// Largest analogue gain that is found, 1.0 to 22.0: a larger one adds noise. Default 8.0.
    pub(crate) max_gain: Gain,
    /// Exposure where the mode is `"fixed"`, microseconds. Default 10000.
    pub(crate) time_us: NonZeroU32,
    /// Analogue gain where the mode is `"fixed"`. Default 1.0.
    pub(crate) gain: Gain,
}

/// How strongly red and blue count, so that white light looks white to the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhiteBalance {
    /// `"auto"` takes the field of view for grey, but only in part and with gains from 1.0 to 2.5, since a
    /// fundus is red; `"locked"` does so until it has settled (hold a white card before the lens), `"fixed"`
    /// is `red_gain` and `blue_gain`. Default `"auto"`.
    pub(crate) mode: Adjusted,
    /// Red over green where the mode is `"fixed"`, 0.01 to 15.9. Default 1.0.
    pub(crate) red_gain: ColourGain,
    /// Blue over green where the mode is `"fixed"`, 0.01 to 15.9. Default 1.0.
    pub(crate) blue_gain: ColourGain,
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            mode: Adjusted::Auto,
            brightness: Within(0.35),
            max_time_us: 0,
            max_gain: Within(8.0),
            time_us: NonZeroU32::new(10_000).expect("the default is not zero"),
            gain: Within(1.0),
        }
    }
}

impl Default for WhiteBalance {
    fn default() -> Self {
        Self { mode: Adjusted::Auto, red_gain: Within(1.0), blue_gain: Within(1.0) }
    }
}

/// Whether a value is found, found once, or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Adjusted {
    /// It follows what is seen.
    Auto,
    /// It follows what is seen until it has settled.
    Locked,
    /// It is what the other keys say.
    Fixed,
}

/// A number from `LEAST` to `LARGEST`, both in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub(crate) struct Within<const LEAST: u32, const LARGEST: u32>(f64);

impl<const LEAST: u32, const LARGEST: u32> TryFrom<f64> for Within<LEAST, LARGEST> {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        let (least, largest) = (f64::from(LEAST) / 100.0, f64::from(LARGEST) / 100.0);
        if (least..=largest).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not between {least} and {largest}"))
        }
    }
}

impl<const LEAST: u32, const LARGEST: u32> From<Within<LEAST, LARGEST>> for f64 {
    fn from(within: Within<LEAST, LARGEST>) -> Self {
        within.0
    }
}

impl Config {
    /// What the camera's exposure and white balance are to be.
    pub(crate) fn exposure(&self) -> exposure::Options {
        let Exposure { mode, brightness, max_time_us, max_gain, time_us, gain } = self.exposure;
        let WhiteBalance { mode: white_balance, red_gain, blue_gain } = self.white_balance;
        exposure::Options {
            mode: match mode {
                Adjusted::Auto => exposure::ExposureMode::Auto,
                Adjusted::Locked => exposure::ExposureMode::Locked,
                Adjusted::Fixed => {
                    exposure::ExposureMode::Fixed { time_us: time_us.get().into(), gain: gain.0 }
                }
            },
            brightness: brightness.0,
            max_time_us: Some(f64::from(max_time_us)).filter(|&time_us| time_us > 0.0),
            max_gain: max_gain.0,
            white_balance: match white_balance {
                Adjusted::Auto => exposure::WhiteBalanceMode::Auto,
                Adjusted::Locked => exposure::WhiteBalanceMode::Locked,
                Adjusted::Fixed => {
                    exposure::WhiteBalanceMode::Fixed { red: red_gain.0, blue: blue_gain.0 }
                }
            },
        }
    }
}

pub(crate) type Brightness = Within<5, 90>;
pub(crate) type Gain = Within<100, 2200>;
pub(crate) type ColourGain = Within<1, 1590>;
