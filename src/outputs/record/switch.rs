//! Begins and ends recordings while the run goes on.
//!
//! ```text
//!   page --wanted--> tap: copies frames, or not
//!                    thread: a new file with the next frame; or, when what was copied is written, the file's end
//!   page <--figures-- which file, how much of it is on disk, what is wrong
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// Whoever holds it can switch; clones are the same.
#[derive(Debug, Clone)]
pub struct Switch(Result<Arc<Wanted>, &'static str>);

/// Whether a recording runs, and into what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SwitchFigures {
    /// Whether it can be switched.
    pub available: bool,
    /// Whether frames are recorded.
    pub active: bool,
    /// Name of the file, also after it has ended; none before the first.
    pub file: Option<String>,
    /// What of it is on disk.
    pub bytes: u64,
    /// Why it cannot be switched, or why nothing is on disk although it should be.
    pub reason: Option<String>,
}

impl Switch {
    /// Nothing can be switched, and why.
    #[must_use]
    pub fn none(reason: &'static str) -> Self {
        Self(Err(reason))
    }

    pub(super) fn of(wanted: Arc<Wanted>) -> Self {
        Self(Ok(wanted))
    }

    /// Begins a recording, or ends the one that runs; nothing where it is so already.
    ///
    /// # Errors
    /// Why it cannot be switched.
    pub fn set(&self, active: bool) -> Result<(), &'static str> {
        let wanted = self.0.as_ref().map_err(|reason| *reason)?;
        wanted.on.store(active, Ordering::Relaxed);
        Ok(())
    }

    /// Where it stands.
    #[must_use]
    pub fn figures(&self) -> SwitchFigures {
        match &self.0 {
            Ok(wanted) => {
                let Written { file, bytes, trouble } = wanted.written().clone();
                SwitchFigures {
                    available: true,
                    active: wanted.is_on(),
                    file,
                    bytes,
                    reason: trouble,
                }
            }
            Err(reason) => SwitchFigures {
                available: false,
                active: false,
                file: None,
                bytes: 0,
                reason: Some((*reason).to_owned()),
            },
        }
    }
}

/// What tap, thread and switch share.
#[derive(Debug)]
pub(super) struct Wanted {
    on: AtomicBool,
    written: Mutex<Written>,
}

#[derive(Debug, Clone, Default)]
struct Written {
    file: Option<String>,
    bytes: u64,
    trouble: Option<String>,
}

impl Wanted {
    pub(super) fn new(on: bool) -> Self {
        Self { on: AtomicBool::new(on), written: Mutex::default() }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// So much of this file is on disk.
    pub(super) fn is_written(&self, file: &Path, bytes: u64) {
        let name = file.file_name().map(|name| name.to_string_lossy());
        let mut written = self.written();
        if written.file.as_deref() != name.as_deref() {
            written.file = name.map(std::borrow::Cow::into_owned);
        }
        (written.bytes, written.trouble) = (bytes, None);
    }

    /// Nothing is written, and why.
    pub(super) fn is_not_written(&self, trouble: String) {
        self.written().trouble = Some(trouble);
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
