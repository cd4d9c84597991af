//! The one writer of standard output. What a command has to say goes there; progress, logs and
//! errors go to standard error, so that `--json` can be piped.

use std::fmt::Display;
use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::log::TOLD;

/// Standard output.
pub(crate) struct Out {
    stdout: Stdout,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self { stdout: io::stdout() }
    }
    /// Writes one line and hands it on at once: a reader of a pipe must not wait for the next one.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), OutError> {
        writeln!(self.stdout, "{text}")?;
        self.stdout.flush()?;
        Ok(())
    }
    /// Writes one JSON document.
    pub(crate) fn json(&mut self, document: &impl serde::Serialize) -> Result<(), OutError> {
        let text = serde_json::to_string_pretty(document).map_err(io::Error::from)?;
        self.line(text)
    }
}

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutError {
    /// The reader has gone (`qsegment inspect FILE | head -3`), which is no failure.
    #[error("the reader of the output has gone")]
    ReaderGone,
    #[error("cannot write to standard output: {0}")]
    Io(io::Error),
}

impl From<io::Error> for OutError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Io(error),
        }
    }
}

/// Whether somebody watches standard error; progress is drawn only then.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal() && !tells_in_records()
}

/// Writes one line to standard error, or a record where the log has them.
pub(crate) fn tell(text: impl Display) {
    if tells_in_records() {
        tracing::info!(target: TOLD, "{text}");
        return;
    }
    // Nobody is left to be told when standard error itself is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The same for what has gone wrong.
pub(crate) fn complain(text: impl Display) {
    if tells_in_records() {
        tracing::error!(target: TOLD, "{text}");
    } else {
        tell(format_args!("qsegment: {text}"));
    }
}

/// From now on, what is told are log records.
pub(crate) fn tell_in_records() {
    IN_RECORDS.store(true, Ordering::Relaxed);
}

/// Whether what is told are log records, which can carry fields.
pub(crate) fn tells_in_records() -> bool {
    IN_RECORDS.load(Ordering::Relaxed)
}

/// Set once, before anything is told.
static IN_RECORDS: AtomicBool = AtomicBool::new(false);
