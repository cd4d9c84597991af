//! Every figure with its name, unit, quality and definition: one wording for report, page and
//! metrics.

pub mod measurements;
pub mod model_card;
pub mod power;
pub mod recovery;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::formats::embedded::SensorState;
use crate::pipeline::geometry::Sight;
use crate::pipeline::latency::{Stage, StageLatency};
use crate::pipeline::{Counters, Snapshot};
use crate::source::Quality;
use crate::source::imx500::Flips;
use crate::source::simulated::isp::InferenceWindow;

/// What is known when a run starts, and holds until it ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// Of this program.
    pub version: String,
    /// The network that runs.
    pub network: NetworkFacts,
    /// Which source and which inference were chosen.
    pub ladder: Ladder,
    /// What the simulated sensor looks at; none with a camera.
    pub scene: Option<String>,
    /// Seed of everything random; none where nothing is.
    pub seed: Option<u64>,
    /// "real" or "max"; none with a camera.
    pub pace: Option<String>,
    /// What of the sensor the network sees at first (a frame says what it sees); none where the simulated sensor looks
    /// at its whole scene, which has a shape of its own.
    pub seen: Option<Seen>,
    /// Which way pictures are turned.
    pub flips: Flips,
    /// Range of the in-sensor run time that the timing model draws from; none with a camera.
    pub inference_model: Option<InferenceModel>,
}

/// A part of the sensor, in full-sensor pixels; (0, 0) is read out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Pixels right of the sensor's left edge.
    pub left: u32,
    /// Pixels below its upper edge.
    pub top: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl From<InferenceWindow> for Part {
    fn from(window: InferenceWindow) -> Self {
        let InferenceWindow { left, top, width, height } = window;
        Self { left, top, width, height }
    }
}

/// Size on the sensor of what the network sees. Its aspect is the true one: the network's input may squeeze it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Full-sensor pixels across.
    pub width_px: usize,
    /// Full-sensor pixels down.
    pub height_px: usize,
}

impl From<Sight> for Seen {
    fn from(sight: Sight) -> Self {
        let size = sight.seen();
        Self { width_px: size.width(), height_px: size.height() }
    }
}

impl From<InferenceWindow> for Seen {
    fn from(window: InferenceWindow) -> Self {
        // The sensor's sides have 12 bits.
        let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        Self { width_px: side(window.width), height_px: side(window.height) }
    }
}

/// Which network, so exactly that a figure can be traced to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkFacts {
    /// File name or "built-in" name.
    pub name: String,
    /// SHA-256 of the ONNX or .rpk file, lower-case hex.
    pub sha256: String,
    /// Weights and biases; none where the file (.rpk) does not say.
    pub parameters: Option<u64>,
    /// Multiply-accumulates per inference; none where the file does not say.
    pub macs: Option<u64>,
}

/// Where on each ladder this run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ladder {
    /// "simulated", "imx500", "replay".
    pub camera: String,
    /// Why it is this camera and no better one; none where it was asked for.
    pub camera_reason: Option<String>,
    /// "sensor" or "host".
    pub inference: String,
    /// Why the host runs the network; none where the sensor does.
    pub inference_reason: Option<String>,
}

/// What the simulated sensor assumes about the in-sensor run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferenceModel {
    /// Shortest.
    pub low: Duration,
    /// Longest.
    pub high: Duration,
}

impl Serialize for InferenceModel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            low_ms: f64,
            high_ms: f64,
            quality: Quality,
            definition: &'static str,
        }
        Written {
            low_ms: milliseconds(self.low),
            high_ms: milliseconds(self.high),
            quality: Quality::Estimated,
            definition: "run time of one inference in the sensor, estimated from the network's \
                         multiply-accumulates and published IMX500 measurements, never measured",
        }
        .serialize(serializer)
    }
}

/// One number and what it means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// None when there was nothing to compute it from.
    pub value: Option<f64>,
    /// Unit of `value`.
    pub unit: &'static str,
    /// Measured, estimated or simulated.
    pub quality: Quality,
    /// In words.
    pub definition: &'static str,
}

/// What a stage's latency is, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StageDefinition {
    /// As in /metrics, /status and the report.
    pub name: &'static str,
    /// Where it begins.
    pub from: &'static str,
    /// Where it ends.
    pub to: &'static str,
    /// Which clock took the time.
    pub clock: &'static str,
}

/// The definitions follow the stamps that exist on a Raspberry Pi (`SensorTimestamp` and the host's
/// own).
#[must_use]
pub fn definition(stage: Stage) -> StageDefinition {
    match stage {
        Stage::ExposureToFrameStart => StageDefinition {
            name: "exposure_to_frame_start",
            from: "middle of the first row's exposure",
            to: "its end, frame start at the receiver: half the exposure by the frame's own registers",
            clock: "none: a register's value",
        },
        Stage::SensorToTensor => StageDefinition {
            name: "sensor_to_tensor",
            from: "frame start at the receiver, the end of the first row's exposure",
            to: "last line of the frame's output tensor in host memory; where the host runs the network, of \
                 what it is shown",
            clock: "sensor",
        },
        Stage::NetworkRunTime => StageDefinition {
            name: "network_run_time",
            from: "start of the network in the sensor",
            to: "its end, by the sensor's own counter (KPI line, word 9, taken as microseconds); lies within \
                 sensor_to_tensor",
            clock: "the sensor's own",
        },
        Stage::DspRunTime => StageDefinition {
            name: "dsp_run_time",
            from: "start of the sensor's signal processor on the frame",
            to: "its end, by the sensor's own counter (KPI line, word 10, taken as microseconds)",
            clock: "the sensor's own",
        },
        Stage::TensorToMask => StageDefinition {
            name: "tensor_to_mask",
            from: "metadata buffer taken from the source",
            to: "probability, mask and measurements ready; where the host runs the network, that run is in it",
            clock: "host",
        },
        Stage::SensorToMask => StageDefinition {
            name: "sensor_to_mask",
            from: "frame start at the receiver, the end of the first row's exposure",
            to: "probability, mask and measurements ready",
            clock: "sensor, then host: sum of the two stages",
        },
        Stage::MaskToCommit => StageDefinition {
            name: "mask_to_commit",
            from: "probability, mask and measurements ready",
            to: "picture and mask handed to the display in one commit",
            clock: "host",
        },
        Stage::CommitToFlip => StageDefinition {
            name: "commit_to_flip",
            from: "picture and mask handed to the display in one commit",
            to: "start of the scan-out that shows them, by the kernel's stamp; what the panel adds is not in it",
            clock: "host",
        },
        Stage::ExposureToFlip => StageDefinition {
            name: "exposure_to_flip",
            from: "middle of the first row's exposure: half the exposure by the sensor's registers before its end",
            to: "start of the scan-out that shows the frame, by the kernel's stamp; what the panel adds is not in it",
            clock: "sensor, then host",
        },
        Stage::ExposureToReplaced => StageDefinition {
            name: "exposure_to_replaced",
            from: "middle of the first row's exposure of the frame on the screen",
            to: "start of the scan-out that shows the next frame, or marks this one as no longer live: the \
                 greatest age at which it was seen",
            clock: "sensor, then host",
        },
    }
}

/// Distribution of one stage with its definition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageFigures {
    /// What it is.
    #[serde(flatten)]
    pub definition: StageDefinition,
    /// Who timed it.
    pub quality: Quality,
    /// Frames counted.
    pub count: u64,
    /// Median.
    pub p50_ms: f64,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Longest.
    pub max_ms: f64,
}

impl From<&StageLatency> for StageFigures {
    fn from(latency: &StageLatency) -> Self {
        Self {
            definition: definition(latency.stage),
            quality: latency.quality,
            count: latency.count,
            p50_ms: milliseconds(latency.p50),
            p95_ms: milliseconds(latency.p95),
            p99_ms: milliseconds(latency.p99),
            max_ms: milliseconds(latency.max),
        }
    }
}

/// How the sensor was set, and how warm, by its own registers of one frame; none where they do not say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SensorFigures {
    /// How long each line was exposed.
    pub exposure_ms: Option<f64>,
    /// 1.0 amplifies nothing.
    pub analogue_gain: Option<f32>,
    /// Of the chip.
    pub temperature_celsius: Option<i8>,
}

impl From<&SensorState> for SensorFigures {
    fn from(state: &SensorState) -> Self {
        Self {
            exposure_ms: state.exposure().map(milliseconds),
            analogue_gain: state.analogue_gain(),
            temperature_celsius: state.temperature_celsius,
        }
    }
}

/// Rates over the whole run on the sensor clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SensorRates {
    /// Buffers.
    pub frames: Figure,
    /// Valid output tensors.
    pub tensors: Figure,
}

impl From<&Snapshot> for SensorRates {
    fn from(snapshot: &Snapshot) -> Self {
        let covered = sensor_time(snapshot);
        let rate = |count: u64| covered.map(|time| count as f64 / time.as_secs_f64());
        let figure = |value, definition| Figure {
            value,
            unit: "1/s",
            quality: snapshot.source.quality,
            definition,
        };
        Self {
            frames: figure(
                rate(snapshot.counters.buffers),
                "buffers over the sensor time they cover (first to last frame start, plus one \
                 frame interval)",
            ),
            tensors: figure(
                rate(snapshot.counters.outputs),
                "valid output tensors (the host's own where it runs the network) over the sensor time that \
                 the buffers cover",
            ),
        }
    }
}

/// Sensor time that the buffers cover: each stands for one frame interval.
pub(super) fn sensor_time(snapshot: &Snapshot) -> Option<Duration> {
    let (first, last) = snapshot.sensor_span?;
    let covered = last.since(first) + snapshot.source.frame_interval;
    (!covered.is_zero()).then_some(covered)
}

/// One counter: its name in the report, its value, what it counts.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    /// The field of [`Counters`].
    pub name: &'static str,
    /// Reads it.
    pub value: fn(&Counters) -> u64,
    /// One line for `/metrics`.
    pub help: &'static str,
}

/// Every field of [`Counters`]; a test fails when one is missing.
pub const COUNTERS: [Counter; 15] = [
    Counter {
        name: "buffers",
        value: |c| c.buffers,
        help: "Metadata buffers taken from the source",
    },
    Counter {
        name: "lost_buffers",
        value: |c| c.lost_buffers,
        help: "Buffers missing in the source's own numbering",
    },
    Counter {
        name: "inputs",
        value: |c| c.inputs,
        help: "Valid input tensors; raw pictures, where a network on the host sees those",
    },
    Counter {
        name: "outputs",
        value: |c| c.outputs,
        help: "Valid output tensors, the host's own where it runs the network",
    },
    Counter {
        name: "paired",
        value: |c| c.paired,
        help: "Frames published: an output tensor joined with the input it came from",
    },
    Counter {
        name: "unpaired",
        value: |c| c.unpaired,
        help: "Input tensors whose output never came, and the other way round",
    },
    Counter {
        name: "no_output_region",
        value: |c| c.no_output_region,
        help: "Buffers without an output region although the input region stands",
    },
    Counter {
        name: "counter_jumps",
        value: |c| c.counter_jumps,
        help: "Jumps of the sensor's frame counter that no lost buffer explains",
    },
    Counter {
        name: "truncated_buffers",
        value: |c| c.truncated_buffers,
        help: "Buffers too short for their regions",
    },
    Counter {
        name: "corrupt_ap_params",
        value: |c| c.corrupt_ap_params,
        help: "Buffers whose ApParams cannot be parsed or name no usable network",
    },
    Counter {
        name: "malformed_buffers",
        value: |c| c.malformed_buffers,
        help: "Other buffers that cannot be read",
    },
    Counter {
        name: "stalls",
        value: |c| c.stalls,
        help: "Gaps between buffers longer than the stall limit",
    },
    Counter {
        name: "stale",
        value: |c| c.stale,
        help: "Buffers at whose arrival the newest mask was older than the stale limit",
    },
    Counter {
        name: "missing_pictures",
        value: |c| c.missing_pictures,
        help: "Frames whose raw picture was wanted but did not come, was let go too early, or cannot be read",
    },
    Counter {
        name: "skipped_inputs",
        value: |c| c.skipped_inputs,
        help: "Inputs that a network on the host was not run on, because a newer one was there",
    },
];

/// In milliseconds, for files and pages; a clock's own unit stays nanoseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    // From whole nanoseconds: 133.4 ms then prints as 133.4.
    duration.as_nanos() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_listed_under_its_own_name() {
        let written = serde_json::to_value(Counters::default()).unwrap();
        let mut fields: Vec<_> = written.as_object().unwrap().keys().cloned().collect();
        fields.sort();
        let mut listed: Vec<_> = COUNTERS.iter().map(|counter| counter.name.to_owned()).collect();
        listed.sort();
        assert_eq!(fields, listed);
    }

    #[test]
    fn every_counter_reads_its_own_field() {
        for counter in COUNTERS {
            let mut written = serde_json::to_value(Counters::default()).unwrap();
            written[counter.name] = 7.into();
            let read: u64 = COUNTERS
                .iter()
                .map(|c| (c.value)(&from_json(&written)) * u64::from(c.name == counter.name))
                .sum();
            assert_eq!(read, 7, "{}", counter.name);
        }
    }

    fn from_json(written: &serde_json::Value) -> Counters {
        let at = |name: &str| written[name].as_u64().unwrap();
        Counters {
            buffers: at("buffers"),
            lost_buffers: at("lost_buffers"),
            inputs: at("inputs"),
            outputs: at("outputs"),
            paired: at("paired"),
            unpaired: at("unpaired"),
            no_output_region: at("no_output_region"),
            counter_jumps: at("counter_jumps"),
            truncated_buffers: at("truncated_buffers"),
            corrupt_ap_params: at("corrupt_ap_params"),
            malformed_buffers: at("malformed_buffers"),
            stalls: at("stalls"),
            stale: at("stale"),
            missing_pictures: at("missing_pictures"),
            skipped_inputs: at("skipped_inputs"),
        }
    }
}
