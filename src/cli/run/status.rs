//! How a run is going: a line that renews itself on a terminal, a line every ten seconds elsewhere.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qsegment::outputs::figures::milliseconds;
use qsegment::pipeline::latency::Stage;
use qsegment::pipeline::{Observer, Snapshot};
use qsegment::source::clock::{Clock, Waited};

use super::service;
use crate::cli::log::TOLD;
use crate::cli::out::{is_watched, tell, tells_in_records};
use crate::cli::progress::Progress;

/// Starts the "status" thread; it ends when the clock's stop signal is raised.
pub(crate) fn start(
    observer: Observer,
    clock: Clock,
    frames: Option<u64>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("status".to_owned()).spawn(move || {
        let progress = Progress::new(frames);
        let started = clock.now();
        let every = match (is_watched(), service::is_one()) {
            (true, _) => ON_A_TERMINAL,
            (false, true) => AS_A_SERVICE,
            (false, false) => ELSEWHERE,
        };
        let mut next = started.plus(every);
        while clock.wait_until(next) == Waited::Reached {
            let snapshot = observer.snapshot();
            let running = clock.now().since(started);
            let line = line(&snapshot, running);
            progress.set(snapshot.counters.buffers);
            if is_watched() {
                progress.say(line);
            } else if tells_in_records() {
                record(&snapshot, running, &line);
            } else {
                tell(line);
            }
            next = next.plus(every);
        }
    })
}

const ON_A_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);
/// `systemctl status` tells how it goes now; the journal is read for what was.
const AS_A_SERVICE: Duration = Duration::from_secs(600);

/// What a run was, where its report would drown what else is in a journal.
pub(super) fn record_end(snapshot: &Snapshot, ran: Duration) {
    record(snapshot, ran, &format!("ended after {}", line(snapshot, ran)));
}

/// The line and its figures as fields.
fn record(snapshot: &Snapshot, running: Duration, line: &str) {
    let counters = &snapshot.counters;
    tracing::info!(
        target: TOLD,
        running_s = running.as_secs(),
        frames = counters.buffers,
        tensors = counters.outputs,
        unpaired = counters.unpaired,
        stale = counters.stale,
        "{line}"
    );
}

fn line(snapshot: &Snapshot, running: Duration) -> String {
    let counters = &snapshot.counters;
    let p99 = snapshot
        .stages
        .iter()
        .find(|stage| stage.stage == Stage::SensorToMask && stage.count > 0)
        .map_or_else(String::new, |stage| {
            format!(", sensor to mask p99 {:.0} ms", milliseconds(stage.p99))
        });
    format!(
        "{:.0} s: {} frames, {} tensors ({:.1} a second), {} unpaired, {} stale{p99}",
        running.as_secs_f64(),
        counters.buffers,
        counters.outputs,
        counters.outputs as f64 / running.as_secs_f64(),
        counters.unpaired,
        counters.stale,
    )
}
