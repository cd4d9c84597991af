//! What the screen says beside the picture: a few figures, twice a second.

use crate::outputs::figures::milliseconds;
use crate::outputs::recent::RecentRates;
use crate::pipeline::latency::{Stage, StageLatency};
use crate::pipeline::{Frame, Snapshot};
use crate::source::Quality;

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
    live: Option<&Frame>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>| {
        if let Some(value) = value {
            rows.push(Row { name, value });
        }
    };
    row("source", Some(snapshot.source.name.to_owned()));
    row("its times are", Some(quality(snapshot.source.quality).to_owned()));
    row("pictures", rates.map(|rates| format!("{:.1} /s", rates.pictures_per_s)));
    let stages = || snapshot.stages.iter().chain(display);
    let median = |wanted: Stage| {
        let stage = stages().find(|stage| stage.stage == wanted && stage.count > 0)?;
        Some(format!("{:.0} ms", milliseconds(stage.p50)))
    };
    row("to mask, p50", median(Stage::SensorToMask));
    row("to screen, p50", median(Stage::ExposureToFlip));
    row("unpaired", Some(snapshot.counters.unpaired.to_string()));
    row("frame", live.map(|frame| frame.sequence.to_string()));
    row("vessels", live.map(|frame| format!("{:.1} %", frame.vessel_fraction * 100.0)));
    let sensor = live.map(|frame| &frame.sensor);
    let exposure = sensor.and_then(|sensor| sensor.exposure());
    row("exposure", exposure.map(|exposure| format!("{:.1} ms", milliseconds(exposure))));
    let warmth = sensor.and_then(|sensor| sensor.temperature_celsius);
    row("sensor", warmth.map(|celsius| format!("{celsius} C")));
    rows
}

fn quality(quality: Quality) -> &'static str {
    match quality {
        Quality::Measured => "measured",
        Quality::Estimated => "estimated",
        Quality::Simulated => "simulated",
    }
}
