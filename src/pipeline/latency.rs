//! How long each stage took, as HDR histograms.
//!
//! ```text
//!   middle of exposure   frame start        tensor at host = received   mask ready   commit      flip   replaced
//!     |-ExposureToFrameStart-|---- SensorToTensor ----|--- TensorToMask ---|-MaskTo--|-CommitTo-|        |
//!     |                      |   NetworkRunTime       |                    | Commit  |  Flip    |        |
//!     |                      |   DspRunTime           |                    |                    |        |
//!     |                      |---------------- SensorToMask ---------------|                    |        |
//!     |------------------------------- ExposureToFlip ------------------------------------------|        |
//!     |------------------------------- ExposureToReplaced: how stale a picture on the screen gets -------|
//!                     sensor clock                    |                   host clock
//! ```
//!
//! The two clocks never mix: a duration is taken on one of them, and only durations are added.
//! Frame start is where the driver stamps it, at the end of the first row's exposure. How long that
//! exposure was the frame's own registers say, and the run times are the sensor's own: neither is timed here.
//!
//! A display times what it has shown on its own ([`DisplayLatency`]): the pipeline does not wait for it and
//! knows nothing of it.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::trace::{OnScreen, Passed, Ring};
use super::{Counters, Frame};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// A stage between two stamps. Definitions follow the ones people in the field use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Middle of the first row's exposure to frame start: half the exposure by the frame's registers.
    ExposureToFrameStart,
    /// Frame start to the last line of its output tensor at the host (sensor clock).
    SensorToTensor,
    /// The network's run time in the sensor, by the sensor's own counter.
    NetworkRunTime,
    /// Its signal processor's run time, by the sensor's own counter.
    DspRunTime,
    /// Buffer received to probability, mask and measurements ready (host clock).
    TensorToMask,
    /// Frame start to mask ready: sensor to tensor and tensor to mask added.
    SensorToMask,
    /// Mask ready to the commit that shows it (host clock).
    MaskToCommit,
    /// That commit to the flip, the start of scan-out (host clock).
    CommitToFlip,
    /// Middle of the exposure to the flip.
    ExposureToFlip,
    /// Middle of the exposure to the flip that took the picture off the screen: the greatest age at which it
    /// was shown as live.
    ExposureToReplaced,
}

impl Stage {
    /// Every stage, in the order in which a frame passes them.
    pub const ALL: [Self; 10] = [
        Self::ExposureToFrameStart,
        Self::SensorToTensor,
        Self::NetworkRunTime,
        Self::DspRunTime,
        Self::TensorToMask,
        Self::SensorToMask,
        Self::MaskToCommit,
        Self::CommitToFlip,
        Self::ExposureToFlip,
        Self::ExposureToReplaced,
    ];
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

/// One stage so far in fixed buckets: what can be read without walking through a histogram while decode waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageBuckets {
    /// Which stage.
    pub stage: Stage,
    /// Who timed it.
    pub quality: Quality,
    /// Frames counted.
    pub count: u64,
    /// Of all of them together.
    pub sum: Duration,
    /// Longest.
    pub max: Duration,
    /// Frames that took no longer than each of [`BUCKET_BOUNDS`], but longer than the one before it.
    pub within: [u64; BUCKET_BOUNDS.len()],
}

/// Everything that was counted of one stage, for export.
#[derive(Debug, Clone)]
pub struct StageHistogram {
    /// Which stage.
    pub stage: Stage,
    /// Who timed it.
    pub quality: Quality,
    /// Nanoseconds, to 0.1 %.
    pub nanoseconds: Histogram<u32>,
}

/// The distributions of all stages. All memory is allocated when it is made: recording never
/// allocates.
#[derive(Debug)]
pub struct Latency {
    stages: [Distribution; 6],
    passed: Ring<Passed>,
}

impl Latency {
    /// Empty distributions. `sensor_clock` says who makes the source's time stamps, `host_clock` who makes the
    /// host's.
    #[must_use]
    pub fn new(sensor_clock: Quality, host_clock: Quality) -> Self {
        // A sum is no better than its worse part.
        let of_both = if host_clock == Quality::Measured { sensor_clock } else { host_clock };
        let stages = [
            Distribution::new(Stage::ExposureToFrameStart, of_registers(sensor_clock)),
            Distribution::new(Stage::SensorToTensor, sensor_clock),
            Distribution::new(Stage::NetworkRunTime, of_registers(sensor_clock)),
            Distribution::new(Stage::DspRunTime, of_registers(sensor_clock)),
            Distribution::new(Stage::TensorToMask, host_clock),
            Distribution::new(Stage::SensorToMask, of_both),
        ];
        Self { stages, passed: Ring::new() }
    }
    /// Counts one published frame. `counters` are those of that moment.
    pub fn record(&mut self, frame: &Frame, counters: Counters) {
        let Frame { stamps, kpi, .. } = frame;
        // A sensor that does not say leaves 0.
        let run_time = |us: u32| (us > 0).then(|| Duration::from_micros(u64::from(us)));
        let took = [
            half_exposure(frame),
            Some(stamps.tensor_at_host.since(stamps.frame_start)),
            kpi.and_then(|kpi| run_time(kpi.dnn_runtime_us)),
            kpi.and_then(|kpi| run_time(kpi.dsp_runtime_us)),
            Some(stamps.mask_ready.since(stamps.received)),
            Some(stamps.age_at_mask()),
        ];
        for (stage, took) in self.stages.iter_mut().zip(took) {
            if let Some(took) = took {
                stage.record(took);
            }
        }
        self.passed.push(Passed::new(frame, counters));
    }
    /// Every stage so far, in the order in which a frame passes them.
    #[must_use]
    pub fn stages(&self) -> Vec<StageLatency> {
        self.stages.iter().map(Distribution::summary).collect()
    }
    /// The same in buckets: a copy of what was counted anyway.
    #[must_use]
    pub fn buckets(&self) -> Vec<StageBuckets> {
        self.stages.iter().map(|stage| stage.buckets.clone()).collect()
    }
    /// What the summaries are made from: copied while frames wait, summed up (four walks over every bucket) while
    /// they go on.
    pub(super) fn distributions(&self) -> Vec<Distribution> {
        self.stages.to_vec()
    }
    /// The same with every count; about 80 KB a stage.
    #[must_use]
    pub fn histograms(&self) -> Vec<StageHistogram> {
        self.stages.iter().map(Distribution::histogram).collect()
    }
    /// The frames counted last.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        self.passed.to_vec()
    }
}

/// The distributions of what a display has shown, merged into a snapshot by whoever reads both.
#[derive(Debug)]
pub struct DisplayLatency {
    stages: [Distribution; 4],
    shown: Ring<OnScreen>,
}

impl DisplayLatency {
    /// Empty distributions. `sensor_clock` says who makes the source's time stamps.
    #[must_use]
    pub fn new(sensor_clock: Quality) -> Self {
        // With a camera half of the exposure comes from its registers, the far larger rest was timed.
        let stages = [
            Distribution::new(Stage::MaskToCommit, Quality::Measured),
            Distribution::new(Stage::CommitToFlip, Quality::Measured),
            Distribution::new(Stage::ExposureToFlip, sensor_clock),
            Distribution::new(Stage::ExposureToReplaced, sensor_clock),
        ];
        Self { stages, shown: Ring::new() }
    }
    /// Counts one frame that was shown, by the host clock. Without an exposure (frame start is its end) nothing
    /// says when the light came.
    pub fn record(&mut self, frame: &Frame, shown: Shown) {
        self.withdrawn(shown.flipped);
        let [mask_to_commit, commit_to_flip, exposure_to_flip, _] = &mut self.stages;
        mask_to_commit.record(shown.committed.since(frame.stamps.mask_ready));
        commit_to_flip.record(shown.flipped.since(shown.committed));
        if let Some(half) = half_exposure(frame) {
            exposure_to_flip.record(half + frame.stamps.age_at(shown.flipped));
        }
        let Frame { sequence, stamps, .. } = *frame;
        let half_exposure = half_exposure(frame);
        self.shown.push(OnScreen { sequence, stamps, half_exposure, shown, until: None });
    }
    /// At that flip, by the host clock, the frame shown last went off the screen, or was marked as no longer
    /// live.
    pub fn withdrawn(&mut self, flipped: Timestamp) {
        let Some(last) = self.shown.last_mut().filter(|last| last.until.is_none()) else {
            return;
        };
        last.until = Some(flipped);
        if let Some(half) = last.half_exposure {
            self.stages[3].record(half + last.stamps.age_at(flipped));
        }
    }
    /// The screen went away: nobody knows how long the frame shown last was seen, and it counts nowhere.
    pub fn lost(&mut self, noticed: Timestamp) {
        if let Some(last) = self.shown.last_mut().filter(|last| last.until.is_none()) {
            last.until = Some(noticed);
        }
    }
    /// Every stage so far, in the order in which a frame passes them.
    #[must_use]
    pub fn stages(&self) -> Vec<StageLatency> {
        self.stages.iter().map(Distribution::summary).collect()
    }
    /// The same in buckets: a copy of what was counted anyway.
    #[must_use]
    pub fn buckets(&self) -> Vec<StageBuckets> {
        self.stages.iter().map(|stage| stage.buckets.clone()).collect()
    }
    /// The same with every count; about 80 KB a stage.
    #[must_use]
    pub fn histograms(&self) -> Vec<StageHistogram> {
        self.stages.iter().map(Distribution::histogram).collect()
    }
    /// The frames shown last.
    #[must_use]
    pub fn shown(&self) -> Vec<OnScreen> {
        self.shown.to_vec()
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

/// From the middle of the first row's exposure to its end, which is frame start.
fn half_exposure(frame: &Frame) -> Option<Duration> {
    frame.sensor.exposure().map(|exposure| exposure / 2)
}

/// What a camera's own words say was not timed by anybody here: an exposure is a register's value, and that run times
/// are in microseconds is an assumption until hardware confirms it.
fn of_registers(sensor_clock: Quality) -> Quality {
    match sensor_clock {
        Quality::Measured => Quality::Estimated,
        other => other,
    }
}

#[derive(Debug, Clone)]
pub(super) struct Distribution {
    nanoseconds: Histogram<u32>,
    /// Its longest is kept here: a histogram knows its values only to 0.1 %, and none above its range.
    buckets: StageBuckets,
}

impl Distribution {
    fn new(stage: Stage, quality: Quality) -> Self {
        let nanoseconds = Histogram::new_with_bounds(SHORTEST_NS, LONGEST_NS, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants that the histogram accepts");
        let (sum, max, within) = (Duration::ZERO, Duration::ZERO, [0; BUCKET_BOUNDS.len()]);
        let buckets = StageBuckets { stage, quality, count: 0, sum, max, within };
        Self { nanoseconds, buckets }
    }
    fn record(&mut self, took: Duration) {
        self.nanoseconds.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let StageBuckets { count, sum, max, within, .. } = &mut self.buckets;
        *count += 1;
        *sum = sum.saturating_add(took);
        *max = took.max(*max);
        // Longer than the last bound is counted in no bucket but the one without a bound, which is `count`.
        if let Some(bucket) = within.get_mut(BUCKET_BOUNDS.partition_point(|bound| *bound < took)) {
            *bucket += 1;
        }
    }
    fn histogram(&self) -> StageHistogram {
        let Self { nanoseconds, buckets: StageBuckets { stage, quality, .. } } = self;
        StageHistogram { stage: *stage, quality: *quality, nanoseconds: nanoseconds.clone() }
    }
    pub(super) fn summary(&self) -> StageLatency {
        let StageBuckets { stage, quality, max, .. } = self.buckets;
        // The histogram answers with the upper end of a bucket, which may lie beyond the longest
        // value.
        let quantile = |q| Duration::from_nanos(self.nanoseconds.value_at_quantile(q)).min(max);
        StageLatency {
            stage,
            quality,
            count: self.nanoseconds.len(),
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max,
        }
    }
}

/// Upper ends of the buckets, each in it. From 1 ms to 1 s each is at most half as long again as the one before, so
/// that a quantile between two of them is off by no more than that; a sensor's frame takes 33 or 100 ms.
pub const BUCKET_BOUNDS: [Duration; 27] = bounds([
    100, 250, 500, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 10_000, 15_000, 20_000, 30_000,
    40_000, 60_000, 80_000, 100_000, 150_000, 200_000, 300_000, 400_000, 600_000, 800_000,
    1_000_000, 2_500_000, 10_000_000,
]);

const fn bounds<const N: usize>(microseconds: [u64; N]) -> [Duration; N] {
    let mut bounds = [Duration::ZERO; N];
    let mut at = 0;
    while at < N {
        bounds[at] = Duration::from_micros(microseconds[at]);
        at += 1;
    }
    bounds
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
    use super::{BUCKET_BOUNDS, DisplayLatency, Latency, Shown, Stage, StageLatency};
    use crate::formats::dnn_lines::Kpi;
    use crate::formats::embedded::SensorState;
    use crate::pipeline::{Counters, Frame, Stamps};
    use crate::source::Quality;
    use crate::source::clock::Timestamp;
    use std::time::Duration;

    fn frame(sensor_ms: u64, host_ms: u64) -> Frame {
        // Different origins: the two clocks have nothing to do with each other.
        let (frame_start, received) = (Timestamp(7_000_000), Timestamp(9_000_000_000));
        let stamps = Stamps {
            frame_start,
            tensor_at_host: frame_start.plus(Duration::from_millis(sensor_ms)),
            received,
            mask_ready: received.plus(Duration::from_millis(host_ms)),
        };
        Frame { stamps, ..Frame::default() }
    }

    /// 744 Mpixel/s: 1000 lines of 7440 pixel clocks are 10 ms.
    fn exposed_10_ms(frame: Frame) -> Frame {
        let sensor = SensorState {
            exposure_lines: Some(1000),
            line_length_pixels: Some(7440),
            ..SensorState::default()
        };
        assert_eq!(sensor.exposure(), Some(Duration::from_millis(10)));
        Frame { sensor, ..frame }
    }

    fn of(stages: &[StageLatency], wanted: Stage) -> &StageLatency {
        stages.iter().find(|stage| stage.stage == wanted).unwrap()
    }

    #[test]
    fn every_stage_is_timed_once_and_in_the_order_of_all() {
        let pipeline = Latency::new(Quality::Measured, Quality::Measured).stages();
        let display = DisplayLatency::new(Quality::Measured).stages();
        let stages: Vec<_> = pipeline.iter().chain(&display).map(|stage| stage.stage).collect();
        assert_eq!(stages, Stage::ALL);
    }

    #[test]
    fn percentiles_of_one_to_hundred_are_themselves() {
        let mut latency = Latency::new(Quality::Simulated, Quality::Measured);
        for ms in 1..=100 {
            latency.record(&frame(ms, 2), Counters::default());
        }
        let stages = latency.stages();
        let sensor = of(&stages, Stage::SensorToTensor);
        assert_eq!(sensor.quality, Quality::Simulated);
        assert_eq!(sensor.count, 100);
        for (got, want_ms) in [(sensor.p50, 50), (sensor.p95, 95), (sensor.p99, 99)] {
            let want = Duration::from_millis(want_ms);
            assert!(got >= want && got <= want + want / 1000, "got {got:?}, want {want:?}");
        }
        assert_eq!(sensor.max, Duration::from_millis(100));
    }

    #[test]
    fn sum_of_both_clocks_is_per_frame() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        latency.record(&frame(30, 1), Counters::default());
        latency.record(&frame(10, 5), Counters::default());
        let stages = latency.stages();
        let longest = [Stage::SensorToTensor, Stage::TensorToMask, Stage::SensorToMask]
            .map(|stage| of(&stages, stage).max.as_millis());
        assert_eq!(longest, [30, 5, 31]);
    }

    #[test]
    fn what_registers_and_counters_say_is_taken_as_it_is_and_zero_says_nothing() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        let kpi = Some(Kpi { dnn_runtime_us: 860, dsp_runtime_us: 0 });
        latency.record(&Frame { kpi, ..exposed_10_ms(frame(30, 1)) }, Counters::default());
        latency.record(&frame(30, 1), Counters::default());
        let stages = latency.stages();
        let exposure = of(&stages, Stage::ExposureToFrameStart);
        let counted = |stage: &StageLatency| (stage.count, stage.max, stage.quality);
        assert_eq!(counted(exposure), (1, Duration::from_millis(5), Quality::Estimated));
        let network = of(&stages, Stage::NetworkRunTime);
        assert_eq!(counted(network), (1, Duration::from_micros(860), Quality::Estimated));
        assert_eq!(of(&stages, Stage::DspRunTime).count, 0);
    }

    fn shown(frame: &Frame, after_ms: [u64; 2]) -> Shown {
        let [committed, flipped] =
            after_ms.map(|ms| frame.stamps.mask_ready.plus(Duration::from_millis(ms)));
        Shown { committed, flipped }
    }

    #[test]
    fn display_adds_half_the_exposure_and_what_came_after_the_mask() {
        let mut latency = DisplayLatency::new(Quality::Measured);
        let exposed = exposed_10_ms(frame(30, 1));
        latency.record(&exposed, shown(&exposed, [2, 12]));
        let blind = frame(30, 1);
        latency.record(&blind, shown(&blind, [19, 29]));
        latency.withdrawn(blind.stamps.mask_ready.plus(Duration::from_secs(1)));
        let got: Vec<_> =
            latency.stages().iter().map(|s| (s.stage, s.count, s.max.as_millis())).collect();
        let want = [
            (Stage::MaskToCommit, 2, 19),
            (Stage::CommitToFlip, 2, 10),
            (Stage::ExposureToFlip, 1, 5 + 30 + 1 + 12),
            // Replaced by the second frame's flip; when the light of the second came nobody knows.
            (Stage::ExposureToReplaced, 1, 5 + 30 + 1 + 29),
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn picture_that_was_marked_stale_is_not_aged_by_the_next_one() {
        let mut latency = DisplayLatency::new(Quality::Measured);
        let exposed = exposed_10_ms(frame(30, 1));
        let late = |ms| exposed.stamps.mask_ready.plus(Duration::from_millis(ms));
        latency.record(&exposed, shown(&exposed, [2, 12]));
        latency.withdrawn(late(500));
        latency.withdrawn(late(600));
        latency.record(&exposed, shown(&exposed, [9000, 9010]));
        let replaced = latency.stages().pop().unwrap();
        assert_eq!((replaced.count, replaced.max), (1, Duration::from_millis(5 + 30 + 1 + 500)));
        let until: Vec<_> = latency.shown().iter().map(|frame| frame.until).collect();
        assert_eq!(until, [Some(late(500)), None]);
    }

    #[test]
    fn outage_of_the_screen_is_no_age_of_a_picture() {
        let mut latency = DisplayLatency::new(Quality::Measured);
        let exposed = exposed_10_ms(frame(30, 1));
        latency.record(&exposed, shown(&exposed, [2, 12]));
        latency.lost(exposed.stamps.mask_ready.plus(Duration::from_millis(700)));
        latency.record(&exposed, shown(&exposed, [90_000, 90_010]));
        assert_eq!(of(&latency.stages(), Stage::ExposureToReplaced).count, 0);
    }

    #[test]
    fn equal_values_have_equal_percentiles() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        for _ in 0..10 {
            latency.record(&frame(50, 3), Counters::default());
        }
        let stages = latency.stages();
        let stage = of(&stages, Stage::SensorToTensor);
        assert_eq!((stage.p50, stage.p95, stage.p99), (stage.max, stage.max, stage.max));
    }

    #[test]
    fn longer_than_the_range_counts_and_shows_in_max() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        latency.record(&frame(3_600_000, 1), Counters::default());
        let stages = latency.stages();
        let stage = of(&stages, Stage::SensorToTensor);
        assert_eq!((stage.count, stage.max), (1, Duration::from_secs(3600)));
        assert!(stage.p50 >= Duration::from_secs(60));
    }

    #[test]
    fn nothing_recorded_is_zero() {
        for stage in Latency::new(Quality::Measured, Quality::Measured).stages() {
            assert_eq!((stage.count, stage.p99, stage.max), (0, Duration::ZERO, Duration::ZERO));
        }
    }

    #[test]
    fn buckets_count_up_to_and_with_their_bounds() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        for ms in [1, 2, 30, 31, 40, 10_001] {
            latency.record(&frame(ms, 1), Counters::default());
        }
        let stages = latency.buckets();
        let stage = stages.iter().find(|stage| stage.stage == Stage::SensorToTensor).unwrap();
        let bounds = BUCKET_BOUNDS.iter().zip(stage.within).filter(|(_, count)| *count > 0);
        let got: Vec<_> = bounds.map(|(bound, count)| (bound.as_millis(), count)).collect();
        assert_eq!(got, [(1, 1), (2, 1), (30, 1), (40, 2)], "10 001 ms is in none");
        assert_eq!((stage.count, stage.max.as_millis()), (6, 10_001));
        assert_eq!(stage.sum.as_millis(), 1 + 2 + 30 + 31 + 40 + 10_001);
        assert!(BUCKET_BOUNDS.is_sorted());
    }

    #[test]
    fn histograms_hold_what_the_percentiles_are_of() {
        let mut latency = Latency::new(Quality::Measured, Quality::Measured);
        latency.record(&frame(30, 1), Counters::default());
        for (histogram, stage) in latency.histograms().iter().zip(latency.stages()) {
            assert_eq!((histogram.stage, histogram.nanoseconds.len()), (stage.stage, stage.count));
        }
    }
}
