//! The one door through which time comes in: nobody else calls `Instant::now`.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Nanoseconds since the clock's origin, on a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
    /// Later by `by`.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A clock. Clones share origin, state and the stop signal.
#[derive(Debug, Clone)]
pub struct Clock {
    kind: Kind,
    stop: StopSignal,
}

#[derive(Debug, Clone)]
enum Kind {
    /// CLOCK_MONOTONIC since the clock was made.
    Monotonic(Instant),
    /// Moves only when somebody waits: a wait ends at once and sets the time. For `--pace max` and tests.
    Virtual(Arc<Mutex<Timestamp>>),
}

/// Whether a wait ended because its time came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The time has come.
    Reached,
    /// The stop signal was raised first.
    Stopped,
}

impl Clock {
    /// Real time.
    #[must_use]
    pub fn monotonic(stop: StopSignal) -> Self {
        Self { kind: Kind::Monotonic(Instant::now()), stop }
    }
    /// Time that moves only when waited for.
    #[must_use]
    pub fn simulated(stop: StopSignal) -> Self {
        Self { kind: Kind::Virtual(Arc::default()), stop }
    }
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.kind {
            Kind::Monotonic(origin) => Timestamp::default().plus(origin.elapsed()),
            Kind::Virtual(now) => *now.lock().expect(NOT_POISONED),
        }
    }
    /// Waits until `at`, or until the stop signal is raised.
    pub fn wait_until(&self, at: Timestamp) -> Waited {
        match &self.kind {
            Kind::Monotonic(_) => self.stop.wait(at.since(self.now())),
            Kind::Virtual(now) => {
                let mut now = now.lock().expect(NOT_POISONED);
                *now = (*now).max(at);
                if self.stop.is_raised() { Waited::Stopped } else { Waited::Reached }
            }
        }
    }
    /// The signal that ends every wait on this clock.
    #[must_use]
    pub fn stop_signal(&self) -> &StopSignal {
        &self.stop
    }
}

/// Raised once to end every wait. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<(Mutex<bool>, Condvar)>);

impl StopSignal {
    /// Ends every wait, now and later.
    pub fn raise(&self) {
        let (raised, changed) = &*self.0;
        *raised.lock().expect(NOT_POISONED) = true;
        changed.notify_all();
    }
    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.0.lock().expect(NOT_POISONED)
    }
    fn wait(&self, at_most: Duration) -> Waited {
        let (raised, changed) = &*self.0;
        let guard = raised.lock().expect(NOT_POISONED);
        let (guard, _) =
            changed.wait_timeout_while(guard, at_most, |raised| !*raised).expect(NOT_POISONED);
        if *guard { Waited::Stopped } else { Waited::Reached }
    }
}

const NOT_POISONED: &str = "no code panics while it holds this lock";
