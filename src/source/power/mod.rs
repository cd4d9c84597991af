//! What the vision system draws: instruments that measure, estimate or simulate power.
//!
//! ```text
//!   hwmon      INA219..INA780 on I2C   the sensor's or the board's line   measured
//!   pmic       Raspberry Pi 5          the board                          estimated
//!   rapl       x86 processors          the CPU package                    estimated
//!   simulated  a model of the sensor   the simulated sensor               simulated
//! ```
//!
//! Each has a scope, what it is that draws the power. Scopes contain one another (the board feeds the sensor),
//! so nothing here or above ever adds them.
//!
//! Uncertainties are bounds that follow from the instrument's resolution or method. What nobody tells the
//! host, such as the tolerance of a shunt resistor, is not in them.

mod attribute;
mod choice;
mod counter;
mod error;
mod hwmon;
mod pmic;
mod rapl;
mod simulated;

pub use choice::{Choice, Found, Wanted, find};
pub use error::{AbsentError, ReadError};
pub use hwmon::{ChipScope, Hwmon};
pub use pmic::Pmic;
pub use rapl::Rapl;
pub use simulated::{Activity, EnergyModel, Simulated};

use std::fmt;

use super::Quality;
use super::clock::Timestamp;

/// Something that says how much power is drawn. It may block, so it has a thread of its own.
pub trait Instrument: fmt::Debug + Send {
    /// Facts that hold as long as it lives.
    fn info(&self) -> InstrumentInfo;
    /// Reads it. `at` is now; `None` where there is nothing new to say, as after the first reading of an energy
    /// counter.
    ///
    /// # Errors
    /// When it is gone or says what cannot be. Later readings may succeed again.
    fn read(&mut self, at: Timestamp) -> Result<Option<PowerSample>, ReadError>;
}

/// Facts about an instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstrumentInfo {
    /// Kind of instrument.
    pub source: PowerSource,
    /// Which one, such as `ina226 10-0040`.
    pub name: String,
    /// What draws the power.
    pub scope: Scope,
    /// Whether it measures.
    pub quality: Quality,
    /// Whose clock stamps its samples.
    pub timed_by: TimedBy,
    /// What the power is, in words.
    pub definition: &'static str,
    /// How far it may be off, in words.
    pub uncertainty: &'static str,
}

/// Power at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerSample {
    /// When.
    pub at: Timestamp,
    /// Who says so.
    pub source: PowerSource,
    /// What draws it.
    pub scope: Scope,
    /// How much; of an energy counter the mean since the sample before.
    pub watts: f64,
    /// `watts` is off by no more than this, as far as the host can know.
    pub uncertainty_watts: f64,
    /// Whether it was measured.
    pub quality: Quality,
    /// Energy so far, of instruments that count it themselves; its origin means nothing, and it never goes back.
    pub joules: Option<f64>,
}

/// Kinds of instruments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PowerSource {
    /// A power monitor on I2C with a driver of Linux.
    Hwmon,
    /// The Raspberry Pi 5's power management chip.
    Pmic,
    /// The energy counters of x86 processors.
    Rapl,
    /// A model.
    Simulated,
}

/// What draws the power. A board's power contains its sensor's and its processor's: never add two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The image sensor, network and all.
    Sensor,
    /// The whole computer.
    Board,
    /// The processor's package.
    Cpu,
}

/// Whose clock stamps samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedBy {
    /// The host's.
    Host,
    /// The simulated sensor's, which `--pace max` makes faster than the host's.
    Sensor,
}

impl PowerSource {
    /// As in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hwmon => "hwmon",
            Self::Pmic => "pmic",
            Self::Rapl => "rapl",
            Self::Simulated => "simulated",
        }
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Sensor, Self::Board, Self::Cpu];
    /// As in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Board => "board",
            Self::Cpu => "cpu",
        }
    }
    /// More than anything of the kind can draw: a reading above is a lie. A camera's line carries about 1 A at
    /// 3.3 V; a Raspberry Pi 5 has a supply of 27 W; processors end near 500 W a package, four packages a board.
    #[must_use]
    pub fn most_watts(self) -> f64 {
        match self {
            Self::Sensor => 5.0,
            Self::Board => 100.0,
            Self::Cpu => 2000.0,
        }
    }
}
