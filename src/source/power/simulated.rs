//! What a sensor might draw, by a model: for the simulated sensor, and always marked `simulated`.
//!
//! ```text
//!   energy = streaming power of the mode * sensor time  +  inferences * energy of one
//!
//!   streaming power        278.8 mW at 4056 x 3040, 379.1 mW at 2028 x 1520     (ISSCC 2021, IEEE 9365965)
//!   energy of an inference 2 * multiply-accumulates / 4.97 TOPS/W               (the same)
//! ```
//!
//! Other figures are published of which it is not known what they contain: 71.94 mW and 254.60 mW ("IMX-500" and
//! "Full", arXiv 2312.09854), 4.9 mJ a frame and 0.06 mJ an inference (arXiv 2307.07813). They are no parameters,
//! and what the model says confirms none of them. It knows no idle sensor: none has a published power.

use std::fmt;
use std::time::Duration;

use super::error::ReadError;
use super::{Instrument, InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// The model's two parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnergyModel {
    /// Of the streaming sensor, without its network.
    pub streaming_watts: f64,
    /// Of one run of the network.
    pub inference_joules: f64,
}

impl EnergyModel {
    /// For a network of so many multiply-accumulates, two operations each.
    #[must_use]
    pub fn new(streaming_watts: f64, macs: u64, tera_operations_per_joule: f64) -> Self {
        let inference_joules = 2.0 * macs as f64 / (tera_operations_per_joule * 1e12);
        Self { streaming_watts, inference_joules }
    }

    /// Energy of what the sensor has done.
    #[must_use]
    pub fn joules(self, activity: Activity) -> f64 {
        self.streaming_watts * activity.streamed.as_secs_f64()
            + self.inference_joules * activity.inferences as f64
    }
}

/// What a sensor has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Sensor time.
    pub streamed: Duration,
    /// Runs of its network.
    pub inferences: u64,
}

/// An energy counter made by the model.
pub struct Simulated {
    model: EnergyModel,
    activity: Box<dyn Fn() -> Activity + Send>,
    last: Option<Activity>,
}

impl Simulated {
    /// `activity` says what the sensor has done so far.
    #[must_use]
    pub fn new(model: EnergyModel, activity: Box<dyn Fn() -> Activity + Send>) -> Self {
        Self { model, activity, last: None }
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Instrument for Simulated {
    fn info(&self) -> InstrumentInfo {
        InstrumentInfo {
            source: PowerSource::Simulated,
            name: "energy model".to_owned(),
            scope: Scope::Sensor,
            quality: Quality::Simulated,
            timed_by: TimedBy::Sensor,
            definition: "a model, no measurement: published streaming power of the mode, and published energy of the \
                         network's operations for every inference, on the sensor's clock",
            uncertainty: "none is stated: a model is not off by so much, it is not a measurement",
        }
    }

    fn read(&mut self, _at: Timestamp) -> Result<Option<PowerSample>, ReadError> {
        // From the beginning, whenever the first reading is.
        let now = match self.last {
            None => Activity::default(),
            Some(_) => (self.activity)(),
        };
        let since =
            self.last.map_or(Duration::ZERO, |last| now.streamed.saturating_sub(last.streamed));
        let watts = match self.last {
            None => self.model.streaming_watts,
            Some(_) if since.is_zero() => return Ok(None),
            Some(last) => (self.model.joules(now) - self.model.joules(last)) / since.as_secs_f64(),
        };
        self.last = Some(now);
        Ok(Some(PowerSample {
            at: Timestamp::default().plus(now.streamed),
            source: PowerSource::Simulated,
            scope: Scope::Sensor,
            watts,
            uncertainty_watts: 0.0,
            quality: Quality::Simulated,
            joules: Some(self.model.joules(now)),
        }))
    }
}
