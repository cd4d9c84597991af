//! Writing files so that nobody ever sees half of one: into a hidden file beside it, in the same folder so
//! that a rename cannot cross file systems, which then takes its name.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// Writes `path` whole or not at all; an older file stays until the new one is complete.
pub fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let beside = Beside::of(path);
    let mut writer = BufWriter::new(File::create(&beside.0)?);
    content(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&beside.0, path)
}

/// Finds out whether `path` could be written, before there is anything to write.
pub fn probe(path: &Path) -> io::Result<()> {
    File::create(&Beside::of(path).0).map(drop)
}

/// Makes the folder if it is not there, and finds out whether `name` could be written in it.
pub fn prepare_folder(folder: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    probe(&folder.join(name))
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// A file that goes away with its value, unless it was renamed.
struct Beside(PathBuf);

impl Beside {
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self(path.with_file_name(format!(".{name}.{}.part", std::process::id())))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Not there any more when all went well; one that cannot be removed is hidden and says its name.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write(&path, |w| {
            w.write_all(b"new")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_probe_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        probe(&dir.path().join("a.txt")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        remove(&dir.path().join("a.txt")).unwrap();
    }
}
