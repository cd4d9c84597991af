//! The two JSON documents of a camera; docs/mqtt.md is their manual.
//!
//! A number that is not true any more is null: those of a frame unless it is live, power when the instrument is
//! silent.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::figures::MqttFigures;
use super::measure::MEASURES;
use super::reading::Reading;
use crate::outputs::DISCLAIMER;
use crate::outputs::figures::measurements::MEANINGS;
use crate::outputs::figures::power::{PowerFigures, UncertainFigure};
use crate::outputs::figures::{
    COUNTERS, Facts, Figure, Ladder, NetworkFacts, SensorFigures, StageDefinition, definition,
    milliseconds,
};
use crate::outputs::measure::VesselFigures;
use crate::outputs::overlay::Freshness;
use crate::outputs::recent::RecentRates;
use crate::pipeline::Snapshot;
use crate::pipeline::latency::Stage;
use crate::pipeline::quality::Grade;
use crate::source::Quality;
use crate::source::clock::Timestamp;
use crate::source::power::{PowerSource, Scope};

/// What both documents are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now<'a> {
    pub(super) camera: &'a str,
    pub(super) facts: &'a Facts,
    pub(super) snapshot: &'a Snapshot,
    pub(super) newest: Option<&'a Reading>,
    pub(super) vessels: Vessels<'a>,
    pub(super) state: State,
    /// Host clock.
    pub(super) now: Timestamp,
    /// The same moment on the wall.
    pub(super) wall: SystemTime,
}

impl<'a> Now<'a> {
    /// The newest reading where its numbers are true now.
    fn live(&self) -> Option<&'a Reading> {
        self.newest.filter(|_| self.state == State::Live)
    }
}

/// What was measured of vessels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Vessels<'a> {
    /// By configuration.
    NotMeasured,
    /// None before the first measurement.
    Measured(Option<&'a VesselFigures>),
}

/// What a camera is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Live,
    Stale,
    NoSignal,
    /// The daemon has ended.
    Offline,
}

impl State {
    pub(super) const NAMES: [&'static str; 4] = ["live", "stale", "no_signal", "offline"];
    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl From<Freshness> for State {
    fn from(freshness: Freshness) -> Self {
        match freshness {
            Freshness::Live => Self::Live,
            Freshness::Stale { .. } => Self::Stale,
            Freshness::NoSignal => Self::NoSignal,
        }
    }
}

/// What the camera sees, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Measurements<'a> {
    version: u32,
    disclaimer: &'static str,
    camera: &'a str,
    /// Of this document since the daemon began: one that is missing was lost on the way.
    number: u64,
    taken: String,
    state: State,
    source: &'a str,
    sequence: Option<u64>,
    frame_time: Option<String>,
    measurements: BTreeMap<&'static str, Measurement>,
    measured: Option<Measured>,
    latency: BTreeMap<&'static str, Latency>,
    power: Vec<Power>,
}

#[derive(Debug, Serialize)]
struct Measurement {
    #[serde(flatten)]
    figure: Figure,
    uncertainty: Option<f64>,
}

/// The frame whose vessels were measured, which may be a few before the newest.
#[derive(Debug, Serialize)]
struct Measured {
    sequence: u64,
    grade: Grade,
    advice: Option<&'static str>,
    stable_frames: usize,
}

#[derive(Debug, Serialize)]
struct Latency {
    value: Option<f64>,
    unit: &'static str,
    quality: Quality,
    #[serde(flatten)]
    definition: StageDefinition,
}

#[derive(Debug, Serialize)]
struct Power {
    scope: Scope,
    source: PowerSource,
    instrument: String,
    power: UncertainFigure,
}

impl<'a> Measurements<'a> {
    pub(super) fn new(of: Now<'a>, number: u64) -> Self {
        let live = of.live();
        let quality = of.snapshot.source.quality;
        let measurement = |unit, definition, value: Option<f64>, uncertainty| Measurement {
            figure: Figure {
                value: value.filter(|value| value.is_finite()),
                unit,
                quality,
                definition,
            },
            uncertainty,
        };
        let mut measurements: BTreeMap<_, _> = MEASURES
            .iter()
            .map(|of| {
                let value = live.map(of.value);
                (of.name, measurement(of.unit, of.definition, value, None))
            })
            .collect();
        let vessels = match of.vessels {
            Vessels::Measured(vessels) => {
                // Whatever happens, the same keys.
                measurements.extend(MEANINGS.map(|meaning| {
                    (meaning.name, measurement(meaning.unit, meaning.definition, None, None))
                }));
                vessels.filter(|_| live.is_some())
            }
            Vessels::NotMeasured => None,
        };
        measurements.extend(
            vessels
                .iter()
                .flat_map(|vessels| &vessels.measurements)
                .map(|of| (of.name, measurement(of.unit, of.definition, of.value, of.uncertainty))),
        );
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            camera: of.camera,
            number,
            taken: rfc_3339(of.wall),
            state: of.state,
            source: &of.facts.ladder.camera,
            sequence: live.map(|reading| reading.sequence),
            frame_time: live
                .and_then(|reading| of.wall.checked_sub(reading.age_at(of.now)))
                .map(rfc_3339),
            measurements,
            measured: vessels.map(|vessels| Measured {
                sequence: vessels.sequence,
                grade: vessels.quality.grade,
                advice: vessels.quality.advice(),
                stable_frames: vessels.stable_frames,
            }),
            latency: BTreeMap::from([("sensor_to_mask", Latency::new(of.snapshot, live))]),
            power: of.snapshot.power.iter().map(PowerFigures::from).map(Power::from).collect(),
        }
    }
}

impl Latency {
    fn new(snapshot: &Snapshot, live: Option<&Reading>) -> Self {
        let stage = Stage::SensorToMask;
        let of_stage = snapshot.stages.iter().find(|latency| latency.stage == stage);
        Self {
            value: live.map(|reading| milliseconds(reading.stamps.age_at_mask())),
            unit: "ms",
            quality: of_stage.map_or(snapshot.source.quality, |latency| latency.quality),
            definition: definition(stage),
        }
    }
}

impl From<PowerFigures> for Power {
    fn from(figures: PowerFigures) -> Self {
        let PowerFigures { scope, source, instrument, power, .. } = figures;
        Self { scope, source, instrument, power }
    }
}

/// How the camera is, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Health<'a> {
    version: u32,
    disclaimer: &'static str,
    camera: &'a str,
    qsegment: &'a str,
    taken: String,
    state: State,
    /// Whether somebody should look: whenever the picture is not live.
    problem: bool,
    stale_after_ms: f64,
    newest_mask_age_ms: Option<f64>,
    ladder: &'a Ladder,
    network: &'a NetworkFacts,
    source: Source<'a>,
    sensor: Option<SensorFigures>,
    /// Over the last seconds, host clock.
    recent: Option<RecentRates>,
    counters: BTreeMap<&'static str, u64>,
    injected_faults: BTreeMap<&'static str, u64>,
    device_events: BTreeMap<&'static str, u64>,
    queue_drops: BTreeMap<&'static str, u64>,
    last_error: Option<&'a str>,
    mqtt: MqttFigures,
}

#[derive(Debug, Serialize)]
struct Source<'a> {
    quality: Quality,
    frame_interval_ms: f64,
    scene: Option<&'a str>,
    pace: Option<&'a str>,
}

impl<'a> Health<'a> {
    pub(super) fn new(
        of: Now<'a>,
        stale_after_ms: f64,
        recent: Option<RecentRates>,
        mqtt: MqttFigures,
    ) -> Self {
        let Now { facts, snapshot, state, .. } = of;
        let runs = state != State::Offline;
        let counted = |counts: &[(&'static str, u64)]| counts.iter().copied().collect();
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            camera: of.camera,
            qsegment: &facts.version,
            taken: rfc_3339(of.wall),
            state,
            problem: state != State::Live,
            stale_after_ms,
            newest_mask_age_ms: of
                .newest
                .filter(|_| runs)
                .map(|reading| milliseconds(reading.age_at(of.now))),
            ladder: &facts.ladder,
            network: &facts.network,
            source: Source {
                quality: snapshot.source.quality,
                frame_interval_ms: milliseconds(snapshot.source.frame_interval),
                scene: facts.scene.as_deref(),
                pace: facts.pace.as_deref(),
            },
            sensor: of.live().map(|reading| SensorFigures::from(&reading.sensor)),
            recent: recent.filter(|_| runs),
            counters: COUNTERS
                .map(|counter| (counter.name, (counter.value)(&snapshot.counters)))
                .into(),
            injected_faults: counted(&snapshot.injected_faults),
            device_events: counted(&snapshot.device_events),
            queue_drops: counted(&snapshot.queue_drops),
            last_error: snapshot.last_error.as_deref(),
            mqtt,
        }
    }
}

fn rfc_3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::{facts, now, reading, snapshot, vessels};
    use super::*;
    use crate::outputs::mqtt::Observer;

    fn measurements(state: State) -> Value {
        let (facts, snapshot, reading) = (facts(), snapshot(), reading());
        let document = Measurements::new(now(&facts, &snapshot, Some(&reading), state), 7);
        serde_json::to_value(document).unwrap()
    }

    fn health(state: State) -> Value {
        let (facts, snapshot, reading) = (facts(), snapshot(), reading());
        let recent = RecentRates {
            window_s: 5.0,
            buffers_per_s: 30.0,
            tensors_per_s: 15.0,
            pictures_per_s: 14.0,
        };
        let mqtt = Observer::new("mqtt://b:1883".to_owned(), "theatre-2".to_owned()).figures();
        let now = now(&facts, &snapshot, Some(&reading), state);
        serde_json::to_value(Health::new(now, 500.0, Some(recent), mqtt)).unwrap()
    }

    #[test]
    fn measurements_carry_unit_quality_and_definition() {
        assert_eq!(
            measurements(State::Live),
            json!({
                "version": 1,
                "disclaimer": "Research use only. Not a medical device.",
                "camera": "theatre-2",
                "number": 7,
                "taken": "2026-11-26T12:00:00.000Z",
                "state": "live",
                "source": "imx500",
                "sequence": 41,
                "frame_time": "2026-11-26T11:59:59.750Z",
                "measurements": {
                    "vessel_fraction": {
                        "value": 0.125,
                        "unit": "1",
                        "quality": "measured",
                        "definition": "share of the frame's tensor pixels with probability >= threshold",
                        "uncertainty": null,
                    },
                },
                "measured": null,
                "latency": {
                    "sensor_to_mask": {
                        "value": 102.0,
                        "unit": "ms",
                        "quality": "estimated",
                        "name": "sensor_to_mask",
                        "from": "frame start at the receiver, the end of the first row's exposure",
                        "to": "probability, mask and measurements ready",
                        "clock": "sensor, then host: sum of the two stages",
                    },
                },
                "power": [{
                    "scope": "sensor",
                    "source": "hwmon",
                    "instrument": "ina226 1-0040",
                    "power": {
                        "value": 0.25,
                        "unit": "W",
                        "quality": "measured",
                        "definition": "newest sample; of an energy counter the mean since the one before",
                        "uncertainty": 0.0005,
                    },
                }],
            })
        );
    }

    #[test]
    fn numbers_of_a_frame_that_is_not_live_are_null() {
        for (state, name) in
            [(State::Stale, "stale"), (State::NoSignal, "no_signal"), (State::Offline, "offline")]
        {
            let document = measurements(state);
            assert_eq!(document["state"], name);
            assert_eq!(document["measurements"]["vessel_fraction"]["value"], Value::Null);
            assert_eq!(document["measurements"]["vessel_fraction"]["unit"], "1");
            assert_eq!(document["latency"]["sensor_to_mask"]["value"], Value::Null);
            assert_eq!(
                (&document["sequence"], &document["frame_time"]),
                (&Value::Null, &Value::Null)
            );
            let health = health(state);
            assert_eq!((&health["state"], &health["problem"]), (&json!(name), &json!(true)));
            assert_eq!(health["sensor"], Value::Null);
        }
        let ended = health(State::Offline);
        assert_eq!((&ended["recent"], &ended["newest_mask_age_ms"]), (&Value::Null, &Value::Null));
    }

    fn with_vessels(vessels: &VesselFigures, state: State) -> Value {
        let (facts, snapshot, reading) = (facts(), snapshot(), reading());
        let of = now(&facts, &snapshot, Some(&reading), state);
        let of = Now { vessels: Vessels::Measured(Some(vessels)), ..of };
        serde_json::to_value(Measurements::new(of, 7)).unwrap()
    }

    #[test]
    fn vessels_are_published_with_grade_and_uncertainty() {
        let document = with_vessels(&vessels(), State::Live);
        assert_eq!(
            document["measurements"]["density"],
            json!({
                "value": 0.5,
                "uncertainty": 0.25,
                "unit": "1",
                "quality": "measured",
                "definition": MEANINGS[1].definition,
            })
        );
        assert_eq!(document["measured"]["sequence"], 40);
        assert_eq!(document["measured"]["grade"], "reject");
        assert_eq!(document["measured"]["stable_frames"], 12);
        assert!(document["measured"]["advice"].is_string());
    }

    #[test]
    fn vessels_of_a_stale_frame_are_null_and_keep_their_keys() {
        let stale = with_vessels(&vessels(), State::Stale);
        assert_eq!(stale["measured"], Value::Null);
        assert_eq!(stale["measurements"].as_object().unwrap().len(), MEANINGS.len() + 1);
        for meaning in MEANINGS {
            assert_eq!(stale["measurements"][meaning.name]["value"], Value::Null);
            assert_eq!(stale["measurements"][meaning.name]["unit"], meaning.unit);
        }
        let off = measurements(State::Live);
        assert_eq!(off["measurements"].as_object().unwrap().len(), 1, "not measured, no keys");
    }

    #[test]
    fn health_tells_where_the_camera_stands() {
        let mut document = health(State::Live);
        let counters = document.as_object_mut().unwrap().remove("counters").unwrap();
        assert_eq!((&counters["buffers"], &counters["outputs"]), (&json!(250), &json!(150)));
        assert_eq!(
            document,
            json!({
                "version": 1,
                "disclaimer": "Research use only. Not a medical device.",
                "camera": "theatre-2",
                "qsegment": "0.1.0",
                "taken": "2026-11-26T12:00:00.000Z",
                "state": "live",
                "problem": false,
                "stale_after_ms": 500.0,
                "newest_mask_age_ms": 250.0,
                "ladder": {
                    "camera": "imx500",
                    "camera_reason": null,
                    "inference": "sensor",
                    "inference_reason": null,
                },
                "network": { "name": "accurate", "sha256": "abab", "parameters": null, "macs": null },
                "source": {
                    "quality": "measured",
                    "frame_interval_ms": 40.0,
                    "scene": null,
                    "pace": null,
                },
                "sensor": { "exposure_ms": null, "analogue_gain": null, "temperature_celsius": 41 },
                "recent": {
                    "window_s": 5.0,
                    "buffers_per_s": 30.0,
                    "tensors_per_s": 15.0,
                    "pictures_per_s": 14.0,
                },
                "injected_faults": {},
                "device_events": { "damaged_buffer": 2 },
                "queue_drops": { "web": 4 },
                "last_error": "a buffer was cut",
                "mqtt": {
                    "broker": "mqtt://b:1883",
                    "camera": "theatre-2",
                    "connected": false,
                    "connections": 0,
                    "failures": 0,
                    "last_failure": null,
                    "published": 0,
                    "dropped": {
                        "mqtt_not_connected": 0,
                        "mqtt_queue_full": 0,
                        "mqtt_connection_lost": 0,
                    },
                },
            })
        );
    }

    #[test]
    fn every_state_has_its_name() {
        for state in [State::Live, State::Stale, State::NoSignal, State::Offline] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
