//! What systemd is told of a run: ready, alive, how it goes, stopping. Nothing where it does not listen.
//!
//! ```text
//!   opening the source   first tensor     while tensors arrive     SIGHUP              SIGTERM, or the end
//!   STATUS               READY            WATCHDOG, STATUS         RELOADING, READY    STOPPING
//!   EXTEND_TIMEOUT while an upload moves
//! ```
//!
//! Ready is a camera whose tensors arrive, or whose pictures the host has run the network on: whatever is ordered
//! after the service finds results. The watchdog is fed by tensors, not by the process being there: a camera that
//! hangs while everything else goes on is what it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, io};

use qsegment::outputs::figures::Facts;
use qsegment::pipeline::{Observer, Progress};
use qsegment::source::clock::{Clock, Timestamp, Waited};
use qsegment::source::imx500::UploadReport;
use sd_notify::NotifyState;

/// Whether systemd started this program and wants to be told.
pub(crate) fn is_one() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some()
}

/// How an upload goes. While it moves, the start may take longer; one that stalls gets no more time.
pub(super) fn uploading(report: &UploadReport) {
    match report {
        UploadReport::Progress(progress) => {
            say(&[NotifyState::Status(&progress.to_string())]);
            if progress.stalled.is_none() {
                takes(UPLOAD_PATIENCE);
            }
        }
        UploadReport::Done(uploaded) => say(&[NotifyState::Status(&uploaded.to_string())]),
    }
}

/// From now on, start or stop may take this much longer than it may by the unit.
pub(super) fn takes(longer: Duration) {
    let micros = u32::try_from(longer.as_micros()).unwrap_or(u32::MAX);
    say(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// The run is about to end.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// A run as a service. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Service {
    is_ready: Arc<AtomicBool>,
}

impl Service {
    /// The configuration is read again, until the result is dropped.
    pub(super) fn reloading(&self) -> Reloading {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            say(&[NotifyState::Reloading, now]);
        }
        Reloading { is_ready: Arc::clone(&self.is_ready) }
    }

    /// Starts the "service" thread where systemd wants to be told; it ends when the clock's stop signal is raised.
    pub(super) fn start(
        self,
        observer: Observer,
        facts: &Facts,
        clock: Clock,
    ) -> io::Result<Option<JoinHandle<()>>> {
        if !is_one() {
            return Ok(None);
        }
        let (network, camera) = (&facts.network.name, &facts.ladder.camera);
        tracing::info!(
            network,
            camera,
            inference = facts.ladder.inference,
            "network {network}, {}",
            from(facts)
        );
        let watch = Watch {
            observer,
            from: from(facts),
            feed_every: sd_notify::watchdog_enabled().map(|patience| patience / FEEDS),
            clock,
        };
        let spawned = thread::Builder::new().name("service".to_owned()).spawn(move || {
            watch.run(&self.is_ready);
            stopping();
        });
        spawned.map(Some)
    }
}

fn from(facts: &Facts) -> String {
    let by = match (facts.ladder.camera.as_str(), facts.ladder.inference.as_str()) {
        (_, "host") => "on the host",
        ("simulated", _) => "in the emulator",
        _ => "in the sensor",
    };
    format!("{} sensor, network {by}", facts.ladder.camera)
}

/// A reload under way. Ends as ready, unless nothing was ready before.
pub(super) struct Reloading {
    is_ready: Arc<AtomicBool>,
}

impl Drop for Reloading {
    fn drop(&mut self) {
        if self.is_ready.load(Ordering::Acquire) {
            say(&[NotifyState::Ready]);
        }
    }
}

struct Watch {
    observer: Observer,
    /// Where tensors come from, in words.
    from: String,
    /// None without a watchdog.
    feed_every: Option<Duration>,
    clock: Clock,
}

impl Watch {
    fn run(&self, is_ready: &AtomicBool) {
        say(&[NotifyState::Status(&format!("{}: waiting for the first tensor", self.from))]);
        let mut pace = Pace::new(self.clock.now());
        let mut feeding = Feeding::default();
        let mut next_feed = self.clock.now();
        let mut next_status = self.clock.now().plus(STATUS_EVERY);
        loop {
            let now = self.clock.now();
            let progress = self.observer.progress();
            pace.see(now, progress);
            if progress.outputs > 0 && !is_ready.swap(true, Ordering::AcqRel) {
                say(&[NotifyState::Ready]);
            }
            if let Some(every) = self.feed_every.filter(|_| now >= next_feed) {
                let recovers = progress.recovering.is_some_and(|since| since < LONGEST_STEP);
                if feeding.push(progress.outputs, recovers) {
                    say(&[NotifyState::Watchdog]);
                }
                next_feed = now.plus(every);
            }
            if now >= next_status {
                say(&[NotifyState::Status(&format!("{}: {}", self.from, pace.take(now)))]);
                next_status = now.plus(STATUS_EVERY);
            }
            if self.clock.wait_until(now.plus(TICK)) == Waited::Stopped {
                return;
            }
        }
    }
}

/// How often it is looked; how exactly the age of a tensor is told.
const TICK: Duration = Duration::from_millis(200);
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// In the time after which systemd ends a service that is not heard of.
const FEEDS: u32 = 3;
/// How long a step of an upload that moves may take; it reports more often.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(60);
/// What a step of recovery may take: a back-off of half a minute, and the upload of a network that the camera's bridge
/// has not cached, which takes minutes.
const LONGEST_STEP: Duration = Duration::from_mins(10);

/// Decides whether the watchdog is fed.
///
/// ```text
///   tensors since the last time   a bounded recovery step runs   fed
///   yes                           either                         yes
///   no                            yes                            yes: the step's own limit ends it
///   no                            no                             no: systemd restarts what hangs
/// ```
#[derive(Debug, Default)]
struct Feeding {
    /// Tensors so far when it was last asked.
    outputs: u64,
}

impl Feeding {
    /// `outputs` is how many tensors there were until now.
    fn push(&mut self, outputs: u64, recovering: bool) -> bool {
        let arrived = outputs != self.outputs;
        self.outputs = outputs;
        arrived || recovering
    }
}

/// How fast frames and tensors come, between two lines of status.
struct Pace {
    since: Timestamp,
    before: Progress,
    newest: Progress,
    last_tensor: Option<Timestamp>,
}

impl Pace {
    fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            before: Progress::default(),
            newest: Progress::default(),
            last_tensor: None,
        }
    }

    fn see(&mut self, now: Timestamp, progress: Progress) {
        if progress.outputs != self.newest.outputs {
            self.last_tensor = Some(now);
        }
        self.newest = progress;
    }

    /// A line about the time since the last one.
    fn take(&mut self, now: Timestamp) -> String {
        let seconds = now.since(self.since).as_secs_f64();
        let rate = |newest: u64, before: u64| newest.saturating_sub(before) as f64 / seconds;
        let frames = rate(self.newest.buffers, self.before.buffers);
        let tensors = rate(self.newest.outputs, self.before.outputs);
        let age = match self.last_tensor {
            Some(at) => format!("the last {:.1} s ago", now.since(at).as_secs_f64()),
            None => "none yet".to_owned(),
        };
        (self.since, self.before) = (now, self.newest);
        format!("{frames:.1} frames and {tensors:.1} tensors a second, {age}")
    }
}

/// Whoever does not listen need not be told; the run goes on all the same.
fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd cannot be told {states:?}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(buffers: u64, outputs: u64) -> Progress {
        Progress { buffers, outputs, ..Progress::default() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_000_000_000 * seconds)
    }

    #[test]
    fn watchdog_is_fed_by_tensors_and_by_nothing_else() {
        let mut feeding = Feeding::default();
        let fed = [0, 1, 1, 1, 7, 7].map(|outputs| feeding.push(outputs, false));
        assert_eq!(fed, [false, true, false, false, true, false]);
    }

    #[test]
    fn a_recovery_step_feeds_as_long_as_it_runs() {
        let mut feeding = Feeding::default();
        assert!(feeding.push(5, false));
        assert!(feeding.push(5, true));
        assert!(!feeding.push(5, false), "tensors before the step do not count after it");
    }

    #[test]
    fn a_new_count_after_a_restart_of_the_source_is_life() {
        let mut feeding = Feeding::default();
        assert!(feeding.push(900, false));
        assert!(feeding.push(3, false));
    }

    #[test]
    fn status_tells_the_pace_since_the_last_line_and_the_age() {
        let mut pace = Pace::new(at(10));
        pace.see(at(12), progress(30, 0));
        assert_eq!(pace.take(at(15)), "6.0 frames and 0.0 tensors a second, none yet");
        pace.see(at(16), progress(45, 20));
        pace.see(at(18), progress(60, 20));
        assert_eq!(pace.take(at(20)), "6.0 frames and 4.0 tensors a second, the last 4.0 s ago");
    }
}
