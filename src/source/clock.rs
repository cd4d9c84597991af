//! The one door through which time comes in: nobody else asks for the time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{ClockId, clock_gettime};

use super::Quality;

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
    /// CLOCK_MONOTONIC since the clock was made, which was at this nanosecond of it.
    Monotonic(u64),
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
        Self { kind: Kind::Monotonic(kernel_now()), stop }
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
            Kind::Monotonic(origin) => Timestamp(kernel_now().saturating_sub(*origin)),
            Kind::Virtual(now) => *now.lock().expect(NOT_POISONED),
        }
    }
    /// A stamp that the kernel took on CLOCK_MONOTONIC, such as a driver's at the start of a frame, on
    /// this clock. One from before the clock was made is its origin; a virtual clock's origin is the
    /// kernel's.
    #[must_use]
    pub fn at_kernel_stamp(&self, stamp: Duration) -> Timestamp {
        let stamp = Timestamp::default().plus(stamp);
        match &self.kind {
            Kind::Monotonic(origin) => Timestamp(stamp.0.saturating_sub(*origin)),
            Kind::Virtual(_) => stamp,
        }
    }
    /// A moment of this clock as the kernel counts it, on CLOCK_MONOTONIC: what other programs on this machine can
    /// compare with their own. On a virtual clock nobody can, and it stays what it is.
    #[must_use]
    pub fn kernel_stamp(&self, at: Timestamp) -> Duration {
        let origin = match &self.kind {
            Kind::Monotonic(origin) => *origin,
            Kind::Virtual(_) => 0,
        };
        Duration::from_nanos(at.0.saturating_add(origin))
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
    /// When work that began at `began` is done: now. On a virtual clock work takes no time, however far others
    /// have moved the clock meanwhile, so that what is timed by it is the same in every run.
    #[must_use]
    pub fn done(&self, began: Timestamp) -> Timestamp {
        match &self.kind {
            Kind::Monotonic(_) => self.now(),
            Kind::Virtual(_) => began,
        }
    }
    /// What a time between two moments of this clock is.
    #[must_use]
    pub fn quality(&self) -> Quality {
        match &self.kind {
            Kind::Monotonic(_) => Quality::Measured,
            Kind::Virtual(_) => Quality::Simulated,
        }
    }
    /// The signal that ends every wait on this clock.
    #[must_use]
    pub fn stop_signal(&self) -> &StopSignal {
        &self.stop
    }
}

/// Processor time that all threads of this process have used so far.
#[must_use]
pub fn processor_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(used).expect("it starts at 0 and never goes back")
}

/// How long ago this process was started, by the kernel's own record, so that whatever ran before the first line
/// of this program is in it; too long by less than a tick of 10 ms. None where no `/proc` tells.
#[must_use]
pub fn since_process_start() -> Option<Duration> {
    let now = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
    now.checked_sub(started_after_boot(&std::fs::read_to_string("/proc/self/stat").ok()?)?)
}

/// Field 22, `starttime`, of proc_pid_stat(5): ticks from boot to the start of the process.
fn started_after_boot(stat: &str) -> Option<Duration> {
    // The second field is a name in brackets, which may itself have spaces and brackets in it.
    let (_, from_third) = stat.rsplit_once(')')?;
    let ticks: u32 = from_third.split_whitespace().nth(22 - 3)?.parse().ok()?;
    TICK.checked_mul(ticks)
}

/// Of the times in `/proc`: USER_HZ is 100 on every architecture that this runs on.
const TICK: Duration = Duration::from_millis(10);

/// Nanoseconds of CLOCK_MONOTONIC, the clock by which drivers stamp buffers.
fn kernel_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let since_boot =
        Duration::try_from(now).expect("CLOCK_MONOTONIC starts at 0 and never goes back");
    Timestamp::default().plus(since_boot).0
}

/// Raised once to end every wait. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<Stop>);

#[derive(Debug, Default)]
struct Stop {
    raised: Mutex<bool>,
    changed: Condvar,
    /// Readable once the signal is raised; made when first asked for.
    readable: OnceLock<OwnedFd>,
}

impl StopSignal {
    /// Ends every wait, now and later.
    pub fn raise(&self) {
        *self.0.raised.lock().expect(NOT_POISONED) = true;
        self.0.changed.notify_all();
        self.make_readable();
    }
    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.raised.lock().expect(NOT_POISONED)
    }
    /// A descriptor that is readable as soon as the signal is raised, and stays so, for waits in `poll`.
    /// It must not be read.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn readable(&self) -> io::Result<BorrowedFd<'_>> {
        if self.0.readable.get().is_none() {
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            // Another thread may have been faster; then its descriptor is the one.
            drop(self.0.readable.set(made));
            if self.is_raised() {
                self.make_readable();
            }
        }
        Ok(self.0.readable.get().expect("it was just set").as_fd())
    }
    fn make_readable(&self) {
        if let Some(readable) = self.0.readable.get() {
            // Only a counter near u64::MAX refuses, and then it is readable anyway.
            let _ = rustix::io::write(readable, &1_u64.to_ne_bytes());
        }
    }
    fn wait(&self, at_most: Duration) -> Waited {
        let guard = self.0.raised.lock().expect(NOT_POISONED);
        let waited = self.0.changed.wait_timeout_while(guard, at_most, |raised| !*raised);
        let (guard, _) = waited.expect(NOT_POISONED);
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
    fn start_of_a_process_is_its_twenty_second_field_whatever_its_name() {
        let fields = "S 1 2 3 0 -1 4194560 5 0 0 0 7 8 0 0 20 0 9 0 123456 1000 10";
        for name in ["qsegment", "a b", "a) S (b"] {
            let stat = format!("4711 ({name}) {fields}");
            assert_eq!(started_after_boot(&stat), Some(Duration::from_millis(1_234_560)), "{name}");
        }
        for cut in ["", "4711 (qsegment", "4711 (qsegment) S 1 2"] {
            assert_eq!(started_after_boot(cut), None, "{cut}");
        }
        let (before, after) = (since_process_start().unwrap(), since_process_start().unwrap());
        assert!(before <= after && after < HOUR);
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
    fn stop_signal_is_readable_from_when_it_is_raised() {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ready = |stop: &StopSignal| {
            let mut waits = [PollFd::from_borrowed_fd(stop.readable().unwrap(), PollFlags::IN)];
            poll(&mut waits, Some(&at_once)).unwrap()
        };
        let stop = StopSignal::default();
        assert_eq!(ready(&stop), 0);
        stop.clone().raise();
        assert_eq!((ready(&stop), ready(&stop)), (1, 1));
        let raised_before = StopSignal::default();
        raised_before.raise();
        assert_eq!(ready(&raised_before), 1);
    }

    #[test]
    fn kernel_stamps_are_placed_on_the_same_axis_as_now() {
        let clock = Clock::monotonic(StopSignal::default());
        let kernel = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
        let stamp = clock.at_kernel_stamp(kernel);
        assert!(stamp <= clock.now());
        let later = clock.at_kernel_stamp(kernel + HOUR);
        assert_eq!(later.since(stamp), HOUR);
        assert_eq!(clock.at_kernel_stamp(Duration::ZERO), Timestamp(0));
        assert_eq!(clock.kernel_stamp(stamp), kernel);
    }

    #[test]
    fn work_takes_no_time_on_a_virtual_clock() {
        let clock = Clock::simulated(StopSignal::default());
        let began = clock.now();
        clock.wait_until(Timestamp(70));
        assert_eq!((clock.done(began), clock.quality()), (began, Quality::Simulated));
        let clock = Clock::monotonic(StopSignal::default());
        assert!(clock.done(Timestamp(0)) <= clock.now());
        assert_eq!(clock.quality(), Quality::Measured);
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
