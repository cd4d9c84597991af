//! What the screen says beside the picture: a few figures, twice a second.

use crate::outputs::figures::milliseconds;
use crate::outputs::recent::RecentRates;
use crate::pipeline::energy::Metered;
use crate::pipeline::latency::{Stage, StageLatency};
use crate::pipeline::{Frame, Snapshot};
use crate::source::power::Scope;

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// The figures of this moment. Those of a frame are left out when it is no longer true.
pub(super) fn rows(
    snapshot: &Snapshot,
    display: &[StageLatency],
    rates: Option<RecentRates>,
    inference: Option<&str>,
    live: Option<&Frame>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>| {
        if let Some(value) = value {
            rows.push(Row { name, value });
        }
    };
    row("source", Some(snapshot.source.name.to_owned()));
    row("its times are", Some(snapshot.source.quality.name().to_owned()));
    row("network runs in", inference.map(str::to_owned));
    row("pictures", rates.map(|rates| format!("{:.1} /s", rates.pictures_per_s)));
    let stages = || snapshot.stages.iter().chain(display);
    let median = |wanted: Stage| {
        let stage = stages().find(|stage| stage.stage == wanted && stage.count > 0)?;
        Some(format!("{:.0} ms", milliseconds(stage.p50)))
    };
    row("to mask, p50", median(Stage::SensorToMask));
    row("to screen, p50", median(Stage::ExposureToFlip));
    row("age when replaced", median(Stage::ExposureToReplaced));
    row("unpaired", Some(snapshot.counters.unpaired.to_string()));
    row("frame", live.map(|frame| frame.sequence.to_string()));
    row("vessels", live.map(|frame| format!("{:.1} %", frame.vessel_fraction * 100.0)));
    let sensor = live.map(|frame| &frame.sensor);
    let exposure = sensor.and_then(|sensor| sensor.exposure());
    row("exposure", exposure.map(|exposure| format!("{:.1} ms", milliseconds(exposure))));
    let warmth = sensor.and_then(|sensor| sensor.temperature_celsius);
    row("sensor is at", warmth.map(|celsius| format!("{celsius} C")));
    for scope in Scope::ALL {
        row(scope.name(), power(&snapshot.power, scope));
    }
    rows
}

/// What the first instrument of a scope says now. Scopes contain one another, so there is no sum of them.
fn power(meters: &[Metered], scope: Scope) -> Option<String> {
    let newest = meters.iter().filter(|meter| meter.info.scope == scope).find_map(|m| m.newest);
    newest.map(|sample| format!("{:.0} mW {}", sample.watts * 1e3, sample.quality.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::energy::Span;
    use crate::source::Quality;
    use crate::source::clock::Timestamp;
    use crate::source::power::{InstrumentInfo, PowerSample, PowerSource, TimedBy};

    fn meter(scope: Scope, watts: Option<f64>, quality: Quality) -> Metered {
        let source = PowerSource::Hwmon;
        let info = InstrumentInfo {
            source,
            name: "ina226 10-0040".to_owned(),
            scope,
            quality,
            timed_by: TimedBy::Host,
            definition: "",
            uncertainty: "",
        };
        let newest = watts.map(|watts| PowerSample {
            at: Timestamp::default(),
            source,
            scope,
            watts,
            uncertainty_watts: 0.0,
            quality,
            joules: None,
        });
        let (idle, run, failures) = (Span::default(), Span::default(), Vec::new());
        Metered { info, newest, idle, run, readings: 1, failures }
    }

    #[test]
    fn each_scope_says_its_own_power_and_who_is_silent_says_nothing() {
        let meters = [
            meter(Scope::Board, None, Quality::Measured),
            meter(Scope::Board, Some(5.2116), Quality::Measured),
            meter(Scope::Sensor, Some(0.212), Quality::Simulated),
            meter(Scope::Sensor, Some(9.0), Quality::Measured),
        ];
        assert_eq!(power(&meters, Scope::Sensor).unwrap(), "212 mW simulated");
        assert_eq!(power(&meters, Scope::Board).unwrap(), "5212 mW measured");
        assert_eq!(power(&meters, Scope::Cpu), None);
    }
}
