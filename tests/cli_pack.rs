//! `qsegment pack` with a stand-in for Sony's converter: a script that prints lines in the converter's
//! form, and leaves a packerOut.zip of our own or fails in its ways. The test at the end runs the real one.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "packer_out/mod.rs"]
mod packer_out_file;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use packer_out_file::Made;

const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qsegment"));
    command.current_dir(dir).env("QSEGMENT_LOG", "warn").env("PATH", "/usr/bin:/bin");
    command.env_remove("QSEGMENT_IMXCONV").arg("pack").args(args);
    command
}

fn pack(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder with a packerOut.zip, and a stand-in that runs `script` with its output folder in $OUT.
fn folder(script: &str) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("made.zip"), Made::new(320, 100_000).zip()).unwrap();
    stand_in(dir.path(), script);
    dir
}

fn stand_in(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("imxconv-pt");
    // -i FILE -o DIR --overwrite-output
    let text = format!("#!/bin/sh\nOUT=$4\nHERE='{}'\n{script}\n", dir.display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn converted(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).env("QSEGMENT_IMXCONV", dir.join("imxconv-pt")).output().unwrap()
}

const WORKS: &str = "echo 'INFO : Converting x'; echo 'CODE: [START] Starting SDSPconv'
echo 'ConvFe conversion finished successfully'; echo 'CBE component - DspConvParser has started'
cp \"$HERE/made.zip\" \"$OUT/packerOut.zip\"; echo 'packer zip successfully generated under x'";

fn left(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "made.zip" && name != "imxconv-pt")
        .collect();
    names.sort();
    names
}

#[test]
fn a_packer_out_zip_needs_no_converter() {
    let dir = folder("");
    let output = pack(dir.path(), &["made.zip"]);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("network.rpk  103288 bytes\n"), "{text}");
    assert!(text.contains("lines    input 121, output 41\n"), "{text}");
    assert!(text.ends_with("next     qsegment inspect network.rpk\n"), "{text}");
    assert_eq!(left(dir.path()), ["network.rpk"]);
}

#[test]
fn a_network_is_converted_with_progress_and_the_log_goes_when_it_worked() {
    let dir = folder(WORKS);
    let args = [NETWORK, "-o", "out.rpk", "--keep-packer-out", "kept.zip"];
    let output = converted(dir.path(), &args);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        said(&output),
        "converter: reading the network\nconverter: laying it out in the sensor's memory\n\
         converter: front end done\nconverter: preparing the back end\nconverter: packerOut.zip written\n"
    );
    assert_eq!(left(dir.path()), ["kept.zip", "out.rpk"]);
    assert_eq!(
        fs::read(dir.path().join("kept.zip")).unwrap(),
        fs::read(dir.path().join("made.zip")).unwrap()
    );
}

#[test]
fn the_converter_is_told_about_persistency() {
    let dir = folder(&format!("echo \"$@\" > \"$HERE/args\"\n{WORKS}"));
    assert!(converted(dir.path(), &[NETWORK]).status.success());
    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    assert!(args.trim_end().ends_with("--overwrite-output"), "{args}");
    assert!(converted(dir.path(), &[NETWORK, "--no-input-persistency"]).status.success());
    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    assert!(args.trim_end().ends_with("--overwrite-output --no-input-persistency"), "{args}");
}

#[test]
fn json_is_one_document() {
    let dir = folder("");
    let output = pack(dir.path(), &["--json", "made.zip"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["output"], "network.rpk");
    assert_eq!((&json["input_lines"], &json["output_lines"]), (&121.into(), &41.into()));
    assert_eq!(json["memory"]["total_size"], 8_388_480);
}

#[test]
fn intrinsics_come_only_when_asked_for() {
    let dir = folder("");
    let plain = pack(dir.path(), &["--json", "made.zip"]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert_eq!(plain["intrinsics"], false);
    let args = [
        "made.zip",
        "-o",
        "a.rpk",
        "--task",
        "segmentation",
        "--inference-rate",
        "15",
        "--labels",
        "vessel, other",
    ];
    assert!(pack(dir.path(), &args).status.success());
    let file = fs::read(dir.path().join("a.rpk")).unwrap();
    let wanted = br#"{"classes": {"labels": ["vessel", "other"]}, "inference_rate": 15, "task": "segmentation"}"#;
    assert!(file.windows(wanted.len()).any(|window| window == wanted));
    // An .rpk that is there already gets other ones, word for word as the file has them.
    fs::write(dir.path().join("i.json"), b"{ \"task\":\"segmentation\" ,\"own\":1}").unwrap();
    assert!(pack(dir.path(), &["a.rpk", "-o", "b.rpk", "--intrinsics", "i.json"]).status.success());
    let file = fs::read(dir.path().join("b.rpk")).unwrap();
    assert!(file.windows(33).any(|window| window == b"{ \"task\":\"segmentation\" ,\"own\":1}"));
    assert!(!file.windows(wanted.len()).any(|window| window == wanted));
}

#[test]
fn a_failed_conversion_is_one_sentence_and_leaves_the_log_and_nothing_else() {
    for (script, words) in [
        (
            "echo \"ERROR: CODE: [ISM] ConvFe error (ISM) on 'n': Not enough memory, available: 8.00MB , required: 10.10MB \"; exit 1",
            "does not fit into the sensor: it needs 10.10 MB of 8.00, 2.10 MB too many; use a smaller input",
        ),
        (
            "echo 'ERROR : CODE: [USOP] The network contains unsupported ops: Softplus' >&2; exit 2",
            "these operators: Softplus;",
        ),
        (
            "echo 'x.sh: line 26: java: command not found' >&2; exit 127",
            "found no Java; install Java 17",
        ),
        ("kill -9 $$", "(it was killed (signal 9), perhaps because memory ran out) without a word"),
        ("echo fine", "the converter failed (exit code 0), saying: fine"),
    ] {
        let dir = folder(script);
        let output = converted(dir.path(), &[NETWORK]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(said.ends_with("(whole log: network.rpk.convert.log)\n"), "{said}");
        assert_eq!(left(dir.path()), ["network.rpk.convert.log"]);
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let dir = folder("");
    let at = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    at("text.txt", b"hello there\n");
    at("cut.zip", b"PK\x03\x04 and no more");
    at("cut.onnx", &fs::read(NETWORK).unwrap()[..200_000]);
    at("broken.rpk", b"9464 and no more at all, really nothing that would do");
    let qdq = NETWORK.replace(".onnx", ".qdq.onnx");
    for (args, code, words) in [
        (vec!["no.onnx"], 1, "cannot open no.onnx (is the path right?)"),
        (
            vec!["text.txt"],
            1,
            "text.txt is text; give an MCTQ ONNX file, a packerOut.zip or an .rpk",
        ),
        (vec!["cut.zip"], 1, "cannot pack cut.zip: packerOut.zip: got "),
        (vec!["cut.onnx"], 1, "cannot use cut.onnx: not an ONNX file, or cut short"),
        (vec![&*qdq], 1, "preflight, no: quantisation: got a QDQ file"),
        (
            vec![NETWORK],
            1,
            "imxconv-pt was not found in --venv, in QSEGMENT_IMXCONV or on PATH; install it with: qsegment pack --setup DIR",
        ),
        (vec![NETWORK, "--venv", "nowhere"], 1, "--venv nowhere: has no bin/imxconv-pt"),
        (vec!["made.zip", "-o", "no/such/out.rpk"], 1, "cannot write no/such/out.rpk"),
        (vec!["made.zip", "-o", "."], 1, ". is a folder; give the name of a file"),
        (vec!["made.zip", "-o", "made.zip"], 1, "made.zip would be written over itself"),
        (
            vec!["made.zip", "--input-format", "bayerrgb"],
            2,
            "Y and BayerRGB need register values that are not published",
        ),
        (vec!["made.zip", "--task", "segmentation", "--inference-rate", "-1"], 2, "-1"),
        (
            vec!["made.zip", "--intrinsics", "text.txt"],
            2,
            "cannot use text.txt: network_intrinsics at byte 0x0000",
        ),
        (
            vec!["broken.rpk", "--task", "segmentation"],
            1,
            "cannot use broken.rpk: payload size at byte 0x0004",
        ),
        (vec!["broken.rpk"], 2, "is a network.rpk already; give --intrinsics or --task"),
        (vec![], 2, "required arguments were not provided"),
    ] {
        let output = pack(dir.path(), &args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!dir.path().join("network.rpk").exists(), "{args:?}");
    }
}

#[test]
fn a_path_may_be_anything_that_the_system_allows() {
    let dir = folder("");
    let odd = OsStr::from_bytes(b"a b\xff.rpk");
    let mut command = command(dir.path(), &["made.zip", "-o"]);
    assert!(command.arg(odd).output().unwrap().status.success());
    assert!(dir.path().join(odd).is_file());
}

/// The converter starts others; all of them end with it.
#[test]
fn a_signal_ends_the_converter_and_all_it_started() {
    let dir = folder("echo 'INFO : Converting x'; sleep 1000 & echo $! > \"$HERE/child\"; wait");
    let mut command = command(dir.path(), &[NETWORK]);
    command.env("QSEGMENT_IMXCONV", dir.path().join("imxconv-pt")).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    let child = until(|| {
        let text = fs::read_to_string(dir.path().join("child")).ok()?;
        text.trim().parse::<u32>().ok()
    });
    let killed = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).ends_with("stopped by a signal; nothing was written\n"));
    until(|| {
        // A killed process stays in the table until its parent has looked at it.
        let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    assert_eq!(left(dir.path()), ["child"]);
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    loop {
        match found() {
            Some(found) => return found,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn setup_states_the_terms_and_installs_nothing_unasked() {
    let dir = TempDir::new().unwrap();
    for (program, text) in [
        ("python3.12", "#!/bin/sh\necho 3 12\n"),
        ("java", "#!/bin/sh\necho 'openjdk version \"17.0.15\"' >&2\n"),
    ] {
        let path = dir.path().join(program);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = command(dir.path(), &["--setup", "venv"]);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let output = command.env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("Sony's own licence: use as the licence allows, no distribution"),
        "{said}"
    );
    assert!(said.ends_with("give --accept-sony-licence if you accept the terms\n"), "{said}");
    assert!(!dir.path().join("venv").exists());
}

/// With Sony's converter: `QSEGMENT_IMXCONV=VENV/bin/imxconv-pt cargo test --test cli_pack -- --ignored`.
#[test]
#[ignore = "needs Sony's converter (QSEGMENT_IMXCONV) and two minutes"]
fn the_shipped_network_is_converted_packed_and_accepted() {
    let converter = std::env::var_os("QSEGMENT_IMXCONV")
        .expect("set QSEGMENT_IMXCONV to imxconv-pt; qsegment pack --setup DIR installs it");
    let dir = TempDir::new().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let output = command(dir.path(), &["--json", NETWORK])
        .env("QSEGMENT_IMXCONV", converter)
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    let inspected = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(dir.path())
        .args(["inspect", "--json", "--model", NETWORK, "network.rpk"])
        .output()
        .unwrap();
    assert!(inspected.status.success(), "{}", said(&inspected));
    let json: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let verdict = &json["verdict"];
    assert_eq!(verdict["driver_accepts"], true);
    assert_eq!(verdict["driver"]["lines"], serde_json::json!([121, 41]));
    assert_eq!(verdict["damage"], serde_json::json!([]));
    assert_eq!(verdict["daemon"]["understands"], true);
    assert_eq!(verdict["model"]["differences"], serde_json::json!([]));
    let memory = &json["dsp_params"]["l2_memory"];
    let used: u64 = ["networks_runtime_size", "coefficients_size", "reserved_memory_size"]
        .iter()
        .map(|key| memory[key].as_u64().unwrap())
        .sum();
    assert!(used <= memory["total_size"].as_u64().unwrap());
}
