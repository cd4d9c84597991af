//! `[power]`: which instruments are read, and the energy model of the simulated sensor.

use qsegment::source::power;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the vision system draws. Scopes (sensor, board, cpu) contain one another and are never added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Power {
    /// Which instruments are read. Default `"auto"`, whatever is there.
    pub(crate) source: Instruments,
    /// What a power monitor on I2C measures. Default `"label"`, what its label in the device tree says.
    pub(crate) scope: ChipScope,
    /// Which power monitor, by its place on I2C such as `"1-0040"`. Default `""`, the only one of its scope.
    pub(crate) chip: String,
    /// Time between two readings. Default 100.
    pub(crate) period_ms: Period,
    /// How long the idle power is measured before the source is opened. Default 0, not at all.
    pub(crate) idle_seconds: u16,
    /// Energy model of the simulated sensor: streaming power at 4056 x 3040. Default 278.8 (ISSCC 2021).
    pub(crate) simulated_full_mw: Positive,
    /// The same at 2028 x 1520. Default 379.1 (ISSCC 2021).
    pub(crate) simulated_binned_mw: Positive,
    /// The same, operations per joule of its network, two a multiply-accumulate, in units of 10^12. Default
    /// 4.97 (ISSCC 2021).
    pub(crate) simulated_tops_per_watt: Positive,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            source: Instruments::Auto,
            scope: ChipScope::Label,
            chip: String::new(),
            period_ms: Period(100),
            idle_seconds: 0,
            simulated_full_mw: Positive(278.8),
            simulated_binned_mw: Positive(379.1),
            simulated_tops_per_watt: Positive(4.97),
        }
    }
}

impl Power {
    /// Which instruments are looked for; none where none is read.
    pub(crate) fn choice(&self) -> Option<power::Choice> {
        let wanted = match self.source {
            Instruments::None | Instruments::Simulated => return None,
            Instruments::Auto => power::Wanted::Any,
            Instruments::Hwmon => power::Wanted::Hwmon,
            Instruments::Pmic => power::Wanted::Pmic,
            Instruments::Rapl => power::Wanted::Rapl,
        };
        let chip = Some(self.chip.clone()).filter(|chip| !chip.is_empty());
        Some(power::Choice { wanted, chip_scope: self.scope.into(), chip })
    }
}

/// Instruments for power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Instruments {
    Auto,
    None,
    Hwmon,
    Pmic,
    Rapl,
    Simulated,
}

/// What a power monitor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ChipScope {
    Label,
    Sensor,
    Board,
}

impl From<ChipScope> for power::ChipScope {
    fn from(scope: ChipScope) -> Self {
        match scope {
            ChipScope::Label => Self::Label,
            ChipScope::Sensor => Self::Told(power::Scope::Sensor),
            ChipScope::Board => Self::Told(power::Scope::Board),
        }
    }
}

/// Milliseconds between two readings, 10 to 10000: a chip converts in about 1 ms, vcgencmd takes about 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub(crate) struct Period(u32);

impl Period {
    pub(crate) fn get(self) -> Duration {
        Duration::from_millis(self.0.into())
    }
}

impl TryFrom<u32> for Period {
    type Error = String;
    fn try_from(ms: u32) -> Result<Self, String> {
        if (10..=10_000).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(format!("{ms} ms is not between 10 and 10000"))
        }
    }
}

impl From<Period> for u32 {
    fn from(period: Period) -> Self {
        period.0
    }
}

/// A number above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub(crate) struct Positive(f64);

impl Positive {
    pub(crate) fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Positive {
    type Error = String;
    fn try_from(number: f64) -> Result<Self, String> {
        if number.is_finite() && number > 0.0 {
            Ok(Self(number))
        } else {
            Err(format!("{number} is not above 0"))
        }
    }
}

impl From<Positive> for f64 {
    fn from(number: Positive) -> Self {
        number.0
    }
}
