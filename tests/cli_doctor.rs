//! Transcripts of `qsegment doctor` on files of machines (tests/fixtures/doctor), so that they do not depend on the
//! machine that runs them. After a wanted change, rewrite them with `SNAPSHOTS=overwrite cargo test --test cli_doctor`
//! and read the difference.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use serde_json::Value;
use snapbox::cmd::Command;
use snapbox::file;

fn doctor(args: &[&str]) -> Command {
    Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/doctor"))
        .env("COLUMNS", "100")
        .arg("doctor")
        .args(args)
}

#[test]
fn help_says_what_it_looks_at() {
    doctor(&["--help"]).assert().success().stdout_eq(file!["cmd/help_doctor.stdout"]);
}

#[test]
fn pi_with_a_camera_lacks_only_a_packed_network() {
    doctor(&["--root", "pi5"]).assert().success().stdout_eq(file!["cmd/doctor_pi5.stdout"]);
    doctor(&["--root", "pi5", "--json"])
        .assert()
        .success()
        .stdout_eq(file!["cmd/doctor_pi5_json.stdout"]);
}

/// What is broken is asked for by the configuration that holds: the mistyped key makes it the built-in one, under
/// which a missing camera is a warning.
#[test]
fn card_of_a_pi_that_cannot_work_says_why_and_what_to_do() {
    doctor(&["--root", "card"]).assert().code(1).stdout_eq(file!["cmd/doctor_card.stdout"]);
}

#[test]
fn root_that_is_no_folder_is_wrong_usage() {
    doctor(&["--root", "nowhere"]).assert().code(2).stdout_eq("").stderr_eq(
        "qsegment: --root nowhere is no folder; give the one that holds the machine's etc and boot\n",
    );
}

/// On whatever machine this runs: every answer that is not fine says what to do, and the exit code follows the
/// verdict.
#[test]
fn every_machine_is_answered() {
    let output = doctor(&["--json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["version"], 1);
    let checks = answer["checks"].as_array().unwrap();
    for group in ["machine", "configuration", "camera", "network", "screen", "power"] {
        assert!(checks.iter().any(|check| check["group"] == group), "{group}");
    }
    for check in checks {
        let told = |field: &str| check[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(told("found") && told("wanted"), "{check}");
        let verdict = check["verdict"].as_str().unwrap();
        assert!(told("next") || matches!(verdict, "ok" | "skipped"), "{check}");
    }
    let failed = checks.iter().any(|check| check["verdict"] == "fail");
    assert_eq!(output.status.code(), Some(i32::from(failed)));
    assert_eq!(answer["run"]["starts"], !failed);
}
