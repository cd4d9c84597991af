//! `qsegment eval` against numbers that others have published, and against what it is given by mistake.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

fn eval(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml"), "eval"])
        .args(args)
        .env_remove("QSEGMENT_CHASE_DIR")
        .output()
        .unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["disclaimer"], "Research use only. Not a medical device.");
    said["rows"].as_array().unwrap().clone()
}

fn row<'a>(rows: &'a [Value], name: &str, split: &str, region: &str) -> &'a Value {
    let found = rows
        .iter()
        .find(|row| row["name"] == name && row["split"] == split && row["region"] == region);
    found.unwrap_or_else(|| panic!("no row {name}, {split}, {region}"))
}

/// The second observer's figures are known to four digits, for every split and region; the network is small here
/// only to be fast.
#[test]
fn second_observer_of_chase_db1_is_what_is_published() {
    let Ok(folder) = std::env::var("QSEGMENT_CHASE_DIR") else {
        eprintln!("SKIPPED: QSEGMENT_CHASE_DIR names no folder of CHASE_DB1");
        return;
    };
    let rows = rows(&eval(&["--json", "--input-size", "64x64", "--dataset", &folder]));
    for (split, region, dice, accuracy) in [
        ("A", "frame", 0.7969, 0.9722),
        ("A", "fov", 0.7971, 0.9614),
        ("B", "frame", 0.7672, 0.9667),
        ("B", "fov", 0.7685, 0.9538),
    ] {
        let human = row(&rows, "second observer", split, region);
        for (key, want) in [("dice", dice), ("accuracy", accuracy)] {
            let got = human[key].as_f64().unwrap();
            assert!((got - want).abs() < 0.00005, "{split} {region} {key}: {got}, want {want}");
        }
        assert_eq!(human["auc"], Value::Null);
        assert_eq!(row(&rows, "no vessel anywhere", split, region)["auc"], 0.5);
        let ours = row(&rows, "qsegment int8", split, region);
        assert_eq!(ours["threshold"], 0.5);
        assert!(row(&rows, "ridge filter", split, region)["dice"].as_f64().unwrap() > 0.59);
    }
    for (split, mean) in [("A", 0.7977), ("B", 0.7681)] {
        let human = row(&rows, "second observer", split, "frame");
        let got = human["dice_per_picture"]["mean"].as_f64().unwrap();
        assert!((got - mean).abs() < 0.00005, "{split}: {got}, want {mean}");
    }
    assert_eq!(row(&rows, "Q-Segment", "A", "frame")["from"], "published");
}

/// A bright disc with a dark cross, and a truth of it.
fn pair(folder: &Path, name: &str, truth_side: u32) {
    let inside = |x: u32, y: u32| x.abs_diff(80).pow(2) + y.abs_diff(80).pow(2) < 75 * 75;
    let vessel = |x: u32, y: u32| x.abs_diff(80) < 3 || y.abs_diff(80) < 3;
    let picture = RgbImage::from_fn(160, 160, |x, y| {
        Rgb(match (inside(x, y), vessel(x, y)) {
            (false, _) => [0, 0, 0],
            (true, true) => [120, 40, 20],
            (true, false) => [200, 110, 60],
        })
    });
    let truth = GrayImage::from_fn(truth_side, truth_side, |x, y| {
        Luma([if inside(x, y) && vessel(x, y) { 255 } else { 0 }])
    });
    for part in ["images", "masks"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    picture.save(folder.join("images").join(format!("{name}.png"))).unwrap();
    truth.save(folder.join("masks").join(format!("{name}.png"))).unwrap();
}

#[test]
fn any_folder_of_pictures_and_masks_is_judged_and_left_as_files() {
    let dir = TempDir::new().unwrap();
    pair(dir.path(), "one", 160);
    pair(dir.path(), "two", 160);
    let out = dir.path().join("out");
    let (dataset, folder) = (dir.path().to_str().unwrap(), out.to_str().unwrap());
    let args = ["--dataset", dataset, "-o", folder, "--input-size", "64x64"];
    let output = eval(&[&["--json", "--robustness"], &args[..]].concat());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = rows(&output);
    // Seven ways to spoil a picture, five strengths each, and the pictures as they are.
    let points = said["robustness"].as_array().unwrap();
    assert_eq!(points.len(), 36);
    let as_they_are = row(&rows, "qsegment int8", "all", "frame");
    assert_eq!(
        (&points[0]["degradation"], &points[0]["dice"]),
        (&"none".into(), &as_they_are["dice"])
    );
    assert!(points.iter().any(|point| point["dice"] != as_they_are["dice"]));
    let frame = row(&rows, "no vessel anywhere", "all", "frame");
    assert_eq!((&frame["pictures"], &frame["dice"]), (&2.into(), &0.0.into()));
    // By hand: the share of the cross in the frame is what accuracy misses.
    let truth = image::open(dir.path().join("masks/one.png")).unwrap().into_luma8();
    let vessels = truth.pixels().filter(|pixel| pixel.0[0] > 0).count();
    let want = 1.0 - vessels as f64 / (160.0 * 160.0);
    assert!((frame["accuracy"].as_f64().unwrap() - want).abs() < 1e-12);
    // The disc is smaller than the frame, so the cross is more of it.
    let fov = row(&rows, "no vessel anywhere", "all", "fov");
    assert!(fov["accuracy"].as_f64() < frame["accuracy"].as_f64());
    let ours = row(&rows, "qsegment int8", "all", "frame");
    assert!(ours["auc"].as_f64().unwrap() > 0.5, "{ours}");

    let mut left: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["eval.csv", "eval.json", "eval.md", "grid.png"]);
    let grid = image::open(out.join("grid.png")).unwrap();
    assert!(grid.width() > grid.height(), "four columns, two rows");
    let csv = fs::read_to_string(out.join("eval.csv")).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() >= columns), "{csv}");
    let again = eval(&args);
    let text = String::from_utf8(again.stdout).unwrap();
    assert!(text.contains("| qsegment int8 | 0.500 |"), "{text}");
}

#[test]
fn what_cannot_be_judged_is_named() {
    let dir = TempDir::new().unwrap();
    let dataset = dir.path().to_str().unwrap();
    let refused = |args: &[&str], code: i32, said: &[&str]| {
        let output = eval(args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        for words in said {
            assert!(stderr.contains(words), "{words} not in {stderr}");
        }
    };
    refused(&["--dataset", dataset], 1, &["neither CHASE_DB1's files nor images/ and masks/"]);
    refused(&["--dataset", "no/such"], 1, &["no/such is no folder"]);
    refused(&[], 2, &["--dataset <DIR>"]);
    pair(dir.path(), "one", 80);
    refused(&["--dataset", dataset], 1, &["masks/one.png is 80x80, its picture 160x160"]);
    refused(&["--dataset", dataset, "--split", "A"], 2, &["--split is for CHASE_DB1"]);
    pair(dir.path(), "one", 160);
    fs::copy(dir.path().join("images/one.png"), dir.path().join("images/one.bmp")).unwrap();
    refused(&["--dataset", dataset], 1, &["two pictures called one"]);
    fs::remove_file(dir.path().join("images/one.bmp")).unwrap();
    // Files of other programs are no pictures.
    fs::write(dir.path().join("images/.DS_Store"), b"").unwrap();
    GrayImage::from_pixel(160, 160, Luma([1])).save(dir.path().join("masks/one.png")).unwrap();
    refused(&["--dataset", dataset], 1, &["masks/one.png has no pixel above 1; white (255)"]);
    fs::remove_file(dir.path().join("masks/one.png")).unwrap();
    refused(&["--dataset", dataset], 1, &["masks has no one.*"]);
    fs::write(dir.path().join("masks/one.png"), b"no picture").unwrap();
    refused(&["--dataset", dataset], 1, &["cannot read", "masks/one.png"]);
}
