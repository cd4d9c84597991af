//! What the pipeline counts and times, what the sensor says of itself, and what holds for the whole run.

use std::fmt::Error;

use super::Reading;
use super::family::{Families, Family, Labels};
use crate::outputs::figures::{COUNTERS, Counter, Facts, SensorRates, definition};
use crate::outputs::overlay::Freshness;
use crate::pipeline::Snapshot;

pub(super) fn facts(families: &mut Families<'_, '_>, facts: &Facts) -> Result<(), Error> {
    let Facts { version, network, ladder, .. } = facts;
    let hash = network.sha256.get(..HASH_LETTERS).unwrap_or(&network.sha256);
    let labels =
        vec![("version", version.as_str()), ("network", &network.name), ("network_sha256", hash)];
    families.info(BUILD, labels)?;
    let mut labels: Labels<'_> = vec![("camera", &ladder.camera), ("inference", &ladder.inference)];
    let reasons =
        [("camera_reason", &ladder.camera_reason), ("inference_reason", &ladder.inference_reason)];
    for (label, reason) in reasons {
        labels.extend(reason.as_deref().map(|reason| (label, reason)));
    }
    families.info(LADDER, labels)
}

pub(super) fn state(families: &mut Families<'_, '_>, reading: &Reading) -> Result<(), Error> {
    let Reading { counted, newest, freshness, stale_after, now, .. } = reading;
    let states = ["live", "stale", "no_signal"]
        .map(|state| (vec![("state", state)], f64::from(u8::from(state == freshness.name()))));
    families.gauges(STATE, states)?;
    let age = newest.as_ref().map(|frame| frame.stamps.age_at(*now).as_secs_f64());
    families.gauge(NEWEST_MASK_AGE, age)?;
    let tensor = counted.snapshot.newest_tensor.map(|at| now.since(at).as_secs_f64());
    families.gauge(NEWEST_TENSOR_AGE, tensor)?;
    families.gauge(STALE_AFTER, stale_after.as_secs_f64())
}

pub(super) fn counters(families: &mut Families<'_, '_>, snapshot: &Snapshot) -> Result<(), Error> {
    let value = |counter: &Counter| (counter.value)(&snapshot.counters);
    for counter in COUNTERS.iter().filter(|counter| !is_fault(counter)) {
        families.counter(Family::new(counter.name, "", counter.help), value(counter))?;
    }
    let faults = COUNTERS.iter().filter(|counter| is_fault(counter));
    families.counters(FAULTS, faults.map(|fault| (vec![("reason", fault.name)], value(fault))))?;
    for (family, label, counts) in [
        (DEVICE_EVENTS, "event", &snapshot.device_events),
        (INJECTED_FAULTS, "fault", &snapshot.injected_faults),
        (QUEUE_DROPS, "queue", &snapshot.queue_drops),
    ] {
        families
            .counters(family, counts.iter().map(|(name, count)| (vec![(label, *name)], *count)))?;
    }
    Ok(())
}

/// What should not happen; the other counters say how much was done.
fn is_fault(counter: &Counter) -> bool {
    !matches!(counter.name, "buffers" | "inputs" | "outputs" | "paired" | "skipped_inputs")
}

pub(super) fn stages(families: &mut Families<'_, '_>, snapshot: &Snapshot) -> Result<(), Error> {
    let labelled = || {
        snapshot.buckets.iter().map(|stage| {
            let labels =
                vec![("stage", definition(stage.stage).name), ("quality", stage.quality.name())];
            (labels, stage)
        })
    };
    families.histograms(STAGE_LATENCY, labelled())?;
    let longest = labelled().filter(|(_, stage)| stage.count > 0);
    let longest = longest.map(|(labels, stage)| (labels, stage.max.as_secs_f64()));
    families.gauges(STAGE_LATENCY_MAX, longest)?;
    let rates = SensorRates::from(snapshot);
    for (family, figure) in [(FRAME_RATE, rates.frames), (TENSOR_RATE, rates.tensors)] {
        let labels = vec![("quality", figure.quality.name())];
        families.gauges(family, figure.value.map(|value| (labels, value)))?;
    }
    families.gauge(BEHIND_REAL_TIME, snapshot.behind_real_time.as_secs_f64())
}

/// Of the newest frame, and only while that is live.
pub(super) fn sensor(families: &mut Families<'_, '_>, reading: &Reading) -> Result<(), Error> {
    let newest = reading.newest.as_ref().filter(|_| reading.freshness == Freshness::Live);
    let Some(frame) = newest else { return Ok(()) };
    // Registers are the sensor's own words: as good as the sensor.
    let quality = reading.counted.snapshot.source.quality.name();
    let sensor = &frame.sensor;
    for (family, value) in [
        (TEMPERATURE, sensor.temperature_celsius.map(f64::from)),
        (EXPOSURE, sensor.exposure().map(|exposure| exposure.as_secs_f64())),
        (ANALOGUE_GAIN, sensor.analogue_gain().map(f64::from)),
        (VESSEL_RATIO, Some(f64::from(frame.vessel_fraction))),
    ] {
        families.gauges(family, value.map(|value| (vec![("quality", quality)], value)))?;
    }
    families.gauge(TENSOR_LAG, f64::from(frame.lag_frames))
}

/// Of the network's SHA-256: enough to tell it from any other, and what `qsegment -V` shows.
const HASH_LETTERS: usize = 12;

const BUILD: Family = Family::new("build", "", "This program and its network");
const LADDER: Family =
    Family::new("ladder", "", "Where this run stands on the camera and inference ladders, and why");
const STATE: Family =
    Family::new("state", "", "1 for the state of what is shown, 0 for the others");
const NEWEST_MASK_AGE: Family = Family::new(
    "newest_mask_age",
    "seconds",
    "Age of the picture that the newest mask was made from",
);
const NEWEST_TENSOR_AGE: Family = Family::new(
    "newest_tensor_age",
    "seconds",
    "Time since the newest valid output tensor was received, paired or not",
);
const STALE_AFTER: Family =
    Family::new("stale_after", "seconds", "Age from which on a mask is not shown as live");
const FAULTS: Family = Family::new("faults", "", "What went wrong on the way to a mask, by reason");
const DEVICE_EVENTS: Family =
    Family::new("device_events", "", "What went wrong between camera and host");
const INJECTED_FAULTS: Family =
    Family::new("injected_faults", "", "Faults that the simulated sensor injected");
const QUEUE_DROPS: Family = Family::new("queue_drops", "", "Frames refused or replaced by a queue");
const STAGE_LATENCY: Family =
    Family::new("stage_latency", "seconds", "How long frames took for a stage");
const STAGE_LATENCY_MAX: Family =
    Family::new("stage_latency_max", "seconds", "Longest that a frame took for a stage so far");
const FRAME_RATE: Family =
    Family::new("frame_rate", "hertz", "Buffers a second of sensor time since the start");
const TENSOR_RATE: Family = Family::new(
    "tensor_rate",
    "hertz",
    "Valid output tensors a second of sensor time since the start",
);
const BEHIND_REAL_TIME: Family = Family::new(
    "behind_real_time",
    "seconds",
    "How far a simulated source is behind, because the processor could not keep up",
);
const TEMPERATURE: Family = Family::new(
    "sensor_temperature",
    "celsius",
    "Temperature of the sensor, by its own register, while the newest mask is live",
);
const EXPOSURE: Family =
    Family::new("exposure", "seconds", "How long each line of the newest live frame was exposed");
const ANALOGUE_GAIN: Family =
    Family::new("analogue_gain", "ratio", "Amplification of the newest live frame, 1 is none");
const VESSEL_RATIO: Family =
    Family::new("vessel", "ratio", "Share of the newest live mask that is vessel, 0 to 1");
const TENSOR_LAG: Family = Family::new(
    "tensor_lag_frames",
    "",
    "How many sensor frames later than its picture the newest live tensor came",
);
