//! A camera whose every figure is known, for the tests of what is published.

use std::time::{Duration, SystemTime};

use super::documents::{Now, State, Vessels};
use super::reading::Reading;
use crate::formats::embedded::{LinePacking, SensorState};
use crate::outputs::figures::{Facts, Ladder, NetworkFacts};
use crate::outputs::measure::{self, VesselFigures};
use crate::pipeline::energy::{Metered, Span};
use crate::pipeline::latency::{Stage, StageLatency};
use crate::pipeline::{Counters, Frame, Recovery, Snapshot, Stamps};
use crate::source::clock::Timestamp;
use crate::source::imx500::Flips;
use crate::source::power::{InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy};
use crate::source::{Quality, SourceInfo};

/// At 2026-11-26T12:00:00Z; the newest picture is 250 ms old.
pub(super) fn now<'a>(
    facts: &'a Facts,
    snapshot: &'a Snapshot,
    newest: Option<&'a Reading>,
    state: State,
) -> Now<'a> {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_694_400);
    Now {
        camera: "theatre-2",
        facts,
        snapshot,
        newest,
        vessels: Vessels::NotMeasured,
        state,
        now: Timestamp(5_150_000_000),
        wall,
    }
}

/// Of a dark frame, which is rejected, had it been measured all the same.
pub(super) fn vessels() -> VesselFigures {
    let frame = Frame { sequence: 40, ..Frame::default() };
    let mut vessels = measure::of_frame(&frame, measure::Options::default());
    vessels.stable_frames = 12;
    for measurement in &mut vessels.measurements {
        (measurement.value, measurement.uncertainty) = (Some(0.5), Some(0.25));
    }
    vessels
}

/// 100 ms from frame start to tensor, 2 ms to the mask.
pub(super) fn reading() -> Reading {
    Reading {
        sequence: 41,
        vessel_fraction: 0.125,
        sensor: SensorState { temperature_celsius: Some(41), ..SensorState::default() },
        stamps: Stamps {
            frame_start: Timestamp(1_000_000_000),
            tensor_at_host: Timestamp(1_100_000_000),
            received: Timestamp(5_000_000_000),
            mask_ready: Timestamp(5_002_000_000),
        },
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        version: "0.1.0".to_owned(),
        network: NetworkFacts {
            name: "accurate".to_owned(),
            sha256: "ab".repeat(2),
            parameters: None,
            macs: None,
        },
        ladder: Ladder {
            camera: "imx500".to_owned(),
            camera_reason: None,
            inference: "sensor".to_owned(),
            inference_reason: None,
        },
        scene: None,
        seed: None,
        pace: None,
        seen: None,
        flips: Flips::default(),
        inference_model: None,
    }
}

pub(super) fn snapshot() -> Snapshot {
    let latency = Duration::from_millis(102);
    Snapshot {
        source: SourceInfo {
            name: "imx500",
            quality: Quality::Measured,
            frame_interval: Duration::from_millis(40),
            packing: LinePacking::Pi5,
        },
        counters: Counters { buffers: 250, outputs: 150, ..Counters::default() },
        injected_faults: Vec::new(),
        device_events: vec![("damaged_buffer", 2)],
        behind_real_time: Duration::ZERO,
        stages: vec![StageLatency {
            stage: Stage::SensorToMask,
            quality: Quality::Estimated,
            count: 149,
            p50: latency,
            p95: latency,
            p99: latency,
            max: latency,
        }],
        buckets: Vec::new(),
        recovery: Recovery::default(),
        queue_drops: vec![("web", 4)],
        newest_tensor: None,
        sensor_span: None,
        last_error: Some("a buffer was cut".to_owned()),
        screen: None,
        power: vec![metered()],
        taken_at: Timestamp(5),
    }
}

fn metered() -> Metered {
    Metered {
        info: InstrumentInfo {
            source: PowerSource::Hwmon,
            name: "ina226 1-0040".to_owned(),
            scope: Scope::Sensor,
            quality: Quality::Measured,
            timed_by: TimedBy::Host,
            definition: "power through a shunt",
            uncertainty: "resolution",
        },
        newest: Some(PowerSample {
            at: Timestamp(5),
            source: PowerSource::Hwmon,
            scope: Scope::Sensor,
            watts: 0.25,
            uncertainty_watts: 0.0005,
            quality: Quality::Measured,
            joules: None,
        }),
        idle: Span::default(),
        run: Span::default(),
        readings: 1,
        failures: Vec::new(),
    }
}
