//! `qsegment inspect` of files for the sensor, of the converter's archives and of networks. After a wanted
//! change, rewrite the transcripts with `SNAPSHOTS=overwrite cargo test --test cli_inspect`.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "packer_out/mod.rs"]
mod packer_out_file;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use snapbox::cmd::Command;
use snapbox::file;
use tempfile::TempDir;

use packer_out_file::Made;

const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");

fn qsegment(dir: &Path, args: &[&str]) -> Command {
    Command::new(env!("CARGO_BIN_EXE_qsegment")).env("COLUMNS", "100").current_dir(dir).args(args)
}

/// A folder with a packerOut.zip whose tensors are the shipped network's, and the .rpk made of it.
fn folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    let made = Made::new(320, 100_000).with_halving_stem();
    fs::write(dir.path().join("packerOut.zip"), made.zip()).unwrap();
    let args = ["pack", "packerOut.zip", "--task", "segmentation", "--inference-rate", "15"];
    qsegment(dir.path(), &args).assert().success();
    dir
}

fn json(dir: &Path, args: &[&str]) -> (Output, Value) {
    let output = qsegment(dir, &[&["inspect", "--json"], args].concat()).output().unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap();
    (output, json)
}

#[test]
fn an_rpk_is_explained_part_by_part_with_a_verdict() {
    let dir = folder();
    qsegment(dir.path(), &["inspect", "network.rpk"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/inspect_rpk.stdout"]);
    let (output, json) = json(dir.path(), &["network.rpk"]);
    assert!(output.status.success());
    assert_eq!((&json["version"], &json["kind"]), (&1.into(), &"network.rpk".into()));
    assert_eq!(json["registers"].as_array().unwrap().len(), 56);
    assert_eq!(json["verdict"]["driver_accepts"], true);
    assert_eq!(json["verdict"]["driver"]["lines"], serde_json::json!([481, 161]));
    assert_eq!(json["intrinsics"]["task"], "segmentation");
}

#[test]
fn a_damaged_rpk_is_refused_with_field_byte_and_both_values_and_the_rest_is_read() {
    let dir = folder();
    let path = dir.path().join("network.rpk");
    let mut file = fs::read(&path).unwrap();
    // The first register's address, d750, becomes d7ff.
    let at = file.windows(4).position(|window| window == [0x50, 0xd7, 1, 2]).unwrap();
    file[at] = 0xff;
    fs::write(&path, file).unwrap();
    qsegment(dir.path(), &["inspect", "network.rpk"])
        .assert()
        .code(1)
        .stdout_eq(file!["cmd/inspect_rpk_register.stdout"]);
    let (output, json) = json(dir.path(), &["network.rpk"]);
    assert_eq!(output.status.code(), Some(1));
    let refusal = &json["verdict"]["driver"]["refusals"][0];
    assert_eq!(refusal["field"], "imx500_regs entry 0: address");
    assert_eq!(refusal["offset"], at);
    assert_eq!(
        (&refusal["got"], &json["verdict"]["driver_accepts"]),
        (&"0xd7ff".into(), &false.into())
    );
}

#[test]
fn a_cut_rpk_shows_what_is_left_of_it() {
    let dir = folder();
    let path = dir.path().join("network.rpk");
    let file = fs::read(&path).unwrap();
    fs::write(&path, &file[..file.len() - 300]).unwrap();
    qsegment(dir.path(), &["inspect", "network.rpk"])
        .assert()
        .code(1)
        .stdout_eq(file!["cmd/inspect_rpk_cut.stdout"]);
}

#[test]
fn another_model_is_told_by_its_tensors() {
    let dir = folder();
    qsegment(dir.path(), &["inspect", "network.rpk", "--model", NETWORK]).assert().success();
    let other = TempDir::new().unwrap();
    fs::write(other.path().join("packerOut.zip"), Made::new(256, 1000).with_halving_stem().zip())
        .unwrap();
    let (output, json) = json(other.path(), &["packerOut.zip", "--model", NETWORK]);
    assert_eq!(output.status.code(), Some(1));
    let fields = json["verdict"]["model"]["differences"].as_array().unwrap();
    let fields: Vec<_> = fields.iter().map(|d| d["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["input size", "output size"]);
}

#[test]
fn a_packer_out_zip_is_explained_with_the_rpk_it_would_become() {
    let dir = folder();
    qsegment(dir.path(), &["inspect", "packerOut.zip"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/inspect_packer_out.stdout"]);
    let mut made = Made::new(320, 1000);
    made.spoil = |manifest| drop(manifest.remove("coef"));
    fs::write(dir.path().join("packerOut.zip"), made.zip()).unwrap();
    qsegment(dir.path(), &["inspect", "packerOut.zip"]).assert().code(1).stderr_eq(
        "qsegment: packerOut.zip cannot be packed: manifest.json coef: got nothing, want this part\n",
    );
}

#[test]
fn networks_are_surveyed_and_judged() {
    let dir = TempDir::new().unwrap();
    qsegment(dir.path(), &["inspect", NETWORK])
        .assert()
        .success()
        .stdout_eq(file!["cmd/inspect_onnx.stdout"]);
    let qdq = NETWORK.replace(".onnx", ".qdq.onnx");
    qsegment(dir.path(), &["inspect", &qdq])
        .assert()
        .code(1)
        .stdout_eq(file!["cmd/inspect_qdq.stdout"]);
    let (_, with) = json(dir.path(), &[NETWORK]);
    let (_, without) = json(dir.path(), &["--no-input-persistency", NETWORK]);
    let runtime = |json: &Value| json["preflight"]["memory"]["runtime_bytes"].as_u64().unwrap();
    assert_eq!(runtime(&with) - runtime(&without), 3 * 640 * 640);
}

#[test]
fn public_files_are_accepted() {
    let Some(folder) = std::env::var_os("QSEGMENT_RPK_DIR") else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: set QSEGMENT_RPK_DIR to inspect real .rpk files");
        return;
    };
    let mut inspected = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rpk") {
            let (output, json) = json(Path::new("."), &[path.to_str().unwrap()]);
            assert!(output.status.success(), "{}: {json}", path.display());
            assert_eq!(json["verdict"]["driver_accepts"], true);
            inspected += 1;
        }
    }
    assert!(inspected > 0);
}
