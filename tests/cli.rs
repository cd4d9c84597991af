//! Transcripts: what each command prints, word by word. After a wanted change, rewrite them with
//! `SNAPSHOTS=overwrite cargo test --test cli` and read the difference.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::path::Path;

use qsegment::formats::ap_params::{ApParams, InputTensorInfo, Network, OutputTensorInfo};
use qsegment::formats::dnn_lines::{DnnLinesLayout, Kpi};
use qsegment::formats::embedded::{LinePacking, SensorState, embedded_line_len_bytes};
use qsegment::formats::tensor::{Dimension, QuantParams};
use sha2::{Digest, Sha256};
use snapbox::cmd::Command;
use snapbox::file;
use tempfile::TempDir;

fn qsegment(args: &[&str]) -> Command {
    // Help is wrapped at the width of the terminal.
    Command::new(env!("CARGO_BIN_EXE_qsegment")).env("COLUMNS", "100").args(args)
}

#[test]
fn help_explains_every_command() {
    qsegment(&["--help"]).assert().success().stdout_eq(file!["cmd/help.stdout"]);
    qsegment(&["run", "--help"]).assert().success().stdout_eq(file!["cmd/help_run.stdout"]);
    qsegment(&["record", "--help"]).assert().success().stdout_eq(file!["cmd/help_record.stdout"]);
    qsegment(&["replay", "--help"]).assert().success().stdout_eq(file!["cmd/help_replay.stdout"]);
    qsegment(&["segment", "--help"]).assert().success().stdout_eq(file!["cmd/help_segment.stdout"]);
    qsegment(&["pack", "--help"]).assert().success().stdout_eq(file!["cmd/help_pack.stdout"]);
    qsegment(&["inspect", "--help"]).assert().success().stdout_eq(file!["cmd/help_inspect.stdout"]);
    qsegment(&["verify", "--help"]).assert().success().stdout_eq(file!["cmd/help_verify.stdout"]);
    qsegment(&["eval", "--help"]).assert().success().stdout_eq(file!["cmd/help_eval.stdout"]);
    qsegment(&["config", "--help"]).assert().success().stdout_eq(file!["cmd/help_config.stdout"]);
    qsegment(&["token", "--help"]).assert().success().stdout_eq(file!["cmd/help_token.stdout"]);
    qsegment(&["bench", "--help"]).assert().success().stdout_eq(file!["cmd/help_bench.stdout"]);
    qsegment(&["bench", "system", "--help"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/help_bench_system.stdout"]);
    qsegment(&["bench", "engine", "--help"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/help_bench_engine.stdout"]);
}

#[test]
fn version_names_the_built_in_networks_and_their_hashes() {
    let hash = |bytes: &[u8]| -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let accurate = hash(include_bytes!("../model/network/accurate.onnx"));
    let fast = hash(include_bytes!("../model/network/fast.onnx"));
    let version = env!("CARGO_PKG_VERSION");
    qsegment(&["-V"]).assert().success().stdout_eq(format!(
        "qsegment {version} (networks accurate {}, fast {})\n",
        &accurate[..12],
        &fast[..12]
    ));
    qsegment(&["--version"]).assert().success().stdout_eq(format!(
        "qsegment {version}\nnetwork accurate  sha256 {accurate}\nnetwork fast      sha256 {fast}\n"
    ));
}

#[test]
fn wrong_usage_is_explained_with_exit_code_2() {
    // No picture and no folder are given.
    qsegment(&["segment"]).assert().code(2).stderr_eq(file!["cmd/usage_segment.stderr"]);
    // The counter's name is mistyped; all names are listed.
    qsegment(&["run", "--fail-on", "stail>0"])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_fail_on.stderr"]);
    // There is no such fault.
    qsegment(&["run", "--fault", "gremlin"])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_fault.stderr"]);
    qsegment(&["run", "--input-size", "big"])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_size.stderr"]);
    qsegment(&["run", "--listen", "localhost"])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_listen.stderr"]);
    // Without a frame there is nothing to report.
    qsegment(&["bench", "system", "--frames", "0"])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_bench_frames.stderr"]);
    // Its system is not named.
    qsegment(&["bench"]).assert().code(2).stderr_eq(file!["cmd/usage_bench.stderr"]);
}

#[test]
fn other_engines_are_refused_with_what_is_missing() {
    let engine = |library: [&str; 2], network: &[&str]| {
        qsegment(&["bench", "engine", "--frames", "1"]).args(library).args(network).assert()
    };
    // What it is to run is not named.
    engine(["--onnxruntime", "no.so"], &[]).code(2).stderr_eq(file!["cmd/usage_bench_peer.stderr"]);

    for (library, network, feature, built_in, want) in [
        (
            "--onnxruntime",
            "--qdq",
            "ort",
            cfg!(feature = "ort"),
            "libonnxruntime.so of onnxruntime 1.24",
        ),
        (
            "--tflite-library",
            "--tflite",
            "tflite",
            cfg!(feature = "tflite"),
            "libtensorflowlite_c.so or libLiteRt.so",
        ),
    ] {
        let network = [network, "no.file"];
        if !built_in {
            engine([library, "no.so"], &network).code(2).stderr_eq(format!(
                "qsegment: {library}: this qsegment is built without it; `cargo build --release --locked \
                 --features {feature}` builds one with it\n"
            ));
            continue;
        }
        engine([library, "no.so"], &network).code(1).stderr_eq(format!(
            "qsegment: {library} no.so (is the path right?): No such file or directory (os error 2)\n"
        ));
        // This file is there, and no library.
        let text = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        engine([library, text], &network).code(1).stderr_eq(format!(
            "qsegment: {library} [..]README.md: want {want}[..]dlopen failed[..]\n"
        ));
    }
}

#[test]
fn configuration_is_shown_and_checked() {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    qsegment(&["config", "show", "--config", repository])
        .assert()
        .success()
        .stdout_eq(file!["cmd/config_show.stdout"]);
    qsegment(&["config", "check", repository])
        .assert()
        .success()
        .stdout_eq("[..]config.toml: every key and value is right\n");
}

#[test]
fn inspect_prints_a_buffer_line_by_line() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("buffer.bin"), buffer()).unwrap();
    let inspect = |args: &[&str]| inspect_in(dir.path(), args);
    inspect(&[]).assert().success().stdout_eq(file!["cmd/inspect.stdout"]);
    inspect(&["--json"]).assert().success().stdout_eq(file!["cmd/inspect_json.stdout"]);
    // The wrong mode is stated: what cannot be read is named, what can be is shown.
    inspect(&["--mode", "4056x3040"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/inspect_wrong_mode.stdout"]);
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_explained() {
    let dir = TempDir::new().unwrap();
    let in_dir = |args: &[&str]| qsegment(args).current_dir(dir.path());
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");
    // Neither -o nor record.path.
    in_dir(&["record", "--config", repository])
        .assert()
        .code(2)
        .stderr_eq(file!["cmd/usage_record.stderr"]);
    std::fs::write(dir.path().join("there.mcap"), b"hello\n").unwrap();
    // A recording is never written over another file.
    in_dir(&["record", "-o", "there.mcap", "--pace", "max", "--frames", "3", "--no-web"])
        .assert()
        .code(1)
        .stderr_eq(file!["cmd/record_there.stderr"]);
    in_dir(&["replay", "there.mcap"]).assert().code(1).stderr_eq(file!["cmd/replay_text.stderr"]);
    in_dir(&["replay", "nowhere.mcap"])
        .assert()
        .code(1)
        .stderr_eq(file!["cmd/replay_nowhere.stderr"]);
    std::fs::write(dir.path().join("small.toml"), "[record]\nmax_size_mb = 10\n").unwrap();
    in_dir(&["config", "check", "small.toml"])
        .assert()
        .code(78)
        .stderr_eq(file!["cmd/config_record.stderr"]);
}

#[test]
fn verify_compares_the_emulator_with_its_definition_and_with_golden_vectors() {
    let verify =
        |args: &[&str]| qsegment(&["verify"]).args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    let golden = ["model/golden/accurate_0.safetensors", "model/golden/accurate_1.safetensors"];
    verify(&golden).assert().success().stdout_eq(file!["cmd/verify.stdout"]);
    verify(&["--json"]).assert().success().stdout_eq(file!["cmd/verify_json.stdout"]);
    // They are of the built-in network, not of its float export.
    verify(&["--network", "model/golden/README.md"])
        .assert()
        .failure()
        .stderr_eq("[..]model/golden/README.md is text, not an ONNX network[..]\n");
}

/// The reason why a camera cannot be used is one line on standard error, with the exit code by which a
/// service manager knows that it may be there later.
#[test]
fn without_a_camera_commands_that_need_one_say_why() {
    if Path::new("/dev/media0").exists() {
        eprintln!("SKIPPED: this machine has media devices");
        return;
    }
    for args in [
        &["run", "--source", "imx500"][..],
        &["verify", "--camera"],
        &["run", "--camera", "10-001a"],
    ] {
        qsegment(args).assert().code(75).stdout_eq("").stderr_eq(
            "qsegment: there is no media device (/dev/media*): the kernel has found no camera; on a \
             Raspberry Pi set dtoverlay=imx500 in /boot/firmware/config.txt and restart\n",
        );
    }
}

fn inspect_in(dir: &Path, args: &[&str]) -> Command {
    qsegment(&["inspect", "buffer.bin"]).args(args).current_dir(dir)
}

/// A Pi 5 buffer of the binned mode: an 8 x 4 RGB input and a 4 x 2 unsigned output.
fn buffer() -> Vec<u8> {
    let axis = |ordinal, size, serialization_index| Dimension {
        ordinal,
        size,
        serialization_index,
        padding: 0,
    };
    let quant = QuantParams { scale: 1.0 / 256.0, zero_point: 0, signed: false };
    let params = ApParams {
        networks: vec![Network {
            id: 7,
            name: "vessels".to_owned(),
            kind: String::new(),
            inputs: vec![InputTensorInfo {
                id: 0,
                name: "input".to_owned(),
                dimensions: vec![axis(0, 3, 2), axis(1, 4, 1), axis(2, 8, 0)],
                quant,
            }],
            outputs: vec![OutputTensorInfo {
                id: 0,
                name: "output".to_owned(),
                dimensions: vec![axis(0, 1, 0), axis(1, 2, 1), axis(2, 4, 2)],
                bits_per_element: 8,
                quant,
            }],
        }],
    };
    let state = SensorState {
        exposure_lines: Some(1000),
        analogue_gain_code: Some(512),
        frame_length_lines: Some(2637),
        line_length_pixels: Some(9398),
        temperature_celsius: Some(35),
    };
    let mut buffer = Vec::new();
    state.emit(embedded_line_len_bytes(2028, LinePacking::Pi5), &mut buffer);
    let input: Vec<u8> = (0..96).collect();
    let layout = DnnLinesLayout {
        kpi: Kpi { dnn_runtime_us: 51_000, dsp_runtime_us: 1_200 },
        frame_count: 42,
        input_valid: true,
        output_valid: true,
        network_id: 7,
        ap_params: &params.emit(),
        input: &input,
        outputs: &[&[0, 32, 64, 96, 128, 160, 192, 255]],
    };
    layout.append(&mut buffer);
    buffer
}
