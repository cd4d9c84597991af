//! Instruments for power: which are read, from when on.
//!
//! ```text
//!   found and read -> idle_seconds -> source opened -> run begins: energy and frames count; the model of a
//!                                                      simulated sensor comes in, unless one measures a sensor
//! ```

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use qsegment::outputs::figures::Facts;
use qsegment::pipeline::Observer;
use qsegment::pipeline::metering::{Metering, Meters};
use qsegment::source::clock::Clock;
use qsegment::source::power::{
    self, AbsentError, Activity, EnergyModel, Found, Scope, Simulated, Wanted,
};

use super::service;
use crate::cli::Failure;
use crate::cli::config::{Config, Instruments, Mode};
use crate::cli::out::tell;

/// How long what comes after the idle baseline may take, for systemd.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// The instruments of a run.
pub(super) struct Power<'a> {
    config: &'a Config,
    metering: Metering,
    measures_a_sensor: bool,
}

impl<'a> Power<'a> {
    /// Finds them, reads them, and waits for the idle baseline.
    pub(super) fn start(config: &'a Config, clock: &Clock) -> Result<Self, Failure> {
        let asked = &config.power;
        let found = find(config)?;
        for absent in &found.absent {
            tracing::info!("{absent}");
        }
        let measures_a_sensor = found.has(Scope::Sensor);
        let mut metering = Metering::new(asked.period_ms.get(), clock.clone());
        for instrument in found.instruments {
            let info = instrument.info();
            tracing::info!(instrument = info.name, scope = info.scope.name(), "power is read");
            metering.add(instrument).context("cannot start a power thread")?;
        }
        if asked.idle_seconds > 0 && !metering.is_empty() {
            tell(format_args!("measuring idle power for {} s", asked.idle_seconds));
            let idle = Duration::from_secs(asked.idle_seconds.into());
            service::takes(idle + START_PATIENCE);
            // A stop then ends the run that follows.
            let _ = clock.wait_until(clock.now().plus(idle));
        }
        Ok(Self { config, metering, measures_a_sensor })
    }

    /// Whether the source has what the model needs.
    pub(super) fn check(&self, facts: &Facts) -> Result<(), Failure> {
        if self.config.power.source == Instruments::Simulated && !is_simulated(facts) {
            return Err(Failure::configuration(anyhow!(
                "power.source = \"simulated\" is a model of the simulated sensor, and this run has a camera; \
                 set it to \"auto\", or run with --source simulated"
            )));
        }
        Ok(())
    }

    /// The run begins.
    pub(super) fn begin(&mut self, observer: &Observer, facts: &Facts) -> anyhow::Result<()> {
        self.metering.begin(observer.clone());
        let modelled = match self.config.power.source {
            Instruments::Simulated => true,
            Instruments::Auto => !self.measures_a_sensor,
            _ => false,
        };
        if let (true, true, Some(macs)) = (modelled, is_simulated(facts), facts.network.macs) {
            let in_sensor = facts.ladder.inference == "sensor";
            let observer = observer.clone();
            let activity = move || {
                let progress = observer.progress();
                let inferences = if in_sensor { progress.outputs } else { 0 };
                Activity { streamed: progress.streamed, inferences }
            };
            let model = Simulated::new(self.model(macs), Box::new(activity));
            self.metering.add(Box::new(model)).context("cannot start a power thread")?;
        }
        Ok(())
    }

    /// Reads what they have said so far, also after the end.
    pub(super) fn meters(&self) -> Meters {
        self.metering.meters()
    }

    /// Takes the last readings.
    pub(super) fn end(self) {
        drop(self.metering);
    }

    fn model(&self, macs: u64) -> EnergyModel {
        let asked = &self.config.power;
        let milliwatts = match self.config.source.mode {
            Mode::Full => asked.simulated_full_mw,
            Mode::Binned => asked.simulated_binned_mw,
        };
        EnergyModel::new(milliwatts.get() / 1e3, macs, asked.simulated_tops_per_watt.get())
    }
}

/// What was asked for and is not there is an error; `auto` takes what there is.
fn find(config: &Config) -> Result<Found, Failure> {
    let Some(choice) = config.power.choice() else { return Ok(Found::default()) };
    let mut found = power::find(Path::new("/"), &choice);
    if choice.wanted != Wanted::Any
        && let Some(absent) = found.absent.pop()
    {
        let to_configure = matches!(
            absent,
            AbsentError::NoScope { .. }
                | AbsentError::SeveralChips { .. }
                | AbsentError::NotThatChip { .. }
        );
        let error = anyhow::Error::new(absent).context("power.source");
        return Err(if to_configure {
            Failure::configuration(error)
        } else {
            Failure::unavailable(error)
        });
    }
    Ok(found)
}

fn is_simulated(facts: &Facts) -> bool {
    facts.ladder.camera == "simulated"
}
