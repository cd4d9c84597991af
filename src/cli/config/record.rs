//! `[record]`: where recordings go, how much of them is kept, and what a full disk does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use qsegment::outputs::record::{Options, Target, WhenFull};
use serde::{Deserialize, Serialize};

/// A ring of recordings in a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Record {
    /// Folder of the recordings, or one file (`.mcap`) without a ring. Default `""`, nothing is recorded.
    pub(crate) path: PathBuf,
    /// All files of the ring together; the oldest make room. Default 4096; 0 is no limit.
    pub(crate) max_size_mb: u32,
    /// Files that were last written longer ago go. Default 0, no limit.
    pub(crate) max_age_hours: u32,
    /// A new file is begun when one is this long, 1 or more. Default 256.
    pub(crate) file_size_mb: u32,
    /// A chunk is written when it holds this much before compression, 1 to 32768. Default 8192.
    pub(crate) chunk_kb: u32,
    /// Or after this time, 10 to 60000: what a crash or a power failure can lose. Default 1000.
    pub(crate) chunk_ms: u32,
    /// Whether raw pictures are recorded where the camera gives them. Default false: only where the network
    /// on the host sees them.
    pub(crate) pictures: bool,
    /// What a full disk does. Default `"go-on"`.
    pub(crate) when_full: Full,
    /// Whether recording begins with the run. Default true. Into a folder, the page's button begins and ends it later,
    /// whichever this says.
    pub(crate) at_start: bool,
}

/// What a full disk does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Full {
    /// The run goes on; recording does when there is room.
    GoOn,
    /// The run ends with an error.
    End,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            max_size_mb: 4096,
            max_age_hours: 0,
            file_size_mb: 256,
            chunk_kb: 8192,
            chunk_ms: 1000,
            pictures: false,
            when_full: Full::GoOn,
            at_start: true,
        }
    }
}

impl Record {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let within = |key, value, least, most| {
            ensure!(
                (least..=most).contains(&value),
                "record.{key}: {value} is not between {least} and {most}"
            );
            Ok(())
        };
        within("chunk_kb", self.chunk_kb, 1, 32_768)?;
        within("chunk_ms", self.chunk_ms, 10, 60_000)?;
        within("file_size_mb", self.file_size_mb, 1, u32::MAX)?;
        if self.max_size_mb > 0 && self.max_size_mb < self.file_size_mb {
            return Err(anyhow!(
                "record.max_size_mb: {} is less than record.file_size_mb, {}; the ring cannot be smaller than \
                 one file",
                self.max_size_mb,
                self.file_size_mb
            ));
        }
        Ok(())
    }

    /// None where nothing is recorded.
    pub(crate) fn options(&self, needs_pictures: bool) -> Option<Options> {
        if self.path.as_os_str().is_empty() {
            return None;
        }
        let given = |value: u32| Some(value).filter(|value| *value > 0);
        let target = if self.is_file() {
            Target::File(self.path.clone())
        } else {
            Target::Folder {
                path: self.path.clone(),
                file_bytes: u64::from(self.file_size_mb) << 20,
                max_bytes: given(self.max_size_mb).map(|mb| u64::from(mb) << 20),
                max_age: given(self.max_age_hours)
                    .map(|hours| Duration::from_secs(3600 * u64::from(hours))),
            }
        };
        Some(Options {
            target,
            chunk_bytes: usize::try_from(self.chunk_kb).map_or(usize::MAX, |kb| kb << 10),
            chunk_interval: Duration::from_millis(self.chunk_ms.into()),
            pictures: self.pictures || needs_pictures,
            when_full: match self.when_full {
                Full::GoOn => WhenFull::GoOn,
                Full::End => WhenFull::End,
            },
            // One file has no button.
            at_start: self.at_start || self.is_file(),
        })
    }

    /// By the name, since it may not be there yet.
    fn is_file(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "mcap") && !self.path.is_dir()
    }
}
