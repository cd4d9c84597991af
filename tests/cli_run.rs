//! The daemon as its operator meets it: it ends by itself, leaves a report, counts what goes wrong and
//! goes on.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;
use tempfile::TempDir;

/// `run` at full speed without a page, on the repository's configuration.
fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir).args(["run", "--pace", "max", "--no-web"]).args(args).output().unwrap()
}

fn command(dir: &Path) -> Command {
    let mut command = configured(dir, concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml"));
    command.env("QSEGMENT_LOG", "warn");
    command
}

fn configured(dir: &Path, file: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qsegment"));
    command.current_dir(dir).args(["--config", file]);
    command
}

fn report(dir: &Path, folder: &str) -> Value {
    let bytes = fs::read(dir.join(folder).join("report.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Exit code 0 and no complaint; on a slow machine lines that say how far it is.
fn assert_fine(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.lines().all(|line| line.contains(" frames, ")), "{said}");
}

#[test]
fn three_hundred_frames_leave_a_report_that_is_the_same_twice() {
    let dir = TempDir::new().unwrap();
    let mut reports = ["first", "second"].map(|folder| {
        let output = run(dir.path(), &["--frames", "300", "--report", folder]);
        assert_fine(&output);
        let table = String::from_utf8(output.stdout).unwrap();
        assert!(table.contains("sensor_to_mask"), "{table}");
        // Definitions are printed with every report.
        assert!(table.contains("clock: sensor, then host"), "{table}");
        report(dir.path(), folder)
    });
    let first = &reports[0];
    assert_eq!(first["version"], 1);
    assert_eq!(first["disclaimer"], "Research use only. Not a medical device.");
    let counters = &first["counters"];
    assert_eq!(counters["buffers"], 300);
    for name in ["unpaired", "stale", "lost_buffers", "counter_jumps", "malformed_buffers"] {
        assert_eq!(counters[name], 0, "{name}");
    }
    // 45 to 75 ms an inference, 33.3 ms a frame: 300 frames carry 133 to 222 outputs.
    let outputs = counters["outputs"].as_u64().unwrap();
    assert!((130..225).contains(&outputs), "{outputs}");
    assert_eq!(counters["paired"], outputs);
    let marked = first["last_vessel_fraction"]["value"].as_f64().unwrap();
    assert!((0.0..0.5).contains(&marked), "{marked}");
    for picture in ["overlay.png", "mask.png"] {
        let [one, other] = ["first", "second"]
            .map(|folder| fs::read(dir.path().join(folder).join(picture)).unwrap());
        image::load_from_memory(&one).unwrap();
        assert!(one == other, "{picture} differs between two runs with one seed");
    }
    for report in &mut reports {
        assert!(report.as_object_mut().unwrap().remove("timing").is_some());
    }
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn latencies_are_left_as_histograms_and_as_a_trace() {
    let dir = TempDir::new().unwrap();
    let args = ["--frames", "30", "--input-size", "64x64", "--report", "out"];
    assert_fine(&run(dir.path(), &[&args[..], &["--latency-log", "log.hlog"]].concat()));
    let paired = report(dir.path(), "out")["counters"]["paired"].as_u64().unwrap();
    for file in ["log.hlog", "out/latency.hlog"] {
        let log = fs::read(dir.path().join(file)).unwrap();
        let mut counted = 0;
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(interval) = entry.unwrap() else { continue };
            counted += u64::from(interval.tag().unwrap().as_str() == "sensor_to_mask");
        }
        assert!(counted >= 1, "{file}");
        assert!(String::from_utf8_lossy(&log).contains("Not a medical device."), "{file}");
    }
    let trace = fs::read(dir.path().join("out/trace.json")).unwrap();
    let trace: Value = serde_json::from_slice(&trace).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let masks = events
        .iter()
        .filter(|event| event["name"] == "tensor_to_mask" && event["ph"] == "b")
        .count();
    assert_eq!(u64::try_from(masks).unwrap(), paired, "one for every published frame");

    let refused = run(dir.path(), &["--frames", "3", "--latency-log", "no/such/folder/log.hlog"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("no/such/folder/log.hlog"), "{said}");
}

/// Reads `system.json` without what a clock of this machine had a part in.
#[test]
fn system_report_is_written_to_the_end_and_the_same_twice_but_for_its_timing() {
    let dir = TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|folder| {
        let mut bench = command(dir.path());
        bench.args(["bench", "system", "--source", "simulated", "--pace", "max"]);
        bench.args(["--frames", "30", "--input-size", "128x128", "--report", folder]);
        let output = bench.output().unwrap();
        assert_fine(&output);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("ours: in sensor"), "{said}");
        for file in ["system.md", "system.json", "system.html"] {
            assert!(said.contains(&format!("{folder}/{file}")), "{said}");
            assert!(dir.path().join(folder).join(file).is_file(), "{file}");
        }
        let bytes = fs::read(dir.path().join(folder).join("system.json")).unwrap();
        let mut system: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(system["version"], 1);
        assert_eq!(system["run"]["counters"]["buffers"], 30);
        assert_eq!(system["screen_missing"], "no screen; connect one and run with --hdmi");
        let stages = system["run"]["stages"].as_array().unwrap();
        let in_sensor = stages.iter().find(|stage| stage["name"] == "network_run_time").unwrap();
        assert_eq!(in_sensor["quality"], "simulated");
        // 64 x 64 x 10,459 multiply-accumulates at the two rates: 1.82 to 3.12 ms.
        let p50 = in_sensor["p50_ms"].as_f64().unwrap();
        assert!((1.8..3.2).contains(&p50), "{p50}");
        let command = system["command"].as_str().unwrap().to_owned();
        assert!(command.ends_with(&format!("--report {folder}")), "{command}");
        let timing = system.as_object_mut().unwrap().remove("timing").unwrap();
        assert_eq!(timing["emulator"].as_array().unwrap().len(), 3, "engine, and both at 80 x 80");
        assert!(system["run"].as_object_mut().unwrap().remove("timing").is_some());
        system.as_object_mut().unwrap().remove("command");
        system
    });
    assert_eq!(first, second);
}

#[test]
fn system_report_as_json_is_one_document_and_its_folder_is_tried_first() {
    let dir = TempDir::new().unwrap();
    let bench = |args: &[&str]| {
        let mut bench = command(dir.path());
        bench.args(["--json", "bench", "system", "--source", "simulated", "--pace", "max"]);
        bench.args(["--frames", "3", "--input-size", "64x64"]).args(args).output().unwrap()
    };
    let output = bench(&[]);
    assert_fine(&output);
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let written = fs::read(dir.path().join("system-report/system.json")).unwrap();
    assert_eq!(printed, serde_json::from_slice::<Value>(&written).unwrap());
    let refused = bench(&["--report", "system-report/system.md"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cannot write into the report folder system-report/system.md"), "{said}");
}

/// The picture fills the middle square of the sensor, and so does the largest window of a square input.
#[test]
fn window_by_aspect_is_the_same_as_its_pixels() {
    let dir = TempDir::new().unwrap();
    let overlay = |folder: &str, args: &[&str]| {
        let args =
            [&["--frames", "12", "--input-size", "128x128", "--report", folder], args].concat();
        assert_fine(&run(dir.path(), &args));
        fs::read(dir.path().join(folder).join("overlay.png")).unwrap()
    };
    let filled = overlay("fill", &["--inference-window", "fill"]);
    assert!(filled == overlay("pixels", &["--inference-window", "508,0,3040,3040"]));
    let stretched = overlay("stretch", &["--inference-window", "stretch"]);
    assert!(stretched == overlay("whole", &["--inference-window", "0,0,4056,3040"]));
    assert!(filled != stretched);

    let fit = ["--frames", "3", "--inference-window", "fit", "--input-size"];
    let square = run(dir.path(), &[&fit[..], &["64x64"]].concat());
    let said = String::from_utf8_lossy(&square.stderr);
    assert_eq!(square.status.code(), Some(1), "{said}");
    assert!(said.contains("64x64 has not the sensor's aspect"), "{said}");
    assert!(said.contains("use \"fill\""), "{said}");
    // 64 * 3040 / 4056 = 47.97
    assert_fine(&run(dir.path(), &[&fit[..], &["64x48"]].concat()));
}

#[test]
fn host_says_the_same_of_an_input_tensor_as_the_sensor() {
    let dir = TempDir::new().unwrap();
    let [sensor, host] = ["sensor", "host"].map(|inference| {
        let args =
            ["--frames", "10", "--timing", "off", "--inference", inference, "--report", inference];
        let output = run(dir.path(), &args);
        assert_fine(&output);
        let table = String::from_utf8(output.stdout).unwrap();
        assert_eq!(table.contains("inference on the host: it was asked for"), inference == "host");
        let report = report(dir.path(), inference);
        assert_eq!(report["source"]["inference"], inference);
        assert_eq!(report["source"]["inference_reason"].is_string(), inference == "host");
        assert_eq!(report["counters"]["paired"], 10);
        assert_eq!(report["counters"]["skipped_inputs"], 0);
        ["mask.png", "overlay.png"]
            .map(|picture| fs::read(dir.path().join(inference).join(picture)).unwrap())
    });
    assert!(sensor == host, "mask and overlay are the same");
}

#[test]
fn lasting_fault_is_recovered_step_by_step_and_each_step_is_told() {
    let dir = TempDir::new().unwrap();
    let broken = |fault: &str, steps: &str| {
        command(dir.path())
            .env("QSEGMENT_RECOVERY_BACK_OFF_MS", "0")
            .env("QSEGMENT_RECOVERY_STEPS", steps)
            .args(["run", "--pace", "max", "--no-web", "--frames", "300", "--input-size", "48x48"])
            .args(["--report", "out", "--fail-on", "recovered<1", "--fault", fault])
            .output()
            .unwrap()
    };
    let output = broken("gone-camera", "6");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for told in [
        "the simulated sensor has failed, as the fault gone-camera wants: the camera is closed and opened again \
         remedy=\"reopen\" step=1 most=6",
        "step=2 most=6",
        "the source has recovered steps=2",
    ] {
        assert!(said.contains(told), "{told} is not in: {said}");
    }
    let report = report(dir.path(), "out");
    assert_eq!(report["recovery"]["steps"]["reopen"], 2);
    assert_eq!(report["recovery"]["recovered"], 1);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("tried            2   reopen"), "{table}");

    let output = broken("gone-camera", "1");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains("given up after 1 step of recovery in a row"), "{said}");
}

#[test]
fn every_fault_is_counted_under_its_name_and_recovered_from() {
    let dir = TempDir::new().unwrap();
    for (fault, counter) in [
        ("dropped-tensor", Some("no_output_region")),
        ("invalid-flag", Some("unpaired")),
        ("counter-jump", Some("counter_jumps")),
        ("counter-wrap", None),
        ("truncated-buffer", Some("truncated_buffers")),
        ("corrupt-ap-params", Some("corrupt_ap_params")),
        ("stalled-source", Some("stalls")),
        ("lost-buffer", Some("lost_buffers")),
    ] {
        let output = run(
            dir.path(),
            &["--frames", "300", "--input-size", "48x48", "--fault", fault, "--report", "out"],
        );
        assert_fine(&output);
        let report = report(dir.path(), "out");
        let injected = report["injected_faults"][fault].as_u64().unwrap();
        assert!(injected > 0, "{fault} was not injected");
        match counter {
            Some(counter) => assert_eq!(report["counters"][counter], injected, "{fault}"),
            None => assert_eq!(report["counters"]["unpaired"], 0, "{fault} is harmless"),
        }
        // The faults end with frame 120.
        let last = report["pictures"]["sequence"].as_u64().unwrap();
        assert!(last >= 290, "{fault}: no tensor was paired after frame {last}");
    }
}

#[test]
fn fails_on_a_condition_that_holds_at_the_end() {
    let dir = TempDir::new().unwrap();
    let small = ["--frames", "30", "--input-size", "48x48"];
    let output = run(
        dir.path(),
        &[&small[..], &["--fail-on", "unpaired>0", "--fail-on", "sensor_to_tensor_max_ms>=10000"]]
            .concat(),
    );
    assert_fine(&output);
    let output = run(
        dir.path(),
        &[&small[..], &["--fail-on", "buffers == 30", "--fail-on", "stalls>0"]].concat(),
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "qsegment: --fail-on buffers == 30 holds: it is 30\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.is_empty(), "the report is printed all the same");
}

#[test]
fn json_is_the_whole_of_standard_output() {
    let dir = TempDir::new().unwrap();
    let output = run(dir.path(), &["--frames", "10", "--input-size", "48x48", "--json"]);
    assert_fine(&output);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["counters"]["buffers"], 10);
    let first_mask = &document["timing"]["start_to_first_mask"];
    assert!(first_mask["value"].as_f64().unwrap() > 0.0, "{first_mask}");
    assert_eq!((&first_mask["unit"], &first_mask["quality"]), (&"ms".into(), &"measured".into()));
}

#[test]
fn a_dumped_buffer_can_be_inspected() {
    let dir = TempDir::new().unwrap();
    for (packing, line_len) in [("pi5", 2535), ("pi4", 2544)] {
        fs::write(dir.path().join("my.toml"), format!("[source]\npacking = \"{packing}\"\n"))
            .unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_qsegment"))
            .current_dir(dir.path())
            .args(["run", "--config", "my.toml", "--pace", "max", "--no-web", "--frames", "60"])
            .args(["--input-size", "48x48", "--dump-metadata", "buffer.bin"])
            .output()
            .unwrap();
        assert_fine(&output);
        let output = command(dir.path()).args(["inspect", "buffer.bin"]).output().unwrap();
        assert_fine(&output);
        let text = String::from_utf8(output.stdout).unwrap();
        for words in
            [&*format!("embedded lines of {line_len} bytes"), "KPI", "input", "output", "PQ"]
        {
            assert!(text.contains(words), "no {words} in:\n{text}");
        }
        let output =
            command(dir.path()).args(["inspect", "buffer.bin", "--json"]).output().unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&document["version"], &document["embedded_line_len_bytes"]),
            (&1.into(), &line_len.into())
        );
    }
}

#[test]
fn a_term_signal_ends_it_with_its_report() {
    let dir = TempDir::new().unwrap();
    let mut daemon = Daemon::start(command(dir.path()).arg("run"));
    assert!(get(&daemon.host, "/").starts_with("HTTP/1.1 200"), "no page at {}", daemon.host);
    daemon.signal("-TERM");
    let mut table = String::new();
    daemon.stdout.read_to_string(&mut table).unwrap();
    assert!(daemon.child.wait().unwrap().success());
    assert!(table.contains("frames"), "{table}");
    assert!(dir.path().join("out/report.json").is_file());
}

#[test]
fn a_hangup_reads_the_configuration_again_without_dropping_a_frame() {
    let dir = TempDir::new().unwrap();
    let configure = |text: &str| fs::write(dir.path().join("my.toml"), text).unwrap();
    configure("[pipeline]\nthreshold = 0.5\n");
    let mut daemon = Daemon::start(
        // What is waited for in vain ends with the run.
        configured(dir.path(), "my.toml").args(["run", "--frames", "3000"]),
    );
    let mut log = BufReader::new(daemon.child.stderr.take().unwrap());
    let mut next = |wanted: &str| {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the log has ended without {wanted}");
        }
        line
    };
    let threshold = |wanted: &str| {
        // The page's newest frame may still be one from before.
        (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            get(&daemon.host, "/status").contains(wanted)
        })
    };

    assert!(threshold("\"threshold\":0.5"));
    configure("[pipeline]\nthreshold = 0.25\n[source]\nseed = 9\n");
    daemon.signal("-HUP");
    assert!(next("pipeline.threshold").contains("is 0.25, was 0.5"));
    assert!(next("source.seed").contains("stays 1; 9 needs a restart"));
    assert!(threshold("\"threshold\":0.25"));

    configure("[pipeline]\ntreshold = 0.1\n");
    daemon.signal("-HUP");
    assert!(next("reload").contains("did you mean `pipeline.threshold`?"));

    daemon.signal("-TERM");
    std::io::copy(&mut log, &mut std::io::sink()).unwrap();
    assert!(daemon.child.wait().unwrap().success());
    let report = report(dir.path(), "out");
    assert_eq!(report["counters"]["lost_buffers"], 0);
    assert_eq!(report["counters"]["unpaired"], 0);
}

#[test]
fn vessels_are_measured_while_it_runs() {
    let dir = TempDir::new().unwrap();
    let text = "[source]\nmotion = \"still\"\n[measure]\nperiod_ms = 0\nstable_frames = 5\npixel_size_um = 8.0\n";
    fs::write(dir.path().join("my.toml"), text).unwrap();
    let run = ["run", "--frames", "3000"];
    let mut daemon = Daemon::of_size(configured(dir.path(), "my.toml").args(run), "320x320");
    let vessels = || {
        let answer = get(&daemon.host, "/status");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()["vessels"].take()
    };
    let measured = (0..500).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        Some(vessels()).filter(|vessels| vessels["stable_frames"] == 5)
    });
    let measured =
        measured.expect("five frames that do not move, in ten seconds of thirty a second");
    assert_ne!(measured["quality"]["grade"], "reject", "{measured}");
    assert_eq!(measured["pixel_size_um"], 8.0);
    let measurements = measured["measurements"].as_array().unwrap();
    assert_eq!(measurements.len(), 13);
    for of in measurements {
        let (value, mean) = (of["value"].as_f64().unwrap(), of["mean"].as_f64().unwrap());
        // A picture that does not move differs by the sensor's noise at most.
        assert!((value / mean - 1.0).abs() < 0.2, "{of}");
        let (one, of_the_mean) = (&of["uncertainty"], &of["mean_uncertainty"]);
        let factor = of_the_mean.as_f64().unwrap() * 5.0_f64.sqrt();
        assert!((one.as_f64().unwrap() - factor).abs() <= 1e-9 * factor, "{of}");
        assert!(of["unit"].is_string() && of["definition"].is_string(), "{of}");
    }
    let metrics = get(&daemon.host, "/metrics");
    assert!(metrics.contains("qsegment_vessel_measurement{measurement=\"density\""), "{metrics}");

    daemon.signal("-TERM");
    assert!(daemon.child.wait().unwrap().success());
    let last = &report(dir.path(), "out")["last_vessels"];
    assert_eq!(last["stable_frames"], 1, "the last frame by itself");
    assert!(last["measurements"][1]["value"].is_number(), "{last}");
}

#[test]
fn nothing_is_measured_where_it_is_switched_off() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("my.toml"), "[measure]\nenabled = false\n").unwrap();
    let mut command = configured(dir.path(), "my.toml");
    command.args(["run", "--pace", "max", "--no-web", "--frames", "10", "--report", "off"]);
    command.args(["--input-size", "320x320"]);
    assert_fine(&command.output().unwrap());
    assert_eq!(report(dir.path(), "off")["last_vessels"], Value::Null);
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("my.toml"), "[source]\nseed = 2\n").unwrap();
    let shown = |name: &str, value: &str| {
        let mut show = configured(dir.path(), "my.toml");
        show.args(["--json", "config", "show"]).env(name, value);
        show.output().unwrap()
    };
    let output = shown("QSEGMENT_SOURCE_SEED", "7");
    assert_fine(&output);
    let config: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(config["config"]["source"]["seed"], 7);
    let run = configured(dir.path(), "my.toml")
        .args(["run", "--seed", "8", "--pace", "max", "--no-web", "--input-size", "48x48"])
        .args(["--frames", "3", "--report", "out"])
        .env("QSEGMENT_SOURCE_SEED", "7")
        .output();
    assert_fine(&run.unwrap());
    assert_eq!(report(dir.path(), "out")["source"]["seed"], 8);
    let refused = shown("QSEGMENT_SOURCE_SEDE", "7");
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("environment variable QSEGMENT_SOURCE_SEDE"), "{said}");
    assert!(said.contains("did you mean `source.seed`?"), "{said}");
}

/// A run of a small network whose page is open and whose report goes to "out".
struct Daemon {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Address and port of the page.
    host: String,
}

impl Daemon {
    fn start(run: &mut Command) -> Self {
        Self::of_size(run, "48x48")
    }

    fn of_size(run: &mut Command, input_size: &str) -> Self {
        let mut child = run
            .args(["--input-size", input_size, "--listen", "127.0.0.1:0", "--report", "out"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        let host = address.trim_end().strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
        Self { host: host.to_owned(), child, stdout }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

fn get(host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
