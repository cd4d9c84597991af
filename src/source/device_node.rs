//! Device nodes of one kind, told by their names alone: `card0`, `media2`.

use std::fs;
use std::path::{Path, PathBuf};

/// Nodes in `folder` that are called `prefix` and a number, in the order of their numbers, for stable messages.
#[must_use]
pub fn numbered(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbered: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, path)| path).collect()
}
