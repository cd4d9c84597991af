//! `--latency-log`: every count of every second, in a file that is good up to its last line whenever the run is
//! cut.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use qsegment::outputs::figures::Facts;
use qsegment::outputs::latency_log::{self, SoFar};
use qsegment::source::clock::{Clock, Waited};

use super::watch::Watch;
use crate::cli::out::complain;

/// The file, once there is something to write; an older one is kept until then.
pub(super) fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| {
        format!(
            "--latency-log: cannot write {}; give a file in a folder that is there",
            path.display()
        )
    })
}

/// Starts the "latency-log" thread; when the clock's stop signal is raised, which is its own and not the run's, it
/// writes what came last, and ends.
pub(super) fn start(
    mut file: File,
    path: &Path,
    facts: &Facts,
    watch: Watch,
    clock: Clock,
    started: SystemTime,
) -> io::Result<JoinHandle<()>> {
    let (path, facts) = (path.to_owned(), facts.clone());
    thread::Builder::new().name("latency-log".to_owned()).spawn(move || {
        let began = clock.now();
        let mut due = began;
        let mut ended = false;
        let counts = std::iter::from_fn(|| {
            if ended {
                return None;
            }
            due = due.plus(INTERVAL);
            ended = clock.wait_until(due) == Waited::Stopped;
            Some(SoFar { elapsed: clock.now().since(began), histograms: watch.histograms() })
        });
        let stages = watch.snapshot().stages;
        if let Err(error) = latency_log::write(&mut file, &facts, started, &stages, counts) {
            // The run is worth more than its log.
            complain(format_args!("the latency log {} ends here: {error}", path.display()));
        }
    })
}

const INTERVAL: Duration = Duration::from_secs(1);
