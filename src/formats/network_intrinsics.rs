//! `network_intrinsics`: what applications are told of a network, as JSON. Keys and their meaning are
//! those of picamera2 (3e6dff0, devices/imx500/imx500.py); others are let through.
//!
//! ```text
//!   {"inference_rate": 19, "task": "segmentation"}
//! ```

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// The keys that picamera2 knows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NetworkIntrinsics {
    /// What the network does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub task: Option<Task>,
    /// Inferences a second that applications should ask for.
    #[serde(skip_serializing_if = "Option::is_none", default, alias = "fps")]
    pub inference_rate: Option<f64>,
    /// What is left to be done on the host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu: Option<Cpu>,
    /// Aspect ratio that the inference window should have.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input_aspect_ratio: Option<AspectRatio>,
    /// Names of classes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub classes: Option<Classes>,
}

/// What a network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// One label a picture.
    #[serde(rename = "classification")]
    Classification,
    /// Boxes.
    #[serde(rename = "object detection")]
    ObjectDetection,
    /// Joints.
    #[serde(rename = "pose estimation")]
    PoseEstimation,
    /// A class or a probability a pixel.
    #[serde(rename = "segmentation")]
    Segmentation,
}

/// What is left to be done on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpu {
    /// Boxes are in pixels and must be divided by the input's size.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bbox_normalization: Option<bool>,
    /// Order of a box's coordinates, "xy" or "yx".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bbox_order: Option<String>,
    /// Outputs are logits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub softmax: Option<bool>,
    /// Name of a further step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub post_processing: Option<String>,
}

/// Width to height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AspectRatio {
    /// Above 0.
    pub width: f64,
    /// Above 0.
    pub height: f64,
}

/// Names of classes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Classes {
    /// By class number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub labels: Option<Vec<String>>,
    /// Leave out classes named "-".
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ignore_undefined: Option<bool>,
}

impl NetworkIntrinsics {
    /// Parses the JSON; `base` is its first byte in the file. A file keeps the text it has: what is
    /// read here is for people and checks.
    pub fn parse(json: &[u8], base: usize) -> Result<Self, Refusal> {
        if json.len() > MAX_LEN_BYTES {
            let got = format!("{} bytes", json.len());
            return Err(Refusal::at(base, MEMBER, got, "at most 1 MiB"));
        }
        let intrinsics: Self = serde_json::from_slice(json).map_err(|error| {
            let at = base + offset_of(json, error.line(), error.column());
            Refusal::at(at, MEMBER, error, "JSON with the keys that picamera2 knows")
        })?;
        intrinsics.check(base)?;
        Ok(intrinsics)
    }

    /// The JSON, on one line.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("every key is a name and no number is NaN");
        let mut text = String::new();
        write_spaced(&value, &mut text);
        text.into_bytes()
    }

    fn check(&self, base: usize) -> Result<(), Refusal> {
        let field = |key: &str| format!("{MEMBER} {key}");
        if let Some(rate) = self.inference_rate.filter(|rate| *rate < 0.0) {
            return Err(Refusal::at(base, field("inference_rate"), rate, "0 or more"));
        }
        if let Some(AspectRatio { width, height }) = self.input_aspect_ratio
            && !(width > 0.0 && height > 0.0)
        {
            let got = format!("{width} to {height}");
            return Err(Refusal::at(base, field("input_aspect_ratio"), got, "both above 0"));
        }
        let order = self.cpu.as_ref().and_then(|cpu| cpu.bbox_order.as_deref());
        match order {
            None | Some("xy" | "yx") => Ok(()),
            Some(other) => {
                let got = format!("\"{other}\"");
                Err(Refusal::at(base, field("cpu.bbox_order"), got, "\"xy\" or \"yx\""))
            }
        }
    }
}

impl Task {
    /// As the JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Classification => "classification",
            Self::ObjectDetection => "object detection",
            Self::PoseEstimation => "pose estimation",
            Self::Segmentation => "segmentation",
        }
    }
}

/// Where line and column, as serde_json counts them, lie in the text.
fn offset_of(json: &[u8], line: usize, column: usize) -> usize {
    let before: usize = json
        .split_inclusive(|&byte| byte == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + column.saturating_sub(1)).min(json.len())
}

/// With a space behind colons and commas, as the public files have it.
fn write_spaced(value: &serde_json::Value, text: &mut String) {
    match value {
        serde_json::Value::Object(object) => {
            text.push('{');
            for (n, (key, value)) in object.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                text.push_str(&serde_json::Value::from(key.as_str()).to_string());
                text.push_str(": ");
                write_spaced(value, text);
            }
            text.push('}');
        }
        serde_json::Value::Array(items) => {
            text.push('[');
            for (n, value) in items.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                write_spaced(value, text);
            }
            text.push(']');
        }
        // A whole number needs no fraction.
        serde_json::Value::Number(number) => {
            let whole = number.as_f64().filter(|real| real.fract() == 0.0 && real.abs() < 1e15);
            match whole {
                Some(real) => text.push_str(&format!("{real:.0}")),
                None => text.push_str(&number.to_string()),
            }
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Member of the archive.
pub const MEMBER: &str = "network_intrinsics";
const MAX_LEN_BYTES: usize = 1 << 20;
