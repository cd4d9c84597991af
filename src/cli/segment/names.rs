//! Names of results that never overwrite each other.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// One name for each picture: its stem; with the extension if another picture has the same stem; with
/// a number if even that is taken. Case is ignored, as some file systems do.
pub(crate) fn distinct(pictures: &[PathBuf]) -> Vec<String> {
    let stems: Vec<String> = pictures.iter().map(|picture| stem(picture)).collect();
    let mut count = HashMap::<String, usize>::new();
    for stem in &stems {
        *count.entry(stem.to_lowercase()).or_default() += 1;
    }
    let shared = |stem: &str| count[&stem.to_lowercase()] > 1;
    let mut taken = HashSet::new();
    // Pictures alone with their stem keep it, wherever they stand in the list.
    taken.extend(stems.iter().filter(|stem| !shared(stem)).map(|stem| stem.to_lowercase()));
    pictures
        .iter()
        .zip(&stems)
        .map(|(picture, stem)| {
            if !shared(stem) {
                return stem.clone();
            }
            let extension = picture.extension().unwrap_or_default().to_string_lossy();
            let name = format!("{stem}_{extension}");
            let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
            std::iter::once(name.clone())
                .chain(numbered)
                .find(|name| taken.insert(name.to_lowercase()))
                .expect("there are more numbers than pictures")
        })
        .collect()
}

fn stem(picture: &Path) -> String {
    picture.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pictures: &[&str]) -> Vec<String> {
        distinct(&pictures.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_stem_of_its_own_stays_as_it_is() {
        assert_eq!(names(&["x/a.png", "b.tar.png"]), ["a", "b.tar"]);
    }

    #[test]
    fn the_same_stem_gets_the_extension() {
        assert_eq!(names(&["a.png", "a.jpg", "b.png"]), ["a_png", "a_jpg", "b"]);
        assert_eq!(names(&["A.png", "a.jpg"]), ["A_png", "a_jpg"]);
    }

    #[test]
    fn the_same_file_name_in_two_folders_gets_a_number() {
        assert_eq!(names(&["x/a.png", "y/a.png", "z/a.png"]), ["a_png", "a_png-2", "a_png-3"]);
        assert_eq!(names(&["a.png", "a.jpg", "a_png.bmp"]), ["a_png-2", "a_jpg", "a_png"]);
    }
}
