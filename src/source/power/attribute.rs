//! One value of sysfs: a file with a line in it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::error::ReadError;

/// The line, without the space around it.
pub(super) fn text(path: &Path) -> Result<String, ReadError> {
    let gone =
        |error: std::io::Error| ReadError::Gone { path: path.to_owned(), cause: error.to_string() };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(gone)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The same, where the file may be missing because its driver has none.
pub(super) fn optional_text(path: &Path) -> Result<Option<String>, ReadError> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        _ => text(path).map(Some),
    }
}

/// A whole number that is not negative.
pub(super) fn number(path: &Path) -> Result<u64, ReadError> {
    let text = text(path)?;
    text.parse().map_err(|_| ReadError::Malformed {
        path: path.to_owned(),
        got: text.chars().take(SHOWN_CHARACTERS).collect(),
        want: "a whole number, not negative",
    })
}

/// A page of memory is the most that sysfs ever gives; a number is far shorter.
const MOST_BYTES: u64 = 4096;
const SHOWN_CHARACTERS: usize = 40;
