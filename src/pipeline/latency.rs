//! How long each stage took, as HDR histograms.

use std::time::Duration;

use crate::source::Quality;

/// A stage between two stamps. Definitions follow the ones people in the field use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Frame start to the last line of its output tensor at the host (sensor clock).
    SensorToTensor,
    /// Buffer received to probability, mask and measurements ready (host clock).
    TensorToMask,
    /// Frame start to mask ready: the two above added.
    SensorToMask,
}

/// Distribution of one stage so far.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StageLatency {
    /// Which stage.
    pub stage: Stage,
    /// Who timed it.
    pub quality: Quality,
    /// Frames counted.
    pub count: u64,
    /// Median.
    pub p50: Duration,
    /// 95th percentile.
    pub p95: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
}
