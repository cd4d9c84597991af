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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn simulated_time_moves_only_when_waited_for_and_never_back() {
        let clock = Clock::simulated(StopSignal::default());
        assert_eq!(clock.now(), Timestamp(0));
        assert_eq!(clock.clone().wait_until(Timestamp(70)), Waited::Reached);
        assert_eq!(clock.wait_until(Timestamp(30)), Waited::Reached);
        assert_eq!(clock.now(), Timestamp(70));
    }

    #[test]
    fn stop_signal_ends_every_wait() {
        let stop = StopSignal::default();
        let clocks = [Clock::monotonic(stop.clone()), Clock::simulated(stop.clone())];
        stop.raise();
        for clock in clocks {
            assert_eq!(clock.wait_until(clock.now().plus(HOUR)), Waited::Stopped);
            assert!(clock.stop_signal().is_raised());
        }
    }

    #[test]
    fn stop_signal_raised_elsewhere_ends_a_wait_that_has_begun() {
        let clock = Clock::monotonic(StopSignal::default());
        let waiting = {
            let clock = clock.clone();
            std::thread::spawn(move || clock.wait_until(clock.now().plus(HOUR)))
        };
        clock.stop_signal().raise();
        assert_eq!(waiting.join().unwrap(), Waited::Stopped);
    }

    #[test]
    fn monotonic_wait_for_a_past_moment_returns_at_once() {
        let clock = Clock::monotonic(StopSignal::default());
        let before = clock.now();
        assert_eq!(clock.wait_until(before), Waited::Reached);
        assert!(clock.now() >= before);
    }

    #[test]
    fn differences_and_sums_saturate() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_nanos(4));
        assert_eq!(Timestamp(u64::MAX).plus(HOUR), Timestamp(u64::MAX));
        assert_eq!(Timestamp(0).plus(Duration::MAX), Timestamp(u64::MAX));
    }
}
