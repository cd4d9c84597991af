//! Power and energy of each instrument, in words and numbers. Each stands for itself: a board's power contains
//! its sensor's, so there is no sum.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Figure;
use crate::pipeline::energy::{Metered, Uncertain};
use crate::source::Quality;
use crate::source::power::{PowerSource, Scope};

/// What one instrument said during a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PowerFigures {
    /// Kind of instrument.
    pub source: PowerSource,
    /// What draws the power.
    pub scope: Scope,
    /// Which instrument.
    pub instrument: String,
    /// Of every figure here.
    pub quality: Quality,
    /// What the power is.
    pub definition: &'static str,
    /// What the uncertainties are.
    pub uncertainty: &'static str,
    /// Newest power; none when the instrument has fallen silent.
    pub power: UncertainFigure,
    /// Mean of the run.
    pub mean_power: UncertainFigure,
    /// Before the run.
    pub idle_power: UncertainFigure,
    /// Run less idle.
    pub power_above_idle: UncertainFigure,
    /// Of the run.
    pub energy: UncertainFigure,
    /// Energy over frames.
    pub energy_per_frame: UncertainFigure,
    /// The same above idle.
    pub energy_above_idle_per_frame: UncertainFigure,
    /// Frames of which the energy is known.
    pub frames: u64,
    /// Time over which energy was integrated.
    pub covered: Figure,
    /// Time of the run over which it was not.
    pub uncovered: Figure,
    /// Pieces of uncovered time.
    pub gaps: u64,
    /// Samples taken, idle ones too.
    pub readings: u64,
    /// Failed readings by reason.
    pub failures: BTreeMap<&'static str, u64>,
}

/// A figure that is off by no more than its uncertainty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UncertainFigure {
    /// The figure.
    #[serde(flatten)]
    pub figure: Figure,
    /// Same unit; none where there is no value, or where a model made it.
    pub uncertainty: Option<f64>,
}

impl From<&Metered> for PowerFigures {
    fn from(metered: &Metered) -> Self {
        let info = &metered.info;
        let quality = info.quality;
        let figure = |value: Option<Uncertain>, unit, definition| UncertainFigure {
            figure: Figure { value: value.map(|value| value.value), unit, quality, definition },
            uncertainty: value
                .map(|value| value.uncertainty)
                .filter(|_| quality != Quality::Simulated),
        };
        let seconds = |value: f64, definition| Figure {
            value: Some(value),
            unit: "s",
            quality: match quality {
                Quality::Simulated => Quality::Simulated,
                Quality::Measured | Quality::Estimated => Quality::Measured,
            },
            definition,
        };
        let (run, idle) = (&metered.run, &metered.idle);
        let newest = metered
            .newest
            .map(|sample| Uncertain { value: sample.watts, uncertainty: sample.uncertainty_watts });
        let energy = Uncertain { value: run.joules, uncertainty: run.uncertainty_joules };
        Self {
            source: info.source,
            scope: info.scope,
            instrument: info.name.clone(),
            quality,
            definition: info.definition,
            uncertainty: info.uncertainty,
            power: figure(
                newest,
                "W",
                "newest sample; of an energy counter the mean since the one before",
            ),
            mean_power: figure(run.watts(), "W", "energy of the run over the time that it covers"),
            idle_power: figure(
                idle.watts(),
                "W",
                "mean before the source was opened (power.idle_seconds); none where that is 0",
            ),
            power_above_idle: figure(
                metered.watts_above_idle(),
                "W",
                "mean power of the run less the idle power; uncertainty: root of the sum of both squares",
            ),
            energy: figure(
                (!run.covered.is_zero()).then_some(energy),
                "J",
                "over the covered time of the run: trapezoids between samples, or the difference of an energy counter",
            ),
            energy_per_frame: figure(
                run.joules_per_frame(),
                "J",
                "energy over the sensor frames that came while it was integrated; all that the scope draws is in it",
            ),
            energy_above_idle_per_frame: figure(
                metered.joules_above_idle_per_frame(),
                "J",
                "power above idle times the covered time, over the sensor frames in it",
            ),
            frames: run.frames,
            covered: seconds(
                run.covered.as_secs_f64(),
                "time of the run over which energy was integrated",
            ),
            uncovered: seconds(
                run.uncovered.as_secs_f64(),
                "time between samples too far apart to be joined; its energy is in no figure here",
            ),
            gaps: run.gaps,
            readings: metered.readings,
            failures: metered.failures.iter().copied().collect(),
        }
    }
}
