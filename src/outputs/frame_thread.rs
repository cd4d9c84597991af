//! A thread that takes the newest frame of its slot, again and again, until the slot is closed.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::pipeline::Frame;
use crate::pipeline::queue::{LatestSlot, Taken};

/// Dropping it waits for the end.
#[derive(Debug)]
pub(super) struct FrameThread {
    name: &'static str,
    thread: Option<JoinHandle<()>>,
}

impl FrameThread {
    /// What `begin` gives takes the frames; both run on the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start<F: FnMut(&Frame)>(
        name: &'static str,
        slot: Arc<LatestSlot<Arc<Frame>>>,
        begin: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let body = move || {
            let mut take = begin();
            loop {
                match slot.take(LOOK_AGAIN) {
                    Taken::Value(frame) => take(&frame),
                    Taken::TimedOut => {}
                    Taken::Closed => break,
                }
            }
        };
        let thread = Some(Builder::new().name(name.to_owned()).spawn(body)?);
        Ok(Self { name, thread })
    }
}

impl Drop for FrameThread {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(
                "the {} thread has panicked; this is a bug, please report it",
                self.name
            );
        }
    }
}

/// A closed slot wakes its reader at once; this only bounds one wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
