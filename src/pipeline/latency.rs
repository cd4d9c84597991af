//! How long each stage took, as HDR histograms.
//!
//! ```text
//!   frame start --- read-out, network, read-out ---> tensor at host    sensor clock
//!                                                    received --------> mask ready    host clock
//!   |---------------- SensorToTensor ---------------||- TensorToMask --|
//!   |------------------------- SensorToMask ---------------------------|
//! ```
//!
//! A display times what it has shown on its own ([`DisplayLatency`]): the pipeline does not wait for it and
//! knows nothing of it.
//!
//! ```text
//!   mask ready --- drawn ---> committed --- next flip ---> scan-out begins        host clock
//!             |- MaskToCommit -||------ CommitToFlip -----|
//!   middle of the exposure --- ExposureToFlip -----------|
//! ```
//!
//! The two clocks never mix: a duration is taken on one of them, and only durations are added.
//! Frame start is where the driver stamps it, at the end of the first row's exposure: exposure is
//! not in it.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Stamps;
use crate::source::Quality;
use crate::source::clock::Timestamp;

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
    /// Mask ready to the commit that shows it (host clock).
    MaskToCommit,
    /// That commit to the flip, the start of scan-out (host clock).
    CommitToFlip,
    /// Middle of the exposure to the flip.
    ExposureToFlip,
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

/// The distributions of all stages. All memory is allocated when it is made: recording never
/// allocates.
#[derive(Debug)]
pub struct Latency {
    stages: [Distribution; 3],
}

impl Latency {
    /// Empty distributions. `sensor_clock` says who makes the source's time stamps.
    #[must_use]
    pub fn new(sensor_clock: Quality) -> Self {
        let stages = [
            Distribution::new(Stage::SensorToTensor, sensor_clock),
            Distribution::new(Stage::TensorToMask, Quality::Measured),
            // A sum is no better than its worse part, and the host's part is measured.
            Distribution::new(Stage::SensorToMask, sensor_clock),
        ];
        Self { stages }
    }
    /// Counts one published frame.
    pub fn record(&mut self, stamps: &Stamps) {
        let [sensor_to_tensor, tensor_to_mask, sensor_to_mask] = &mut self.stages;
        sensor_to_tensor.record(stamps.tensor_at_host.since(stamps.frame_start));
        tensor_to_mask.record(stamps.mask_ready.since(stamps.received));
        sensor_to_mask.record(stamps.age_at_mask());
    }
    /// Every stage so far, in the order in which a frame passes them.
    #[must_use]
    pub fn stages(&self) -> Vec<StageLatency> {
        self.stages.iter().map(Distribution::summary).collect()
    }
}

/// The distributions of what a display has shown, merged into a snapshot by whoever reads both.
#[derive(Debug)]
pub struct DisplayLatency {
    stages: [Distribution; 3],
}

impl DisplayLatency {
    /// Empty distributions. `sensor_clock` says who makes the source's time stamps.
    #[must_use]
    pub fn new(sensor_clock: Quality) -> Self {
        let stages = [
            Distribution::new(Stage::MaskToCommit, Quality::Measured),
            Distribution::new(Stage::CommitToFlip, Quality::Measured),
            Distribution::new(Stage::ExposureToFlip, sensor_clock),
        ];
        Self { stages }
    }
    /// Counts one frame that was shown, by the host clock. Without an `exposure` (how long the first row was
    /// exposed; frame start is its end) nothing says when the light came.
    pub fn record(&mut self, stamps: &Stamps, exposure: Option<Duration>, shown: Shown) {
        let [mask_to_commit, commit_to_flip, exposure_to_flip] = &mut self.stages;
        mask_to_commit.record(shown.committed.since(stamps.mask_ready));
        commit_to_flip.record(shown.flipped.since(shown.committed));
        if let Some(exposure) = exposure {
            exposure_to_flip.record(exposure / 2 + stamps.age_at(shown.flipped));
        }
    }
    /// Every stage so far, in the order in which a frame passes them.
    #[must_use]
    pub fn stages(&self) -> Vec<StageLatency> {
        self.stages.iter().map(Distribution::summary).collect()
    }
}

/// When a display has shown a frame, by the host clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The commit was handed to the kernel.
    pub committed: Timestamp,
    /// Scan-out of it began.
    pub flipped: Timestamp,
}

#[derive(Debug)]
struct Distribution {
    stage: Stage,
    quality: Quality,
    nanoseconds: Histogram<u32>,
    /// Kept apart: a histogram knows its values only to 0.1 %, and none above its range.
    max: Duration,
}

impl Distribution {
    fn new(stage: Stage, quality: Quality) -> Self {
        let nanoseconds = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that the histogram accepts");
        Self { stage, quality, nanoseconds, max: Duration::ZERO }
    }
    fn record(&mut self, took: Duration) {
        self.nanoseconds.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.max = self.max.max(took);
    }
    fn summary(&self) -> StageLatency {
        // The histogram answers with the upper end of a bucket, which may lie beyond the longest
        // value.
        let quantile =
            |q| Duration::from_nanos(self.nanoseconds.value_at_quantile(q)).min(self.max);
        StageLatency {
            stage: self.stage,
            quality: self.quality,
            count: self.nanoseconds.len(),
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: self.max,
        }
    }
}

/// 0.1 % of the value, which is finer than any stage repeats.
const SIGNIFICANT_DIGITS: u8 = 3;
/// One microsecond: below it, reading the clock costs more than the stage.
const SHORTEST_NS: u64 = 1_000;
/// One minute; longer is counted as one minute, `max` aside. A frame that old was a stall, not
/// latency.
const LONGEST_NS: u64 = 60_000_000_000;

#[cfg(test)]
mod tests {
    use super::{DisplayLatency, Latency, Shown, Stage};
    use crate::pipeline::Stamps;
    use crate::source::Quality;
    use crate::source::clock::Timestamp;
    use std::time::Duration;

    fn stamps(sensor_ms: u64, host_ms: u64) -> Stamps {
        // Different origins: the two clocks have nothing to do with each other.
        let (frame_start, received) = (Timestamp(7_000_000), Timestamp(9_000_000_000));
        Stamps {
            frame_start,
            tensor_at_host: frame_start.plus(Duration::from_millis(sensor_ms)),
            received,
            mask_ready: received.plus(Duration::from_millis(host_ms)),
        }
    }

    #[test]
    fn percentiles_of_one_to_hundred_are_themselves() {
        let mut latency = Latency::new(Quality::Simulated);
        for ms in 1..=100 {
            latency.record(&stamps(ms, 2));
        }
        let stages = latency.stages();
        let sensor = &stages[0];
        assert_eq!((sensor.stage, sensor.quality), (Stage::SensorToTensor, Quality::Simulated));
        assert_eq!(sensor.count, 100);
        for (got, want_ms) in [(sensor.p50, 50), (sensor.p95, 95), (sensor.p99, 99)] {
            let want = Duration::from_millis(want_ms);
            assert!(got >= want && got <= want + want / 1000, "got {got:?}, want {want:?}");
        }
        assert_eq!(sensor.max, Duration::from_millis(100));
    }

    #[test]
    fn sum_of_both_clocks_is_per_frame() {
        let mut latency = Latency::new(Quality::Measured);
        latency.record(&stamps(30, 1));
        latency.record(&stamps(10, 5));
        let stages = latency.stages();
        let longest: Vec<_> = stages.iter().map(|stage| stage.max.as_millis()).collect();
        assert_eq!(longest, [30, 5, 31]);
        assert!(stages.iter().all(|stage| stage.quality == Quality::Measured));
    }

    #[test]
    fn display_adds_half_the_exposure_and_what_came_after_the_mask() {
        let mut latency = DisplayLatency::new(Quality::Measured);
        let stamps = stamps(30, 1);
        let shown = Shown {
            committed: stamps.mask_ready.plus(Duration::from_millis(2)),
            flipped: stamps.mask_ready.plus(Duration::from_millis(12)),
        };
        latency.record(&stamps, Some(Duration::from_millis(10)), shown);
        latency.record(&stamps, None, shown);
        let got: Vec<_> =
            latency.stages().iter().map(|s| (s.stage, s.count, s.max.as_millis())).collect();
        let want = [
            (Stage::MaskToCommit, 2, 2),
            (Stage::CommitToFlip, 2, 10),
            (Stage::ExposureToFlip, 1, 5 + 30 + 1 + 12),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn equal_values_have_equal_percentiles() {
        let mut latency = Latency::new(Quality::Measured);
        for _ in 0..10 {
            latency.record(&stamps(50, 3));
        }
        let stage = &latency.stages()[0];
        assert_eq!((stage.p50, stage.p95, stage.p99), (stage.max, stage.max, stage.max));
    }

    #[test]
    fn longer_than_the_range_counts_and_shows_in_max() {
        let mut latency = Latency::new(Quality::Measured);
        latency.record(&stamps(3_600_000, 1));
        let stage = &latency.stages()[0];
        assert_eq!((stage.count, stage.max), (1, Duration::from_secs(3600)));
        assert!(stage.p50 >= Duration::from_secs(60));
    }

    #[test]
    fn nothing_recorded_is_zero() {
        for stage in Latency::new(Quality::Measured).stages() {
            assert_eq!((stage.count, stage.p99, stage.max), (0, Duration::ZERO, Duration::ZERO));
        }
    }
}
