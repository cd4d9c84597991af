//! The emulator on its own thread, so that it computes while the source waits for a frame's time.
//!
//! ```text
//!   source                                "emulator" thread
//!   submit(input) --Job--> [ 8 ] ------>  engine.run
//!   finish() <--Job------- [ 8 ] <------  (a job carries its buffers both ways and is used again)
//! ```
//!
//! Jobs come back in the order in which they went in. When one is due is decided by the schedule, never
//! by how fast the CPU is.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::emulator::{Engine, Network};
use crate::source::SourceError;

/// Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Emulation {
    /// `None` only while it is dropped.
    submitted: Option<SyncSender<Job>>,
    finished: Receiver<Job>,
    spare: Vec<Job>,
    output_len_bytes: usize,
    thread: Option<JoinHandle<()>>,
}

/// Buffers of one inference.
#[derive(Debug, Default)]
pub(super) struct Job {
    /// What the network sees.
    pub(super) input: Vec<u8>,
    /// What it says.
    pub(super) output: Vec<u8>,
}

impl Emulation {
    pub(super) fn start(network: &Network) -> Result<Self, SourceError> {
        let mut engine = Engine::new(network);
        let (submitted, jobs) = sync_channel::<Job>(JOBS);
        let (results, finished) = sync_channel(JOBS);
        let thread = Builder::new()
            .name("emulator".to_owned())
            .spawn(move || {
                while let Ok(mut job) = jobs.recv() {
                    engine.run(&job.input, &mut job.output);
                    if results.send(job).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| {
                SourceError::Emulator(format!(
                    "the emulator thread cannot start: {error}; is there a limit on threads?"
                ))
            })?;
        Ok(Self {
            submitted: Some(submitted),
            finished,
            spare: Vec::with_capacity(JOBS),
            output_len_bytes: network.output().len_bytes(),
            thread: Some(thread),
        })
    }

    /// Starts an inference on a copy of `input`.
    pub(super) fn submit(&mut self, input: &[u8]) -> Result<(), SourceError> {
        let mut job = self.spare.pop().unwrap_or_default();
        job.input.clear();
        job.input.extend_from_slice(input);
        job.output.resize(self.output_len_bytes, 0);
        let submitted = self.submitted.as_ref().expect("it is taken in drop only");
        submitted.send(job).map_err(|_| gone())
    }

    /// Waits for the oldest inference that was submitted and not yet finished.
    pub(super) fn finish(&mut self) -> Result<Job, SourceError> {
        self.finished.recv().map_err(|_| gone())
    }

    /// Takes a finished job's buffers back.
    pub(super) fn recycle(&mut self, job: Job) {
        self.spare.push(job);
    }
}

impl Drop for Emulation {
    fn drop(&mut self) {
        self.submitted = None;
        // Results that nobody fetched any more must not hold the thread.
        while self.finished.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            // A panic in the engine was printed by the thread already, and drop must not panic again.
            let _ = thread.join();
        }
    }
}

fn gone() -> SourceError {
    SourceError::Emulator(
        "the emulator thread has ended; this is a defect of the emulator: please report the network".to_owned(),
    )
}

/// More than can be under way: the DNN starts at most two in a step, is planned one step ahead, runs one,
/// and at most two wait finished (`timing.rs`).
pub(super) const JOBS: usize = 8;
