//! Writing files so that nobody ever sees half of one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Writes `path` whole or not at all: into a file beside it, which then takes its name.
pub(crate) fn whole_file(
    path: &Path,
    content: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let beside = Beside(name_beside(path));
    let written = File::create(&beside.0).and_then(|file| {
        let mut writer = io::BufWriter::new(file);
        content(&mut writer)?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside.0, path)
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a PNG picture of `size` (width, height) pixels.
pub(crate) fn png(
    path: &Path,
    pixels: &[u8],
    size: (usize, usize),
    colour: ExtendedColorType,
) -> anyhow::Result<()> {
    let (width, height) = (u32::try_from(size.0)?, u32::try_from(size.1)?);
    whole_file(path, |writer| {
        PngEncoder::new(writer).write_image(pixels, width, height, colour).map_err(io::Error::other)
    })
}

/// Makes the folder if it is not there, and finds out whether files can be written in it.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| probe(&path.join("probe")))
        .with_context(|| format!("cannot write into the folder {}", path.display()))
        .context("give a folder that can be written")
}

/// Finds out whether this file could be written, before there is anything to write.
pub(crate) fn can_write(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{} is a folder; give the name of a file", path.display());
    probe(path).with_context(|| {
        format!("cannot write {}; give a file in a folder that is there", path.display())
    })
}

fn probe(path: &Path) -> io::Result<()> {
    let beside = Beside(name_beside(path));
    File::create(&beside.0).map(drop)
}

fn name_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

/// A file that goes away with its value, unless it was renamed.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // Not there any more when all went well.
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
        whole_file(&path, |w| w.write_all(b"old")).unwrap();
        let failed = whole_file(&path, |w| {
            w.write_all(b"new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(format!("{:#}", failed.unwrap_err()).contains("a.txt: disk full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_under_a_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let refused = format!("{:#}", folder(&dir.path().join("file/out")).unwrap_err());
        assert!(refused.contains("file/out"), "{refused}");
        folder(&dir.path().join("new/out")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("new/out")).unwrap().count(), 0);
    }
}
