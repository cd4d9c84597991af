//! The 56 masks of CHASE_DB1 against figures that scikit-image and box counting gave for them, and the field of view
//! that is found in the pictures against the one that is published with them.
//!
//! `QSEGMENT_CHASE_DIR` names the data set with `reference_metrics.csv` beside it; without it this is skipped, aloud.

use std::path::{Path, PathBuf};

use qsegment::outputs::figures::measurements::MEANINGS;
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::pipeline::measurements::{Measurements, Measuring};

#[test]
fn every_mask_has_the_reference_figures() {
    let Some(folder) = folder() else { return };
    let mut measuring = Measuring::default();
    let rows = rows(&folder);
    for row in &rows {
        let number = |name: &str| row.number(name);
        let (mask, width) = pixels(&folder.join(&row.observer), &row.image);
        let (field, _) = pixels(&folder.join("fov_png"), &row.image);
        let found = measuring.measure(&mask, 128, &field, width);
        let what = format!("{} {}", row.image, row.observer);
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
    }
    assert_eq!(rows.len(), 56);
}

/// At the pictures' own size, and where picture and mask are as small as a network's.
#[test]
fn density_with_the_field_found_here_is_that_of_the_published_field_within_one_percent() {
    let Some(folder) = folder() else { return };
    let mut finder = FieldOfView::default();
    let mut worst = [0.0_f64; 2];
    let rows = rows(&folder);
    for pair in rows.chunks(2) {
        let image = &pair[0].image;
        assert_eq!(*image, pair[1].image, "both observers' masks of a picture follow each other");
        let picture =
            image::open(file(&folder.join("images"), image)).expect("a picture").to_rgb8();
        let whole = (picture.width() as usize, picture.height() as usize);
        let (field, _) = pixels(&folder.join("fov_png"), image);
        let masks = pair.iter().map(|row| (row, pixels(&folder.join(&row.observer), image).0));
        let masks: Vec<_> = masks.collect();
        for size in [whole, (640, 640), (320, 320)] {
            let rgb = if size == whole {
                picture.as_raw().clone()
            } else {
                let side = u32::try_from(size.0).expect("it is small");
                image::imageops::thumbnail(&picture, side, side).into_raw()
            };
            let found = finder.find(&rgb, size, size);
            let published = sampled(&field, whole, size);
            for (row, mask) in &masks {
                let mask = sampled(mask, whole, size);
                let density = |field: &[u8]| {
                    let inside = field.iter().filter(|inside| **inside != 0).count();
                    let vessels = mask.iter().zip(field).filter(|(p, at)| **p > 127 && **at != 0);
                    vessels.count() as f64 / inside as f64
                };
                let wanted = match size == whole {
                    true => row.number("density_fov"),
                    false => density(&published),
                };
                let off = density(found) / wanted - 1.0;
                worst[usize::from(size == whole)] =
                    worst[usize::from(size == whole)].max(off.abs());
                assert!(off.abs() < 0.01, "{image} {} at {size:?}: {off}", row.observer);
            }
        }
    }
    eprintln!(
        "density is off by {:.4} at most, as small as a network's by {:.4}",
        worst[1], worst[0]
    );
}

/// What docs/measurements.md says of it; `cargo test --test measurements two_people -- --nocapture` prints the table.
#[test]
fn two_people_agree_on_length_more_than_on_density_and_width() {
    let Some(folder) = folder() else { return };
    let mut measuring = Measuring::default();
    let mut figures: [Vec<[f64; Measurements::FIGURES]>; 2] = Default::default();
    for row in rows(&folder) {
        let (mask, width) = pixels(&folder.join(&row.observer), &row.image);
        let (field, _) = pixels(&folder.join("fov_png"), &row.image);
        let found = measuring.measure(&mask, 128, &field, width).figures();
        let observer = usize::from(row.observer == "2ndHO");
        figures[observer].push(found.map(|value| value.expect("there are vessels in all of them")));
    }
    let mut correlations = [0.0; Measurements::FIGURES];
    for (place, meaning) in MEANINGS.iter().enumerate() {
        let [first, second] = [0, 1].map(|observer: usize| -> Vec<f64> {
            figures[observer].iter().map(|of| of[place]).collect()
        });
        let pairs = first.iter().zip(&second);
        let apart: f64 = pairs.map(|(a, b)| (a - b).abs() / f64::midpoint(*a, *b)).sum();
        correlations[place] = correlation(&first, &second);
        eprintln!(
            "{:24} mean {:10.5} and {:10.5}  apart {:5.1} %  r {:5.2}",
            meaning.name,
            mean(&first),
            mean(&second),
            100.0 * apart / 28.0,
            correlations[place]
        );
    }
    let of = |name: &str| {
        correlations[MEANINGS.iter().position(|meaning| meaning.name == name).expect(name)]
    };
    assert!(of("length_px") > 0.7, "{}", of("length_px"));
    assert!(of("density") < 0.4 && of("mean_width_px") < 0.4);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Pearson's.
fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(x, y)| (x - mean(a)) * (y - mean(b))).sum()
    };
    product(one, other) / (product(one, one) * product(other, other)).sqrt()
}

/// The pixels under the middles of a grid of another size.
fn sampled(pixels: &[u8], from: (usize, usize), to: (usize, usize)) -> Vec<u8> {
    let under = |at: usize, from: usize, to: usize| (2 * at + 1) * from / (2 * to);
    (0..to.0 * to.1)
        .map(|at| pixels[under(at / to.0, from.1, to.1) * from.0 + under(at % to.0, from.0, to.0)])
        .collect()
}

/// A line of the file.
struct Row {
    image: String,
    observer: String,
    numbers: Vec<(String, f64)>,
}

impl Row {
    fn number(&self, name: &str) -> f64 {
        self.numbers.iter().find(|(column, _)| column == name).expect(name).1
    }
}

fn rows(folder: &Path) -> Vec<Row> {
    let table = std::fs::read_to_string(folder.join("reference_metrics.csv")).expect("it is text");
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let row = |cells: Vec<&str>| Row {
        image: cells[0].to_owned(),
        observer: cells[1].to_owned(),
        numbers: head[2..]
            .iter()
            .zip(&cells[2..])
            .map(|(name, cell)| ((*name).to_owned(), cell.parse().expect("a number")))
            .collect(),
    };
    lines.map(row).collect()
}

/// Of the data set, where it is.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("QSEGMENT_CHASE_DIR").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.join("reference_metrics.csv").exists());
    if folder.is_none() {
        eprintln!("SKIPPED: QSEGMENT_CHASE_DIR names no folder with reference_metrics.csv");
    }
    folder
}

/// The picture whose name begins with `image`, as grey values, and its width.
fn pixels(folder: &Path, image: &str) -> (Vec<u8>, usize) {
    let picture = image::open(file(folder, image)).expect("a picture").to_luma8();
    let width = picture.width() as usize;
    (picture.into_raw(), width)
}

fn file(folder: &Path, image: &str) -> PathBuf {
    let files = std::fs::read_dir(folder).expect("a folder of the data set");
    files
        .map(|file| file.expect("it can be listed").path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(image)))
        .unwrap_or_else(|| panic!("no {image} in {}", folder.display()))
}
