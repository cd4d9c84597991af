//! `--dump-metadata`: keeps the first complete buffer of a run, for `qsegment inspect`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use qsegment::formats::dnn_lines::DnnLines;
use qsegment::source::recovery::Remedy;
use qsegment::source::{FrameSource, Next, RawFrame, SourceError, SourceInfo};

use crate::cli::write;

/// A source that hands on every frame and writes one of them.
pub(crate) struct Dumping {
    inner: Box<dyn FrameSource>,
    path: PathBuf,
    outcome: Arc<Mutex<Outcome>>,
}

#[derive(Debug, Default)]
enum Outcome {
    /// No buffer so far had both tensors.
    #[default]
    Waiting,
    Written,
    Failed(anyhow::Error),
}

/// Says at the end of a run whether the file was written.
pub(crate) struct Dumped {
    path: PathBuf,
    outcome: Arc<Mutex<Outcome>>,
}

impl Dumping {
    pub(crate) fn new(inner: Box<dyn FrameSource>, path: PathBuf) -> (Self, Dumped) {
        let outcome = Arc::default();
        let dumped = Dumped { path: path.clone(), outcome: Arc::clone(&outcome) };
        (Self { inner, path, outcome }, dumped)
    }
}

impl Dumped {
    pub(crate) fn judge(self) -> anyhow::Result<()> {
        match std::mem::take(&mut *self.outcome.lock().expect(NOT_POISONED)) {
            Outcome::Written => Ok(()),
            Outcome::Failed(error) => Err(error),
            Outcome::Waiting => bail!(
                "{} was not written: no buffer carried both tensors; let it run for more frames",
                self.path.display()
            ),
        }
    }
}

impl FrameSource for Dumping {
    fn info(&self) -> SourceInfo {
        self.inner.info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = self.inner.next(frame)?;
        if next == Next::Frame {
            let mut outcome = self.outcome.lock().expect(NOT_POISONED);
            if matches!(*outcome, Outcome::Waiting) && is_complete(frame) {
                *outcome = match write::file(&self.path, |w| w.write_all(&frame.metadata)) {
                    Ok(()) => Outcome::Written,
                    Err(error) => Outcome::Failed(error),
                };
            }
        }
        Ok(next)
    }
    fn behind_real_time(&self) -> Duration {
        self.inner.behind_real_time()
    }
    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        self.inner.injected_faults()
    }
    fn device_events(&self) -> Vec<(&'static str, u64)> {
        self.inner.device_events()
    }
    fn can_recover(&self) -> bool {
        self.inner.can_recover()
    }
    fn recover(&mut self, remedy: Remedy) -> Result<(), SourceError> {
        self.inner.recover(remedy)
    }
    fn camera_cycles(&self) -> Option<u32> {
        self.inner.camera_cycles()
    }
}

/// Both tensors are there and valid, so that inspecting the buffer shows everything there is.
fn is_complete(frame: &RawFrame) -> bool {
    let dnn_area = frame.metadata.get(2 * frame.embedded_line_len_bytes..).unwrap_or_default();
    DnnLines::split(dnn_area).is_ok_and(|lines| {
        lines.input.header.frame_valid
            && lines.output.is_some_and(|output| output.header.frame_valid)
    })
}

const NOT_POISONED: &str = "no code panics while it holds this lock";
