//! `qsegment segment` against vessels that are known: drawn by our own generator, and drawn by a human.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, in what it calls too")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use qsegment::source::simulated::scene::phantom::Phantom;

/// Phantoms are not retinas, so this says that network, geometry and thresholds fit together, not how good
/// the network is. 0.76 to 0.79 with the network that shipped with this test.
#[test]
fn finds_the_vessels_of_phantoms() {
    for seed in 1..=3 {
        let phantom = Phantom::draw(640, seed);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("phantom.png");
        image::RgbImage::from_raw(640, 640, phantom.picture.into_rgb())
            .unwrap()
            .save(&file)
            .unwrap();
        let found = mask_of(&file);
        let dice = dice(&found, &phantom.truth);
        assert!(dice > 0.7, "seed {seed}: Dice {dice:.4}");
    }
}

/// CHASE_DB1 may not be in the repository. The picture is one that the network was trained with, so that the
/// test pictures stay unseen. The mean over the training pictures is 0.83 (model/MODEL_CARD.md).
#[test]
fn finds_the_vessels_that_a_human_drew() {
    let Some(folder) = std::env::var_os("QSEGMENT_CHASE_DIR").map(PathBuf::from) else {
        // Straight to standard error: what a passing test prints is not shown.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED CHASE_DB1: QSEGMENT_CHASE_DIR names no folder with it").unwrap();
        return;
    };
    let found = mask_of(&folder.join("images/Image_01L.jpg"));
    let dice = dice(&found, &vessels(&folder.join("1stHO/Image_01L_1stHO.png")));
    assert!(dice > 0.75, "Dice {dice:.4}");
}

/// The mask that the command leaves, at the picture's own size.
fn mask_of(picture: &Path) -> Vec<bool> {
    let output = tempfile::tempdir().unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
        .args(["segment", "-o"])
        .args([output.path(), picture])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let name = picture.file_stem().unwrap().to_str().unwrap();
    vessels(&output.path().join(format!("{name}_mask.png")))
}

fn vessels(picture: &Path) -> Vec<bool> {
    image::open(picture).unwrap().into_luma8().pixels().map(|pixel| pixel.0[0] >= 128).collect()
}

fn dice(found: &[bool], drawn: &[bool]) -> f64 {
    assert_eq!(found.len(), drawn.len());
    let count = |mask: &[bool]| mask.iter().filter(|&&vessel| vessel).count();
    let both = found.iter().zip(drawn).filter(|&(&found, &drawn)| found && drawn).count();
    2.0 * both as f64 / (count(found) + count(drawn)) as f64
}
