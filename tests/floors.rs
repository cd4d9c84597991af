//! A file uses the floors under it and its own, never one above (src/lib.rs draws them).

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. The command line lives in the binary, so the compiler keeps the library off it.
const FLOORS: [&str; 6] = ["evaluation", "formats", "emulator", "source", "pipeline", "outputs"];

#[test]
fn no_file_uses_a_floor_above_its_own() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut climbs = Vec::new();
    for (own, floor) in FLOORS.iter().enumerate() {
        let files = rust_files(&src.join(floor));
        assert!(!files.is_empty(), "floor {floor} has no files");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for used in floors_named_in(&text) {
                if FLOORS.iter().position(|floor| *floor == used) > Some(own) {
                    climbs.push(format!("{}: uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(climbs.is_empty(), "upward uses:\n{}", climbs.join("\n"));
}

#[test]
fn a_climb_would_be_seen() {
    assert_eq!(floors_named_in("use crate::outputs::web;"), ["outputs"]);
    assert_eq!(floors_named_in("let x = crate::pipeline::Frame;"), ["pipeline"]);
    assert_eq!(
        floors_named_in("use crate::{formats::reader, outputs::web};"),
        ["formats", "outputs"]
    );
}

/// Every floor that follows `crate::`, also inside one level of braces.
fn floors_named_in(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        let paths = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest.split([';', ',', ')', ' ']).next().unwrap_or_default(),
        };
        for path in paths.split(',') {
            let first = path.trim().split("::").next().unwrap_or_default();
            found.extend(FLOORS.iter().filter(|floor| **floor == first));
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a floor is a folder") {
        let path = entry.expect("its entries can be listed").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
