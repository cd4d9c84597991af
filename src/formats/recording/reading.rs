//! Messages of a few numbers, in JSON: whatever plots JSON plots them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a published frame says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultMessage {
    /// Number of the buffer that brought the output.
    pub sequence: u64,
    /// The sensor's counter of the frame that the network saw.
    pub frame_count: u8,
    /// How many frames later than its picture the output came.
    pub lag_frames: u32,
    /// Share of mask pixels, 0 to 1.
    pub vessel_fraction: f32,
    /// How long a row was exposed.
    pub exposure_ms: Option<f64>,
    /// Analogue gain.
    pub analogue_gain: Option<f32>,
    /// Of the sensor.
    pub temperature_celsius: Option<i8>,
}

/// When a published frame passed each stage, and how long they took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyMessage {
    /// Number of the buffer that brought the output.
    pub sequence: u64,
    /// Stamp, sensor clock.
    pub frame_start_ns: u64,
    /// Stamp, sensor clock.
    pub tensor_at_host_ns: u64,
    /// Stamp, host clock.
    pub received_ns: u64,
    /// Stamp, host clock.
    pub mask_ready_ns: u64,
    /// Sensor clock.
    pub sensor_to_tensor_ms: f64,
    /// By the sensor's own counter.
    pub network_run_time_ms: Option<f64>,
    /// By the sensor's own counter.
    pub dsp_run_time_ms: Option<f64>,
    /// Host clock.
    pub tensor_to_mask_ms: f64,
    /// The first and the last added.
    pub sensor_to_mask_ms: f64,
}

/// What an instrument for power said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerMessage {
    /// Which instrument.
    pub instrument: String,
    /// What draws the power; scopes contain one another, never add them.
    pub scope: String,
    /// Kind of instrument.
    pub source: String,
    /// Whether it was measured.
    pub quality: String,
    /// How much.
    pub watts: f64,
    /// It is off by no more than this.
    pub uncertainty_watts: f64,
}

/// Quality and vessel measurements of one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VesselsMessage {
    /// Number of the buffer that brought the output.
    pub sequence: u64,
    /// "good", "usable" or "reject".
    pub grade: String,
    /// Name of the criterion that decided it; none where all are good.
    pub failed: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// Frames that the uncertainties were taken over.
    pub stable_frames: u64,
    /// Micrometres a pixel of the mask, where that is known.
    pub pixel_size_um: Option<f64>,
    /// Each by its name; on reject without values.
    pub measurements: Vec<MeasurementMessage>,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementMessage {
    /// Which.
    pub name: String,
    /// "1" where it has none.
    pub unit: String,
    /// Of this frame.
    pub value: Option<f64>,
    /// Standard deviation over the stable frames.
    pub uncertainty: Option<f64>,
}

pub(super) fn result_schema() -> Vec<u8> {
    schema(&[
        ("sequence", INTEGER, "number of the buffer that brought the output tensor"),
        ("frame_count", INTEGER, "the sensor's counter of the frame that the network saw"),
        ("lag_frames", INTEGER, "how many frames later than its picture the output came"),
        ("vessel_fraction", NUMBER, "share of mask pixels, 0 to 1"),
        ("exposure_ms", NUMBER, "how long a row was exposed, by the frame's registers"),
        ("analogue_gain", NUMBER, "by the frame's registers"),
        ("temperature_celsius", NUMBER, "of the sensor"),
    ])
}

pub(super) fn latency_schema() -> Vec<u8> {
    schema(&[
        ("sequence", INTEGER, "number of the buffer that brought the output tensor"),
        ("frame_start_ns", INTEGER, "start of the frame the network saw; sensor clock"),
        ("tensor_at_host_ns", INTEGER, "output tensor's last line at the host; sensor clock"),
        ("received_ns", INTEGER, "buffer taken from the source; host clock"),
        ("mask_ready_ns", INTEGER, "mask ready; host clock"),
        ("sensor_to_tensor_ms", NUMBER, "frame start to tensor at host; sensor clock"),
        ("network_run_time_ms", NUMBER, "of the network in the sensor, by its own counter"),
        ("dsp_run_time_ms", NUMBER, "of the sensor's signal processor, by its own counter"),
        ("tensor_to_mask_ms", NUMBER, "received to mask ready; host clock"),
        ("sensor_to_mask_ms", NUMBER, "sensor_to_tensor_ms and tensor_to_mask_ms added"),
    ])
}

pub(super) fn power_schema() -> Vec<u8> {
    schema(&[
        ("instrument", TEXT, "which instrument"),
        ("scope", TEXT, "what draws the power; scopes contain one another, never add them"),
        ("source", TEXT, "kind of instrument"),
        ("quality", TEXT, "measured, estimated or simulated"),
        ("watts", NUMBER, "how much"),
        ("uncertainty_watts", NUMBER, "watts is off by no more than this"),
    ])
}

pub(super) fn vessels_schema() -> Vec<u8> {
    let measurement = object(&[
        ("name", TEXT, "which"),
        ("unit", TEXT, "1 where it has none"),
        ("value", NUMBER, "of this frame"),
        ("uncertainty", NUMBER, "standard deviation over the stable frames"),
    ]);
    let mut vessels = object(&[
        ("sequence", INTEGER, "number of the buffer that brought the output tensor"),
        ("grade", TEXT, "good, usable or reject"),
        ("failed", TEXT, "criterion that decided the grade, none where all are good"),
        ("advice", TEXT, "what to do about it"),
        ("stable_frames", INTEGER, "frames that the uncertainties were taken over"),
        ("pixel_size_um", NUMBER, "micrometres a pixel of the mask"),
    ]);
    vessels["properties"]["measurements"] = json!({
        "type": "array",
        "description": "each by its name; on reject without values",
        "items": measurement,
    });
    vessels.to_string().into_bytes()
}

fn schema(fields: &[(&str, &str, &str)]) -> Vec<u8> {
    object(fields).to_string().into_bytes()
}

fn object(fields: &[(&str, &str, &str)]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|&(name, kind, what)| (name.to_owned(), json!({ "type": kind, "description": what })))
        .collect();
    json!({ "type": "object", "properties": properties })
}

const INTEGER: &str = "integer";
const NUMBER: &str = "number";
const TEXT: &str = "string";
