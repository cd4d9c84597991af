//! The "capture" thread: owns the source, takes its buffers, and recovers it.
//!
//! ```text
//!              +-- buffer ----------------------------------> queue to decode
//!   source.next+
//!              +-- what came, or the error --> Ladder --+--> go on
//!                                                       +--> wait, source.recover, look again
//!                                                       +--> give up: the run ends with the error
//! ```
//!
//! Whether tensors come is known to decode, a few buffers later: that is soon enough for patience of seconds.

use std::sync::Arc;
use std::time::Duration;

use super::host::Inference;
use super::recovery::{Ladder, Order, Recoveries, Saw};
use super::running::{Shared, lock};
use super::{Counters, Options};
use crate::source::clock::{Timestamp, Waited};
use crate::source::recovery::{Remedy, Trouble};
use crate::source::{FrameSource, Next, RawFrame, SourceError};

/// What capture reports once a buffer.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceState {
    pub(super) injected_faults: Vec<(&'static str, u64)>,
    pub(super) device_events: Vec<(&'static str, u64)>,
    pub(super) behind_real_time: Duration,
    pub(super) recovery: Recovery,
}

/// What was done to recover the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovery {
    /// Steps and how they ended.
    pub counts: Recoveries,
    /// What is being tried, and since when on the host clock; none while all is well.
    pub trying: Option<(Remedy, Timestamp)>,
    /// How often the camera was started since the machine was; none where that does not wear it out.
    pub camera_cycles: Option<u32>,
}

/// A buffer on its way from capture to decode.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) raw: RawFrame,
    /// Host clock.
    pub(super) received: Timestamp,
    /// Buffers that capture had dropped before this one.
    pub(super) dropped_before: u64,
}

/// The thread's own.
pub(super) struct Capture {
    source: Box<dyn FrameSource>,
    max_buffers: Option<u64>,
    policy: Policy,
    /// None where nothing can be done.
    ladder: Option<Ladder>,
    /// Which counter says that the sensor's network runs; none where it runs none.
    tensors: Option<fn(&Counters) -> u64>,
    trying: Option<(Remedy, Timestamp)>,
    shared: Arc<Shared>,
}

/// What happens to buffers that decode is too slow for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Capture waits.
    Wait,
    /// The newest is refused: decode takes a fraction of a frame, and what it has begun to catch up with is
    /// better shown in order.
    Refuse,
    /// The oldest is dropped: decode runs a network on the host, which may take many frames.
    NewestWins,
}

impl Policy {
    pub(super) fn of(options: &Options) -> Self {
        match (options.drop_when_behind, &options.inference) {
            (false, _) => Self::Wait,
            (true, Inference::Sensor) => Self::Refuse,
            (true, Inference::Host(_)) => Self::NewestWins,
        }
    }
}

impl Capture {
    pub(super) fn new(
        source: Box<dyn FrameSource>,
        options: &Options,
        shared: Arc<Shared>,
    ) -> Self {
        let tensors: Option<fn(&Counters) -> u64> = match &options.inference {
            Inference::Sensor => Some(|counters| counters.outputs),
            host if host.sees_pictures() => None,
            Inference::Host(_) => Some(|counters| counters.inputs),
        };
        let ladder = (source.can_recover() && options.recovery.steps > 0)
            .then(|| Ladder::new(options.recovery, tensors.is_some()));
        Self {
            source,
            max_buffers: options.max_buffers,
            policy: Policy::of(options),
            ladder,
            tensors,
            trying: None,
            shared,
        }
    }

    pub(super) fn run(mut self) -> Result<(), SourceError> {
        let shared = Arc::clone(&self.shared);
        let mut taken = 0;
        let mut dropped = 0;
        let mut tensors = 0;
        let mut at_hand = None;
        while self.max_buffers.is_none_or(|max| taken < max)
            && !shared.host_clock.stop_signal().is_raised()
        {
            let Some(mut raw) = at_hand.take().or_else(|| shared.empty.take()) else {
                break;
            };
            let next = self.source.next(&mut raw);
            self.report();
            match next {
                Ok(Next::Ended) => break,
                Err(error) => {
                    at_hand = Some(raw);
                    if self.recover(error)? == Waited::Stopped {
                        break;
                    }
                    continue;
                }
                Ok(Next::Frame) => {}
            }
            taken += 1;
            let at = raw.tensor_at_host;
            let received = shared.host_clock.now();
            let captured = Captured { raw, received, dropped_before: dropped };
            match self.policy {
                Policy::Wait => {
                    if shared.captured.put(captured).is_err() {
                        break;
                    }
                }
                Policy::Refuse => {
                    if let Err(refused) = shared.captured.offer(captured) {
                        dropped += 1;
                        at_hand = Some(refused.raw);
                    }
                }
                Policy::NewestWins => match shared.captured.displace(captured) {
                    Ok(oldest) => at_hand = oldest.map(|captured| captured.raw),
                    Err(_) => break,
                },
            }
            if self.ladder.is_some() {
                let so_far =
                    self.tensors.map_or(0, |count| count(&lock(&shared.of_decode).counters));
                let tensor = so_far > std::mem::replace(&mut tensors, so_far);
                if self.look(at, tensor)? == Waited::Stopped {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A buffer came: is all well?
    fn look(&mut self, at: Timestamp, tensor: bool) -> Result<Waited, SourceError> {
        let Some(ladder) = &mut self.ladder else { return Ok(Waited::Reached) };
        let without = ladder.without_tensor(at);
        let saw = Saw::Buffer { at, tensor };
        match ladder.push(saw) {
            Order::GoOn => {
                if self.trying.is_some() && !ladder.is_recovering() {
                    let Recoveries { steps, .. } = ladder.counts();
                    tracing::warn!(steps = steps.iter().sum::<u64>(), "the source has recovered");
                    self.trying = None;
                    self.report();
                }
                Ok(Waited::Reached)
            }
            order => self.obey(order, SourceError::NoTensors { seconds: without.as_secs() }),
        }
    }

    /// The source has failed.
    fn recover(&mut self, error: SourceError) -> Result<Waited, SourceError> {
        let Some(ladder) = &mut self.ladder else { return Err(error) };
        let order = ladder.push(Saw::Trouble(error.trouble()));
        self.obey(order, error)
    }

    /// Tries what the ladder orders until it orders to go on. `error` is why.
    fn obey(&mut self, mut order: Order, mut error: SourceError) -> Result<Waited, SourceError> {
        let shared = Arc::clone(&self.shared);
        while let Some(ladder) = &mut self.ladder {
            let (remedy, after, step) = match order {
                Order::GoOn => break,
                Order::GiveUp => {
                    let error = given_up(ladder, error);
                    self.report();
                    return Err(error);
                }
                Order::Try { remedy, after, step } => (remedy, after, step),
            };
            let most = ladder.most_steps();
            let after_s = after.as_secs_f64();
            tracing::warn!(remedy = remedy.name(), step, most, after_s, "{error}: {remedy}");
            self.trying = Some((remedy, shared.host_clock.now()));
            self.report();
            if shared.host_clock.wait_until(shared.host_clock.now().plus(after)) == Waited::Stopped
            {
                return Ok(Waited::Stopped);
            }
            let saw = match self.source.recover(remedy) {
                Ok(()) => Saw::Applied,
                Err(failed) => {
                    error = failed;
                    Saw::Trouble(error.trouble())
                }
            };
            if let Some(ladder) = &mut self.ladder {
                order = ladder.push(saw);
            }
        }
        self.report();
        Ok(Waited::Reached)
    }

    fn report(&self) {
        let ladder = self.ladder.as_ref();
        *lock(&self.shared.of_source) = SourceState {
            injected_faults: self.source.injected_faults(),
            device_events: self.source.device_events(),
            behind_real_time: self.source.behind_real_time(),
            recovery: Recovery {
                counts: ladder.map(Ladder::counts).unwrap_or_default(),
                trying: self.trying,
                camera_cycles: self.source.camera_cycles(),
            },
        };
    }
}

/// What never worked, and what nothing helps, is told as it is.
fn given_up(ladder: &Ladder, error: SourceError) -> SourceError {
    let lasting = matches!(error.trouble(), Trouble::WornOut | Trouble::Lasting);
    if lasting || !ladder.is_recovering() {
        return error;
    }
    SourceError::GivenUp { steps: ladder.most_steps(), cause: error.to_string() }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.captured.close();
    }
}
