//! How often the camera was started since the machine was, counted across restarts of the daemon.
//!
//! The bridge chip of the AI Camera has been seen to stop answering after 20 to 25 starts within one boot, and only
//! a restart of the machine brought it back (raspberrypi/linux issue 7613). So starts are counted, and refused before
//! the camera is lost: a daemon that restarts it again and again must not be what kills it.
//!
//! The count lies in a folder that outlives the daemon and not the boot, such as systemd's runtime directory; the
//! boot's id stands beside it all the same. Without a folder it is the process's own.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::CameraError;

/// Starts of one camera.
#[derive(Debug)]
pub(super) struct Cycles {
    file: Option<PathBuf>,
    boot_id: String,
    most: Option<u32>,
    so_far: u32,
}

impl Cycles {
    /// Goes on where an earlier daemon of the same boot ended. A count that cannot be read begins anew.
    pub(super) fn open(folder: Option<&Path>, camera: &str, most: Option<u32>) -> Self {
        let boot_id = fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned();
        let file = folder.map(|folder| folder.join(format!("camera-{camera}.cycles")));
        let kept = file.as_deref().and_then(|file| fs::read_to_string(file).ok());
        let so_far = kept.and_then(|kept| parse(&kept, &boot_id)).unwrap_or_default();
        Self { file, boot_id, most, so_far }
    }

    /// Starts so far.
    pub(super) fn so_far(&self) -> u32 {
        self.so_far
    }

    /// Counts a start that is about to be made: before it, since it may be the last that is seen of the daemon.
    pub(super) fn begin(&mut self) -> Result<(), CameraError> {
        if let Some(most) = self.most.filter(|most| self.so_far >= *most) {
            return Err(CameraError::WornOut { starts: self.so_far, most });
        }
        self.so_far += 1;
        if let Some(file) = &self.file
            && let Err(error) = keep(file, &self.boot_id, self.so_far)
        {
            tracing::warn!(%error, file = %file.display(), "the camera's starts cannot be counted across restarts");
            self.file = None;
        }
        Ok(())
    }
}

/// Whole or not at all: a file that was cut would lose the count.
fn keep(file: &Path, boot_id: &str, starts: u32) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(new, "{boot_id} {starts}")?;
    new.persist(file)?;
    Ok(())
}

/// None for another boot's.
fn parse(kept: &str, boot_id: &str) -> Option<u32> {
    let (boot, starts) = kept.trim_end().rsplit_once(' ')?;
    (boot == boot_id).then(|| starts.parse().ok()).flatten()
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_counted_across_restarts_and_refused_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cycles::open(Some(folder.path()), "10-001a", Some(3));
        for start in 1..=3 {
            let mut cycles = open();
            assert_eq!(cycles.so_far(), start - 1);
            assert_eq!(cycles.begin(), Ok(()));
            assert_eq!(cycles.so_far(), start);
        }
        let worn_out = CameraError::WornOut { starts: 3, most: 3 };
        assert_eq!(open().begin(), Err(worn_out));
        assert_eq!(open().so_far(), 3, "what was refused is no start");
        let mut other = Cycles::open(Some(folder.path()), "11-001a", Some(3));
        assert_eq!((other.so_far(), other.begin()), (0, Ok(())));
    }

    #[test]
    fn another_boot_and_a_damaged_count_begin_anew() {
        let boot = "3f1c2a70-0000-4000-8000-1f2e3d4c5b6a";
        assert_eq!(parse(&format!("{boot} 17\n"), boot), Some(17));
        for kept in [format!("{} 17\n", &boot[1..]), format!("{boot} x\n"), boot.into(), "".into()]
        {
            assert_eq!(parse(&kept, boot), None, "{kept:?}");
        }
    }

    #[test]
    fn without_a_folder_the_process_counts_and_without_a_limit_nothing_is_refused() {
        let mut cycles = Cycles::open(None, "10-001a", None);
        for _ in 0..100 {
            assert_eq!(cycles.begin(), Ok(()));
        }
        assert_eq!(cycles.so_far(), 100);
    }

    #[test]
    fn folder_that_cannot_be_written_to_does_not_stop_the_camera() {
        let mut cycles = Cycles::open(Some(Path::new("/nowhere/at/all")), "10-001a", Some(2));
        assert_eq!([cycles.begin(), cycles.begin()], [Ok(()), Ok(())]);
        assert!(cycles.begin().is_err());
    }
}
