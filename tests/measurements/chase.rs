//! The 56 masks of CHASE_DB1 against figures that scikit-image and box counting gave for them.
//!
//! `QSEGMENT_CHASE_DIR` names the data set with `reference_metrics.csv` beside it; without it this is skipped, aloud.

use std::path::{Path, PathBuf};

use qsegment::pipeline::measurements::Measuring;

#[test]
fn every_mask_has_the_reference_figures() {
    let reference = std::env::var_os("QSEGMENT_CHASE_DIR").map(PathBuf::from);
    let Some(folder) = reference.filter(|folder| folder.join("reference_metrics.csv").exists())
    else {
        eprintln!("SKIPPED: QSEGMENT_CHASE_DIR names no folder with reference_metrics.csv");
        return;
    };
    let table = std::fs::read_to_string(folder.join("reference_metrics.csv")).expect("it is text");
    let mut rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    let mut measuring = Measuring::default();
    let mut masks = 0;
    for row in rows {
        let cell = |name: &str| row[head.iter().position(|column| *column == name).expect(name)];
        let number = |name: &str| cell(name).parse::<f64>().expect("a number");
        let (image, observer) = (cell("image"), cell("observer"));
        let (mask, width) = pixels(&folder.join(observer), image);
        let (field, _) = pixels(&folder.join("fov_png"), image);
        let found = measuring.measure(&mask, 128, &field, width);
        let what = format!("{image} {observer}");
        assert_eq!(found.field_px as f64, number("fov_px"), "{what}");
        let density = found.density.expect("there is a field of view");
        assert!((density - number("density_fov")).abs() < 6e-6, "{what}: {density}");
        let length = found.length_px / number("length_px") - 1.0;
        assert!(length.abs() < 0.02, "{what}: length differs by {length}");
        let dimension = found.box_dimension.expect("there are vessels");
        assert!((dimension - number("fd_box")).abs() < 0.01, "{what}: {dimension}");
        let tortuosity = found.tortuosity_median.expect("there are vessels");
        // That of the file is of raw chains of pixels.
        assert!((1.0..number("tort_median")).contains(&tortuosity), "{what}: {tortuosity}");
        masks += 1;
    }
    assert_eq!(masks, 56);
}

/// The picture whose name begins with `image`, as grey values, and its width.
fn pixels(folder: &Path, image: &str) -> (Vec<u8>, usize) {
    let files = std::fs::read_dir(folder).expect("a folder of the data set");
    let path = files
        .map(|file| file.expect("it can be listed").path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(image)))
        .unwrap_or_else(|| panic!("no {image} in {}", folder.display()));
    let picture = image::open(path).expect("a picture").to_luma8();
    let width = picture.width() as usize;
    (picture.into_raw(), width)
}
