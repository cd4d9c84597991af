//! The files that commands leave, and what is said when one cannot be written.

use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use qsegment::outputs::whole_file;

/// Writes `path` whole or not at all.
pub(crate) fn file(
    path: &Path,
    content: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    whole_file::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a PNG picture of `size` (width, height) pixels.
pub(crate) fn png(
    path: &Path,
    pixels: &[u8],
    size: (usize, usize),
    colour: ExtendedColorType,
) -> anyhow::Result<()> {
    let (width, height) = (u32::try_from(size.0)?, u32::try_from(size.1)?);
    file(path, |writer| {
        PngEncoder::new(writer).write_image(pixels, width, height, colour).map_err(io::Error::other)
    })
}

/// Makes the folder if it is not there, and finds out whether files can be written in it.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    whole_file::prepare_folder(path, "probe").map_err(|error| {
        anyhow!(
            "cannot write into the folder {}: {error}; give a folder that can be written",
            path.display()
        )
    })
}

/// Finds out whether this file could be written, before there is anything to write.
pub(crate) fn can_write(path: &Path) -> anyhow::Result<()> {
    ensure!(!path.is_dir(), "{} is a folder; give the name of a file", path.display());
    whole_file::probe(path).map_err(|error| {
        anyhow!("cannot write {}: {error}; give a file in a folder that is there", path.display())
    })
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> anyhow::Result<()> {
    whole_file::remove(path)
        .with_context(|| format!("cannot remove {} of an earlier run", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_under_a_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"").unwrap();
        let refused = folder(&dir.path().join("file/out")).unwrap_err().to_string();
        assert!(refused.contains("file/out"), "{refused}");
        folder(&dir.path().join("new/out")).unwrap();
        assert_eq!(fs::read_dir(dir.path().join("new/out")).unwrap().count(), 0);
    }
}
