//! Metadata buffers in files: one file a buffer, as `qsegment inspect` reads them. The file's name is the
//! buffer's number, so that a missing number is a lost buffer.
//!
//! ```text
//!   recorded/000000.bin  000001.bin  000003.bin ...
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use qsegment::formats::embedded::LinePacking;
use qsegment::formats::metadata::guess_embedded_line_len;
use qsegment::source::clock::Timestamp;
use qsegment::source::{FrameSource, Next, Quality, RawFrame, SourceError, SourceInfo};

use crate::cli::{read, write};

/// Writes buffers into a folder.
pub(super) struct Recording {
    folder: PathBuf,
}

impl Recording {
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        write::folder(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    pub(super) fn write(&self, frame: &RawFrame) -> anyhow::Result<()> {
        let path = self.folder.join(format!("{:06}.bin", frame.sequence));
        fs::write(&path, &frame.metadata)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Plays a folder of buffers, or a single one, once.
pub(super) struct Recorded {
    files: std::vec::IntoIter<(u64, PathBuf)>,
    frame_interval: Duration,
}

impl Recorded {
    pub(super) fn open(path: &Path, frame_interval: Duration) -> anyhow::Result<Self> {
        let shown = path.display();
        let files = if path.is_dir() {
            let mut files = Vec::new();
            for entry in fs::read_dir(path).with_context(|| format!("cannot list {shown}"))? {
                let file = entry.with_context(|| format!("cannot list {shown}"))?.path();
                if let Some(number) = number_of(&file) {
                    files.push((number, file));
                }
            }
            files.sort();
            files
        } else {
            vec![(0, path.to_owned())]
        };
        ensure!(
            !files.is_empty(),
            "{shown} has no buffers (000000.bin and so on); record some with `qsegment feed --record`"
        );
        Ok(Self { files: files.into_iter(), frame_interval })
    }

    fn read_next(&mut self, frame: &mut RawFrame) -> anyhow::Result<Next> {
        let Some((number, path)) = self.files.next() else { return Ok(Next::Ended) };
        frame.metadata = read::at_most(
            &path,
            path.display(),
            MAX_BUFFER_LEN_BYTES,
            "a metadata buffer is at most 10 MiB",
        )?;
        frame.sequence = number;
        // A damaged buffer has no length of its embedded lines, and none is needed to hand it on.
        frame.embedded_line_len_bytes =
            guess_embedded_line_len(&frame.metadata).unwrap_or_default();
        let start = self.frame_interval * u32::try_from(number).unwrap_or(u32::MAX);
        frame.frame_start = Timestamp::default().plus(start);
        frame.tensor_at_host = frame.frame_start.plus(self.frame_interval);
        Ok(Next::Frame)
    }
}

impl FrameSource for Recorded {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "replay",
            quality: Quality::Simulated,
            frame_interval: self.frame_interval,
            packing: LinePacking::default(),
        }
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        self.read_next(frame).map_err(|error| SourceError::Setting(format!("{error:#}")))
    }
}

fn number_of(file: &Path) -> Option<u64> {
    if file.extension()? != "bin" {
        return None;
    }
    file.file_stem()?.to_str()?.parse().map_err(|_| anyhow!("not a number")).ok()
}

/// The most that the driver's line counts can make: 2 * 2045 + 2 lines of 2560 bytes.
const MAX_BUFFER_LEN_BYTES: u64 = 10 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_played_in_order_with_its_gaps() {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::new(folder.path()).unwrap();
        let frame = |sequence| RawFrame {
            sequence,
            metadata: vec![sequence.to_le_bytes()[0]; 3],
            ..RawFrame::default()
        };
        for sequence in [0, 12, 3] {
            recording.write(&frame(sequence)).unwrap();
        }
        fs::write(folder.path().join("notes.txt"), "not a buffer").unwrap();
        let interval = Duration::from_millis(33);
        let mut played = Recorded::open(folder.path(), interval).unwrap();
        let mut got = Vec::new();
        let mut frame = RawFrame::default();
        while played.next(&mut frame) == Ok(Next::Frame) {
            got.push((frame.sequence, frame.metadata.clone(), frame.frame_start.0 / 1_000_000));
        }
        assert_eq!(got, [(0, vec![0; 3], 0), (3, vec![3; 3], 99), (12, vec![12; 3], 396)]);
        let empty = tempfile::tempdir().unwrap();
        let Err(error) = Recorded::open(empty.path(), interval) else { panic!("nothing to play") };
        assert!(error.to_string().contains("feed --record"), "{error}");
    }
}
