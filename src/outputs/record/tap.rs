//! A source that hands on every frame and gives a copy of it to the recorder.

use std::time::Duration;

use super::{Queues, Waits};
use crate::pipeline::queue::Taken;
use crate::source::recovery::Remedy;
use crate::source::{FrameSource, Next, RawFrame, SourceError, SourceInfo};

/// Dropping it ends the recording.
pub(super) struct Tap {
    source: Box<dyn FrameSource>,
    queues: Queues,
    waits: Waits,
    pictures: bool,
}

impl Tap {
    pub(super) fn new(
        source: Box<dyn FrameSource>,
        queues: Queues,
        waits: Waits,
        pictures: bool,
    ) -> Self {
        Self { source, queues, waits, pictures }
    }

    fn copy(&self, frame: &RawFrame) {
        self.queues.counts().first_start.get_or_insert(frame.frame_start);
        if !self.queues.wanted.is_on() {
            return;
        }
        let empty = match self.waits {
            Waits::Never => self.queues.empty.take_within(Duration::ZERO),
            Waits::ForTheDisk => self.queues.empty.take().map_or(Taken::Closed, Taken::Value),
        };
        let Taken::Value(mut copy) = empty else {
            self.queues.counts().too_slow += 1;
            return;
        };
        // Its buffers are used again.
        copy.sequence = frame.sequence;
        copy.embedded_line_len_bytes = frame.embedded_line_len_bytes;
        copy.frame_start = frame.frame_start;
        copy.tensor_at_host = frame.tensor_at_host;
        copy.window = frame.window;
        copy.metadata.clone_from(&frame.metadata);
        if self.pictures {
            copy.picture.clone_from(&frame.picture);
        }
        // There is room for every buffer; it is closed only by a thread that has panicked.
        if self.queues.frames.offer(copy).is_err() {
            self.queues.counts().too_slow += 1;
        }
    }
}

impl FrameSource for Tap {
    fn info(&self) -> SourceInfo {
        self.source.info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let next = self.source.next(frame)?;
        if next == Next::Frame {
            self.copy(frame);
        }
        Ok(next)
    }
    fn behind_real_time(&self) -> Duration {
        self.source.behind_real_time()
    }
    fn injected_faults(&self) -> Vec<(&'static str, u64)> {
        self.source.injected_faults()
    }
    fn device_events(&self) -> Vec<(&'static str, u64)> {
        self.source.device_events()
    }
    fn can_recover(&self) -> bool {
        self.source.can_recover()
    }
    fn recover(&mut self, remedy: Remedy) -> Result<(), SourceError> {
        self.source.recover(remedy)
    }
    fn camera_cycles(&self) -> Option<u32> {
        self.source.camera_cycles()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.queues.frames.close();
    }
}
