//! Faults that the simulated sensor injects on demand: what goes wrong on a cable, in a driver or in a
//! sensor, at stated frames, so that a host can show that it notices, counts and recovers.
//!
//! ```text
//!   name[:from-to][:every=n]      such as   dropped-tensor     invalid-flag:0-299     lost-buffer:60-90:every=5
//!
//!   frames      0 ........ from  +n  +n  +n .. to ........      a fault falls due at from, from + n, ... to;
//!                           x    x   x   x     x                it strikes the first buffer that it can hurt
//!
//!   name[:from-to][:random=n]     such as   stalled-source:0-999999:random=500
//!
//!   frames      0 ........ from  +n  +n  +n .. to ........      once in every n frames, at a seeded place in the
//!                             x  x     x  x                     first half of them
//! ```
//!
//! So two random ones of a plan are never closer than half of n: one that has to be told from the one before
//! it, as a jump of the counter has to be, can be. Faults of different plans meet wherever they happen to.
//!
//! A dropped tensor, for instance, waits for a buffer in which an output was due, and of several that
//! damage bytes only one strikes a buffer: the others wait for the next. Lengths and bytes are chosen by
//! the seed. Three faults last until the sensor is recovered ([`Fault::lasts`]).

use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The buffer has no output region although an output was due; that output is lost.
    DroppedTensor,
    /// The output region stands, but its valid flag is 0 although an output was due; that output is lost.
    InvalidFlag,
    /// The sensor's frame counter jumps ahead, by the same seeded amount each time.
    CounterJump,
    /// The frame counter is such that it wraps from 255 to 0 right after the first frame named. Harmless.
    CounterWrap,
    /// The buffer ends within its embedded lines, KPI line or input region.
    TruncatedBuffer,
    /// The ApParams in front of both tensors are damaged from their first byte on.
    CorruptApParams,
    /// The sensor sends nothing for [`STALL`], then goes on where it stopped.
    StalledSource,
    /// The receiver loses the buffer: its number is missing, and what it carried is lost.
    LostBuffer,
    /// Pictures go on and no tensor comes any more, until the network is set again.
    LostNetwork,
    /// Nothing comes any more, until the stream is stopped and started.
    SilentSensor,
    /// The camera has gone. It is back when it is looked for the second time.
    GoneCamera,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::DroppedTensor,
        Self::InvalidFlag,
        Self::CounterJump,
        Self::CounterWrap,
        Self::TruncatedBuffer,
        Self::CorruptApParams,
        Self::StalledSource,
        Self::LostBuffer,
        Self::LostNetwork,
        Self::SilentSensor,
        Self::GoneCamera,
    ];

    /// Whether the sensor stays broken until it is recovered.
    #[must_use]
    pub fn lasts(self) -> bool {
        matches!(self, Self::LostNetwork | Self::SilentSensor | Self::GoneCamera)
    }

    /// As it is written on the command line and counted in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DroppedTensor => "dropped-tensor",
            Self::InvalidFlag => "invalid-flag",
            Self::CounterJump => "counter-jump",
            Self::CounterWrap => "counter-wrap",
            Self::TruncatedBuffer => "truncated-buffer",
            Self::CorruptApParams => "corrupt-ap-params",
            Self::StalledSource => "stalled-source",
            Self::LostBuffer => "lost-buffer",
            Self::LostNetwork => "lost-network",
            Self::SilentSensor => "silent-sensor",
            Self::GoneCamera => "gone-camera",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fault and the frames at which it falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// What goes wrong.
    pub fault: Fault,
    /// First frame at which it may fall due.
    pub from_frame: u64,
    /// Last frame at which it may.
    pub to_frame: u64,
    /// From one time to the next.
    pub spacing: Spacing,
}

/// From one time at which a fault falls due to the next, in frames; 0 is taken as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Always so many, from the first frame on.
    Every(u64),
    /// So many on average, half as many to one and a half times as many, by the seed.
    Random(u64),
}

impl Spacing {
    fn frames(self) -> u64 {
        match self {
            Self::Every(frames) | Self::Random(frames) => frames.max(1),
        }
    }
}

impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(frames) => write!(f, "every={frames}"),
            Self::Random(frames) => write!(f, "random={frames}"),
        }
    }
}

impl FaultPlan {
    /// Seven times, from frame 60 to frame 120: at 30 frames a second the run has settled by then, and in
    /// 300 frames there is time to recover. What lasts until it is recovered: once.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        let to_frame = if fault.lasts() { 60 } else { 120 };
        Self { fault, from_frame: 60, to_frame, spacing: Spacing::Every(10) }
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, from_frame, to_frame, spacing } = self;
        write!(f, "{fault}:{from_frame}-{to_frame}:{spacing}")
    }
}

/// Why a fault plan cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultPlanError {
    /// No fault has this name.
    #[error("fault \"{name}\" is unknown; the faults are {}", Fault::ALL.map(Fault::name).join(", "))]
    Name {
        /// What was given.
        name: String,
    },
    /// A part after the name is neither frames nor `every=` nor `random=`.
    #[error(
        "fault \"{fault}\": \"{part}\" is no {wanted}; write {fault}, {fault}:60-120, {fault}:60-120:every=10 \
         or {fault}:0-9999:random=100"
    )]
    Part {
        /// The fault named.
        fault: Fault,
        /// What was given.
        part: String,
        /// What could stand there.
        wanted: &'static str,
    },
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let fault = Fault::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| FaultPlanError::Name { name: name.to_owned() })?;
        let mut plan = Self::new(fault);
        for part in parts {
            let wrong = |wanted| FaultPlanError::Part { fault, part: part.to_owned(), wanted };
            let frames = |number: &str| {
                let frames = number.parse().ok().filter(|&frames: &u64| frames > 0);
                frames.ok_or_else(|| wrong("number of frames, 1 or more"))
            };
            if let Some(number) = part.strip_prefix("every=") {
                plan.spacing = Spacing::Every(frames(number)?);
            } else if let Some(number) = part.strip_prefix("random=") {
                plan.spacing = Spacing::Random(frames(number)?);
            } else {
                let (from, to) = part
                    .split_once('-')
                    .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)))
                    .filter(|(from, to)| from <= to)
                    .ok_or_else(|| wrong("range of frames, first-last"))?;
                (plan.from_frame, plan.to_frame) = (from, to);
            }
        }
        Ok(plan)
    }
}

/// All plans of a run, what has struck so far, and the seeded choices.
#[derive(Debug)]
pub struct Faults {
    plans: Vec<Planned>,
    rng: ChaCha8Rng,
    first_count: u8,
    jump: u8,
}

#[derive(Debug)]
struct Planned {
    plan: FaultPlan,
    /// Of its random places.
    seed: u64,
    /// How many of the times it fell due have been dealt with.
    settled: u64,
    struck: u64,
}

impl Faults {
    /// None has struck yet.
    #[must_use]
    pub fn new(plans: &[FaultPlan], mut rng: ChaCha8Rng) -> Self {
        let jump = rng.random_range(JUMPS);
        let wrap = plans.iter().find(|plan| plan.fault == Fault::CounterWrap);
        let first_count = wrap.map_or(0, |plan| low_byte(255_u64.wrapping_sub(plan.from_frame)));
        let planned = |&plan: &FaultPlan| {
            // Nothing is drawn for the others: what they do by a seed stays as it was.
            let is_random = matches!(plan.spacing, Spacing::Random(_));
            let seed = if is_random { rng.next_u64() } else { 0 };
            Planned { plan, seed, settled: 0, struck: 0 }
        };
        let plans = plans.iter().map(planned).collect();
        Self { plans, rng, first_count, jump }
    }

    /// The sensor's counter of a frame: counts from 0, or as [`Fault::CounterWrap`] wants, and jumps.
    #[must_use]
    pub fn frame_count(&self, frame: u64) -> u8 {
        let jumps: u64 = self
            .plans
            .iter()
            .filter(|planned| planned.plan.fault == Fault::CounterJump)
            .map(|planned| planned.times_until(frame))
            .sum();
        self.first_count
            .wrapping_add(low_byte(frame))
            .wrapping_add(low_byte(jumps).wrapping_mul(self.jump))
    }

    /// Whether `fault` strikes buffer `frame`, which it can hurt. Counted if so. Times that fell due while
    /// no buffer could be hurt count as one.
    pub fn strikes(&mut self, fault: Fault, frame: u64) -> bool {
        let mut strikes = false;
        for planned in self.plans.iter_mut().filter(|planned| planned.plan.fault == fault) {
            let due = planned.times_until(frame);
            if due > planned.settled {
                planned.settled = due;
                planned.struck += 1;
                strikes = true;
            }
        }
        strikes
    }

    /// Whether any planned fault lasts until the sensor is recovered.
    #[must_use]
    pub fn can_last(&self) -> bool {
        self.plans.iter().any(|planned| planned.plan.fault.lasts())
    }

    /// How often each planned fault has struck, by name, in the order of [`Fault::ALL`].
    #[must_use]
    pub fn injected(&self) -> Vec<(&'static str, u64)> {
        let of = |fault| self.plans.iter().filter(move |planned| planned.plan.fault == fault);
        Fault::ALL
            .into_iter()
            .filter(|&fault| of(fault).next().is_some())
            .map(|fault| (fault.name(), of(fault).map(|planned| planned.struck).sum()))
            .collect()
    }

    /// A length from 0 to `below`, exclusive.
    pub(super) fn truncated_len(&mut self, below: usize) -> usize {
        self.rng.random_range(0..below)
    }

    /// Overwrites the root offset of a FlatBuffer and a seeded number of bytes after it. The root then
    /// points far outside of any buffer, so the damage cannot pass for another valid description.
    pub(super) fn damage(&mut self, ap_params: &mut [u8]) {
        let Some((root, rest)) = ap_params.split_first_chunk_mut() else { return };
        *root = (self.rng.next_u32() | 0x8000_0000).to_le_bytes();
        let more = self.rng.random_range(0..=rest.len());
        self.rng.fill_bytes(&mut rest[..more]);
    }
}

impl Planned {
    /// How often it has fallen due up to and including `frame`.
    fn times_until(&self, frame: u64) -> u64 {
        let FaultPlan { fault, from_frame, to_frame, spacing } = self.plan;
        if frame < from_frame || to_frame < from_frame {
            return 0;
        }
        if fault == Fault::CounterWrap {
            // The counter passes 255 once; the plan says where.
            return 1;
        }
        let passed = frame.min(to_frame) - from_frame;
        let (stretches, into_the_next) = (passed / spacing.frames(), passed % spacing.frames());
        let place = match spacing {
            Spacing::Every(_) => 0,
            Spacing::Random(_) => self.place(stretches, spacing.frames() / 2),
        };
        stretches + u64::from(place <= into_the_next)
    }

    /// Where in a stretch it falls due, from 0 to `last`. Drawn anew each time it is asked for, since a frame's
    /// counter is asked for long after the frame, and the answer must not depend on when.
    fn place(&self, stretch: u64, last: u64) -> u64 {
        ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(stretch)).random_range(0..=last)
    }
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// How long a stalled source sends nothing.
pub const STALL: std::time::Duration = std::time::Duration::from_secs(1);

/// Jumps of the frame counter. Modulo 256 none can be mistaken for a few frames, late or ahead.
const JUMPS: std::ops::RangeInclusive<u8> = 64..=192;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(5)
    }

    fn faults(plans: &[&str]) -> Faults {
        let plans: Vec<FaultPlan> = plans.iter().map(|plan| plan.parse().unwrap()).collect();
        Faults::new(&plans, rng())
    }

    fn struck(faults: &mut Faults, fault: Fault, frames: impl Iterator<Item = u64>) -> Vec<u64> {
        frames.filter(|&frame| faults.strikes(fault, frame)).collect()
    }

    #[test]
    fn name_alone_means_seven_times_in_the_third_and_fourth_second() {
        for fault in Fault::ALL {
            let plan: FaultPlan = fault.name().parse().unwrap();
            let (to_frame, spacing) = (if fault.lasts() { 60 } else { 120 }, Spacing::Every(10));
            assert_eq!(plan, FaultPlan { fault, from_frame: 60, to_frame, spacing });
        }
        let mut faults = faults(&["dropped-tensor"]);
        let frames = struck(&mut faults, Fault::DroppedTensor, 0..300);
        assert_eq!(frames, [60, 70, 80, 90, 100, 110, 120]);
        assert_eq!(faults.injected(), [("dropped-tensor", 7)]);
    }

    #[test]
    fn frames_and_every_are_read_and_written() {
        let plan: FaultPlan = "truncated-buffer:5-9:every=2".parse().unwrap();
        let (fault, spacing) = (Fault::TruncatedBuffer, Spacing::Every(2));
        assert_eq!(plan, FaultPlan { fault, from_frame: 5, to_frame: 9, spacing });
        assert_eq!(plan.to_string().parse::<FaultPlan>().unwrap(), plan);
        let plan: FaultPlan = "lost-buffer:random=20".parse().unwrap();
        let (fault, spacing) = (Fault::LostBuffer, Spacing::Random(20));
        assert_eq!(plan, FaultPlan { fault, from_frame: 60, to_frame: 120, spacing });
        assert_eq!(plan.to_string().parse::<FaultPlan>().unwrap(), plan);
    }

    #[test]
    fn random_faults_fall_due_once_in_every_stretch_half_a_stretch_apart() {
        let plans = ["stalled-source:100-2099:random=40", "lost-buffer:100-2099:random=40"];
        let mut faults = faults(&plans);
        let stalls = struck(&mut faults, Fault::StalledSource, 0..5000);
        assert_eq!(stalls.len(), 50);
        for (stretch, &frame) in (0_u64..).zip(&stalls) {
            let place = frame - (100 + stretch * 40);
            assert!(place <= 20, "{frame} in stretch {stretch}");
        }
        let apart: Vec<u64> = stalls.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(apart.iter().all(|apart| (20..=60).contains(apart)), "{apart:?}");
        assert!(apart.iter().any(|&apart| apart < 35) && apart.iter().any(|&apart| apart > 45));
        assert_ne!(stalls, struck(&mut faults, Fault::LostBuffer, 0..5000), "each has its own");
    }

    #[test]
    fn random_counter_jumps_where_it_is_counted() {
        let mut faults = faults(&["counter-jump:10-999:random=30"]);
        let jumps = struck(&mut faults, Fault::CounterJump, 0..1000);
        let step = |frame| faults.frame_count(frame).wrapping_sub(faults.frame_count(frame - 1));
        assert_eq!(jumps, (1..1000).filter(|&frame| step(frame) != 1).collect::<Vec<u64>>());
        assert_eq!(jumps.len(), 33);
    }

    #[test]
    fn unreadable_plans_say_what_to_write() {
        let said = |text: &str| text.parse::<FaultPlan>().unwrap_err().to_string();
        assert_eq!(
            said("gremlin"),
            "fault \"gremlin\" is unknown; the faults are dropped-tensor, invalid-flag, counter-jump, \
             counter-wrap, truncated-buffer, corrupt-ap-params, stalled-source, lost-buffer, lost-network, \
             silent-sensor, gone-camera"
        );
        assert_eq!(
            said("lost-buffer:9-5"),
            "fault \"lost-buffer\": \"9-5\" is no range of frames, first-last; write lost-buffer, \
             lost-buffer:60-120, lost-buffer:60-120:every=10 or lost-buffer:0-9999:random=100"
        );
        for text in [
            "",
            "lost-buffer:",
            "lost-buffer:every=0",
            "lost-buffer:every=x",
            "lost-buffer:random=0",
            "lost-buffer:random=0.1",
            "lost-buffer:7",
        ] {
            assert!(text.parse::<FaultPlan>().is_err(), "{text}");
        }
    }

    #[test]
    fn fault_waits_for_a_buffer_it_can_hurt() {
        let mut faults = faults(&["invalid-flag:10-30:every=10"]);
        // Outputs come at 13, 18, 35 and 36: due at 10 strikes 13; due at 20 and 30 strike 35, once.
        let outputs = [3, 13, 18, 35, 36].into_iter();
        assert_eq!(struck(&mut faults, Fault::InvalidFlag, outputs), [13, 35]);
        assert!(!faults.strikes(Fault::LostBuffer, 40));
    }

    #[test]
    fn counter_counts_and_wraps() {
        let faults = faults(&[]);
        assert_eq!(
            [0, 1, 255, 256, 600].map(|frame| faults.frame_count(frame)),
            [0, 1, 255, 0, 88]
        );
    }

    #[test]
    fn counter_wraps_right_after_the_frame_named() {
        let mut faults = faults(&["counter-wrap"]);
        assert_eq!([60, 61].map(|frame| faults.frame_count(frame)), [255, 0]);
        assert_eq!(struck(&mut faults, Fault::CounterWrap, 0..300), [60]);
    }

    #[test]
    fn counter_jump_stays_and_is_no_small_step() {
        let faults = faults(&["counter-jump:5-7:every=2"]);
        let step = |frame| faults.frame_count(frame).wrapping_sub(faults.frame_count(frame - 1));
        assert_eq!([4, 6, 8, 300].map(step), [1; 4]);
        assert!((65..=193).contains(&step(5)), "{}", step(5));
        assert_eq!(step(5), step(7));
    }

    #[test]
    fn damage_never_leaves_a_root_inside_the_buffer() {
        let mut faults = faults(&[]);
        for len in 0..64 {
            let mut bytes = vec![0x11; len];
            faults.damage(&mut bytes);
            if let Some(root) = bytes.first_chunk() {
                assert!(u32::from_le_bytes(*root) >= 0x8000_0000);
            }
        }
    }
}
