//! The command line on a picture of CHASE_DB1, which may not be in the repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

/// On one of the pictures that the network was trained with, so that the test pictures stay unseen. The mean
/// over the training pictures is 0.83 (model/MODEL_CARD.md).
#[test]
fn segment_finds_the_vessels_that_a_human_drew() {
    let Some(folder) = std::env::var_os("QSEGMENT_CHASE_DIR").map(PathBuf::from) else {
        // Straight to standard error: what a passing test prints is not shown.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED CHASE_DB1: QSEGMENT_CHASE_DIR names no folder with it").unwrap();
        return;
    };
    let output = tempfile::tempdir().unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .args(["segment", "-o"])
        .arg(output.path())
        .arg(folder.join("images/Image_01L.jpg"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");

    let found = image::open(output.path().join("Image_01L_mask.png")).unwrap().into_luma8();
    let drawn = image::open(folder.join("1stHO/Image_01L_1stHO.png")).unwrap().into_luma8();
    assert_eq!(found.dimensions(), drawn.dimensions());
    let is_vessel = |pixel: &image::Luma<u8>| pixel.0[0] >= 128;
    let count = |picture: &image::GrayImage| picture.pixels().filter(|p| is_vessel(p)).count();
    let both = found.pixels().zip(drawn.pixels()).filter(|(f, d)| is_vessel(f) && is_vessel(d));
    let dice = 2.0 * both.count() as f64 / (count(&found) + count(&drawn)) as f64;
    assert!(dice > 0.75, "Dice {dice:.4}");
}
