//! From power to energy: of one instrument, over one run. Pure: time comes in with the samples.
//!
//! ```text
//!   watts                                        idle                    run
//!     |       __.--.                 .-.     |<-- baseline -->|<-- energy, frames -->
//!     |  .--''      '.    (gap)     /   \
//!     |  |  |  |  |  |              |  |  |      trapezoids between samples; a gap is not bridged,
//!     +--o--o--o--o--o--------------o--o--o--    its time is reported as not covered
//! ```
//!
//! An instrument that counts energy itself bridges gaps: the difference of two readings is what was drawn.
//! Frames are counted where energy is, so energy per frame is right also with gaps. Each instrument has a
//! `Meter` of its own, and no two are ever added.
//!
//! Uncertainties: within one instrument they may all have the same sign, so integration adds them as they are.
//! A difference of two means takes the root of the sum of squares.

use std::time::Duration;

use crate::source::clock::Timestamp;
use crate::source::power::{InstrumentInfo, PowerSample, TimedBy};

/// Integrates the samples of one instrument.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    info: InstrumentInfo,
    gap_after: Duration,
    phase: Phase,
    idle: Span,
    run: Span,
    readings: u64,
    newest: Option<PowerSample>,
    /// Where the next interval begins, with the frames counted there.
    from: Option<(PowerSample, u64)>,
    /// Whether what lies between `from` and the next sample is lost.
    interrupted: bool,
    failures: Vec<(&'static str, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Run,
}

/// What was integrated.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Span {
    /// Energy over the covered time.
    pub joules: f64,
    /// It is off by no more than this.
    pub uncertainty_joules: f64,
    /// Time over which it was integrated.
    pub covered: Duration,
    /// Frames in that time.
    pub frames: u64,
    /// Intervals that were not integrated.
    pub gaps: u64,
    /// Their time.
    pub uncovered: Duration,
}

/// A number that is off by no more than its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertain {
    /// The number.
    pub value: f64,
    /// Not negative; of the same unit.
    pub uncertainty: f64,
}

/// What an instrument has said so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Metered {
    /// Which instrument.
    pub info: InstrumentInfo,
    /// The last sample; none when the instrument has been silent for too long.
    pub newest: Option<PowerSample>,
    /// Before the run.
    pub idle: Span,
    /// During the run.
    pub run: Span,
    /// Samples taken.
    pub readings: u64,
    /// Failed readings by reason.
    pub failures: Vec<(&'static str, u64)>,
}

impl Meter {
    /// Two samples further apart than `gap_after` have a gap between them. Idle until [`begin`](Self::begin).
    #[must_use]
    pub fn new(info: InstrumentInfo, gap_after: Duration) -> Self {
        Self {
            info,
            gap_after,
            phase: Phase::Idle,
            idle: Span::default(),
            run: Span::default(),
            readings: 0,
            newest: None,
            from: None,
            interrupted: false,
            failures: Vec::new(),
        }
    }

    /// The run begins: what came before is the idle baseline.
    pub fn begin(&mut self) {
        self.phase = Phase::Run;
        self.from = None;
    }

    /// Takes a sample; `frames` have come since the beginning of the run.
    pub fn push(&mut self, sample: PowerSample, frames: u64) {
        self.readings += 1;
        self.newest = Some(sample);
        let interrupted = std::mem::take(&mut self.interrupted);
        // A simulated sensor's first sample is of its beginning, however late it is taken.
        let at_beginning =
            self.info.timed_by == TimedBy::Sensor && sample.at == Timestamp::default();
        let frames = if at_beginning { 0 } else { frames };
        let from = self.from.replace((sample, frames));
        let Some((before, frames_before)) = from else { return };
        let span = match self.phase {
            Phase::Idle => &mut self.idle,
            Phase::Run => &mut self.run,
        };
        let time = sample.at.since(before.at);
        let counted = before.joules.zip(sample.joules).map(|(from, to)| (to - from).max(0.0));
        let longest = if counted.is_some() { Duration::MAX } else { self.gap_after };
        if interrupted || time > longest {
            span.gaps += 1;
            span.uncovered += time;
            return;
        }
        let seconds = time.as_secs_f64();
        match counted {
            Some(joules) => {
                span.joules += joules;
                // Between the first and the last reading of a counter no others matter.
                let ends = sample.uncertainty_watts * seconds;
                span.uncertainty_joules = span.uncertainty_joules.max(ends);
            }
            None => {
                span.joules += seconds * f64::midpoint(before.watts, sample.watts);
                span.uncertainty_joules +=
                    seconds * f64::midpoint(before.uncertainty_watts, sample.uncertainty_watts);
            }
        }
        span.covered += time;
        span.frames += frames.saturating_sub(frames_before);
    }

    /// Counts a reading that failed. The next sample still integrates from the last one, unless that is too
    /// long ago.
    pub fn fail(&mut self, reason: &'static str) {
        match self.failures.iter_mut().find(|(counted, _)| *counted == reason) {
            Some((_, times)) => *times += 1,
            None => self.failures.push((reason, 1)),
        }
    }

    /// What is drawn until the next sample is lost, as when a counter begins anew.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Where it stands at `now` on the host's clock.
    #[must_use]
    pub fn metered(&self, now: Timestamp) -> Metered {
        let mut run = self.run;
        let mut newest = self.newest;
        // The sensor's clock says nothing about now.
        if let (TimedBy::Host, Some(sample)) = (self.info.timed_by, newest) {
            let silent = now.since(sample.at);
            if silent > self.gap_after {
                newest = None;
                if self.phase == Phase::Run {
                    run.gaps += 1;
                    run.uncovered += silent;
                }
            }
        }
        Metered {
            info: self.info.clone(),
            newest,
            idle: self.idle,
            run,
            readings: self.readings,
            failures: self.failures.clone(),
        }
    }
}

impl Span {
    /// Mean power; none where nothing was covered.
    #[must_use]
    pub fn watts(&self) -> Option<Uncertain> {
        self.over(self.covered.as_secs_f64())
    }
    /// Joules a frame; none without a frame.
    #[must_use]
    pub fn joules_per_frame(&self) -> Option<Uncertain> {
        self.over(self.frames as f64)
    }
    fn over(&self, divisor: f64) -> Option<Uncertain> {
        (divisor > 0.0).then(|| Uncertain {
            value: self.joules / divisor,
            uncertainty: self.uncertainty_joules / divisor,
        })
    }
}

impl Metered {
    /// Mean power of the run above the idle baseline.
    #[must_use]
    pub fn watts_above_idle(&self) -> Option<Uncertain> {
        let (run, idle) = (self.run.watts()?, self.idle.watts()?);
        Some(Uncertain {
            value: run.value - idle.value,
            uncertainty: run.uncertainty.hypot(idle.uncertainty),
        })
    }
    /// Joules a frame above the idle baseline.
    #[must_use]
    pub fn joules_above_idle_per_frame(&self) -> Option<Uncertain> {
        let above = self.watts_above_idle()?;
        let frames = Some(self.run.frames as f64).filter(|frames| *frames > 0.0)?;
        let seconds_per_frame = self.run.covered.as_secs_f64() / frames;
        Some(Uncertain {
            value: above.value * seconds_per_frame,
            uncertainty: above.uncertainty * seconds_per_frame,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Meter, Span};
    use crate::source::Quality;
    use crate::source::clock::Timestamp;
    use crate::source::power::{InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy};
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::time::Duration;

    const GAP_AFTER: Duration = Duration::from_millis(300);

    fn meter() -> Meter {
        let info = InstrumentInfo {
            source: PowerSource::Hwmon,
            name: "ina226 1-0040".to_owned(),
            scope: Scope::Sensor,
            quality: Quality::Measured,
            timed_by: TimedBy::Host,
            definition: "",
            uncertainty: "",
        };
        Meter::new(info, GAP_AFTER)
    }

    fn running() -> Meter {
        let mut meter = meter();
        meter.begin();
        meter
    }

    fn sample(at_ms: u64, watts: f64) -> PowerSample {
        PowerSample {
            at: Timestamp(at_ms * 1_000_000),
            source: PowerSource::Hwmon,
            scope: Scope::Sensor,
            watts,
            uncertainty_watts: 0.001,
            quality: Quality::Measured,
            joules: None,
        }
    }

    fn counted(at_ms: u64, joules: f64) -> PowerSample {
        PowerSample { joules: Some(joules), ..sample(at_ms, 1.0) }
    }

    fn run(meter: &Meter, now_ms: u64) -> Span {
        meter.metered(Timestamp(now_ms * 1_000_000)).run
    }

    fn near(got: f64, want: f64) -> bool {
        (got - want).abs() < 1e-9
    }

    /// 0.2 W + 0.05 W sin(2 pi t / 2 s) + 0.01 W/s t, sampled every 100 ms +- 50 ms.
    #[test]
    fn sine_and_ramp_are_integrated_to_half_a_percent_however_the_sampling_jitters() {
        let period = 2.0;
        let turn = std::f64::consts::TAU / period;
        let watts = |t: f64| 0.2 + 0.05 * (turn * t).sin() + 0.01 * t;
        let joules = |t: f64| 0.2 * t - 0.05 / turn * (turn * t).cos() + 0.005 * t * t;
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut meter = running();
            let (mut first, mut last) = (None, 0.0);
            for step in 1..200_u64 {
                let at_ms = step * 100 + rng.random_range(0..100) - 50;
                last = at_ms as f64 / 1e3;
                first.get_or_insert(last);
                meter.push(sample(at_ms, watts(last)), step * 3);
            }
            let span = run(&meter, 20_000);
            let want = joules(last) - joules(first.unwrap());
            let off = (span.joules / want - 1.0).abs();
            assert!(off < 0.005, "seed {seed}: {} J, want {want} J", span.joules);
            assert_eq!((span.gaps, span.frames), (0, 198 * 3));
        }
    }

    #[test]
    fn a_gap_is_not_bridged_but_told() {
        let mut meter = running();
        for (at_ms, frames) in [(0, 0), (300, 9), (601, 18), (900, 27)] {
            meter.push(sample(at_ms, 2.0), frames);
        }
        let span = run(&meter, 900);
        assert!(near(span.joules, 2.0 * 0.599), "{span:?}");
        assert_eq!((span.gaps, span.uncovered), (1, Duration::from_millis(301)));
        assert_eq!(span.covered, Duration::from_millis(599));
        // The frames of the gap have no energy.
        assert_eq!(span.frames, 18);
        assert!(near(span.uncertainty_joules, 0.001 * 0.599), "{span:?}");
    }

    #[test]
    fn a_counter_bridges_a_gap_unless_it_has_begun_anew() {
        let mut meter = running();
        meter.push(counted(0, 10.0), 0);
        meter.push(counted(5_000, 12.5), 150);
        let span = run(&meter, 5_000);
        assert!(near(span.joules, 2.5), "{span:?}");
        assert_eq!((span.gaps, span.frames), (0, 150));
        meter.fail("restarted");
        meter.interrupt();
        meter.push(counted(6_000, 12.5), 180);
        meter.push(counted(7_000, 13.0), 210);
        let span = run(&meter, 7_000);
        assert!(near(span.joules, 3.0), "{span:?}");
        assert_eq!((span.gaps, span.frames), (1, 180));
        assert_eq!(span.uncovered, Duration::from_secs(1));
    }

    #[test]
    fn a_failed_reading_is_counted_and_the_next_one_joined_to_the_last() {
        let mut meter = running();
        meter.push(sample(0, 1.0), 0);
        meter.fail("malformed");
        meter.fail("malformed");
        meter.push(sample(200, 1.0), 6);
        let metered = meter.metered(Timestamp(200_000_000));
        assert_eq!(metered.failures, [("malformed", 2)]);
        assert!(near(metered.run.joules, 0.2));
    }

    #[test]
    fn an_instrument_that_falls_silent_has_no_newest_power() {
        let mut meter = running();
        meter.push(sample(0, 1.0), 0);
        meter.push(sample(100, 1.0), 3);
        assert!(meter.metered(Timestamp(400_000_000)).newest.is_some());
        let silent = meter.metered(Timestamp(5_100_000_000));
        assert_eq!(silent.newest, None);
        assert_eq!((silent.run.gaps, silent.run.uncovered), (1, Duration::from_secs(5)));
    }

    #[test]
    fn idle_is_subtracted_and_uncertainties_are_propagated() {
        let mut meter = meter();
        meter.push(sample(0, 0.1), 0);
        meter.push(sample(200, 0.1), 0);
        meter.begin();
        for step in 0..=10_u32 {
            let at_ms = 300 + u64::from(step) * 100;
            meter.push(sample(at_ms, 0.4), u64::from(step) * 3);
        }
        let metered = meter.metered(Timestamp(1_300_000_000));
        assert!(near(metered.idle.watts().unwrap().value, 0.1));
        let above = metered.watts_above_idle().unwrap();
        assert!(near(above.value, 0.3), "{above:?}");
        assert!(near(above.uncertainty, 0.001 * 2.0_f64.sqrt()), "{above:?}");
        // 1 s, 30 frames.
        assert!(near(metered.run.joules_per_frame().unwrap().value, 0.4 / 30.0));
        assert!(near(metered.joules_above_idle_per_frame().unwrap().value, 0.01));
    }

    #[test]
    fn nothing_covered_is_no_figure() {
        let mut meter = running();
        meter.push(sample(0, 1.0), 0);
        let metered = meter.metered(Timestamp(0));
        assert_eq!(metered.run.watts(), None);
        assert_eq!(metered.run.joules_per_frame(), None);
        assert_eq!(metered.watts_above_idle(), None);
    }

    proptest! {
        #[test]
        fn every_moment_is_covered_or_not_and_energy_lies_between_extremes(
            steps in prop::collection::vec((0_u64..600, 0.0_f64..3.0), 2..100),
        ) {
            let mut meter = running();
            let (mut at_ms, mut frames) = (0, 0);
            for (after_ms, watts) in &steps {
                at_ms += after_ms;
                frames += 3;
                meter.push(sample(at_ms, *watts), frames);
            }
            let span = run(&meter, at_ms);
            let first_ms = steps[0].0;
            prop_assert_eq!(
                span.covered + span.uncovered,
                Duration::from_millis(at_ms - first_ms)
            );
            let most = steps.iter().map(|(_, watts)| *watts).fold(0.0, f64::max);
            let least = steps.iter().map(|(_, watts)| *watts).fold(3.0, f64::min);
            let seconds = span.covered.as_secs_f64();
            prop_assert!(span.joules <= most * seconds + 1e-9);
            prop_assert!(span.joules >= least * seconds - 1e-9);
            prop_assert!(span.frames <= frames);
        }

        #[test]
        fn equal_power_gives_its_own_mean_whatever_the_intervals(
            steps in prop::collection::vec(1_u64..300, 1..100),
            watts in 0.001_f64..5.0,
        ) {
            let mut meter = running();
            let mut at_ms = 0;
            meter.push(sample(0, watts), 0);
            for after_ms in steps {
                at_ms += after_ms;
                meter.push(sample(at_ms, watts), 0);
            }
            let mean = run(&meter, at_ms).watts().unwrap();
            prop_assert!((mean.value / watts - 1.0).abs() < 1e-9);
            prop_assert!((mean.uncertainty / 0.001 - 1.0).abs() < 1e-9);
        }
    }
}
