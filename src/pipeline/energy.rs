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
