use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use qsegment::outputs::OutputError;
use qsegment::outputs::overlay::Style;
use qsegment::outputs::report::{Report, ReportFolder, RunTime};
use serde_json::{Value, json};

use crate::sample::{facts, frame, snapshot};

const VESSELS: [&str; 3] = ["#..", ".#.", "..#"];

fn run_time() -> RunTime {
    RunTime { started: SystemTime::UNIX_EPOCH, elapsed: Duration::from_secs(5) }
}

fn report() -> Report {
    Report::new(&snapshot(), &facts(), run_time(), Some(&frame(&VESSELS)))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn says_what_ran_what_was_counted_and_how_long_each_stage_took() {
    let written = serde_json::to_value(report()).unwrap();
    assert_eq!(written["version"], 1);
    assert_eq!(written["disclaimer"], "Research use only. Not a medical device.");
    assert_eq!(written["network"]["sha256"], "ab".repeat(32));
    assert_eq!(written["network"]["macs"], 985_000_000);
    assert_eq!(written["source"]["seed"], 7);
    assert_eq!(written["source"]["pace"], "max");
    assert_eq!(written["source"]["inference_model"]["low_ms"], 45.0);
    assert_eq!(written["source"]["inference_model"]["quality"], "estimated");
    assert_eq!(written["counters"]["buffers"], 250);
    assert_eq!(written["counters"]["unpaired"], 1);
    assert_eq!(written["counters"]["malformed_buffers"], 0);
    assert_eq!(written["device_events"], json!({"damaged_buffer": 2}));
    assert_eq!(written["injected_faults"], json!({"counter_jump": 1, "dropped_tensor": 3}));
    assert_eq!(written["quality"]["counters"], "measured");
    let fraction = &written["last_vessel_fraction"];
    assert!((fraction["value"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-6);
    assert_eq!(written["timing"]["started"], "1970-01-01T00:00:00Z");
    assert_eq!(written["timing"]["queue_drops"]["web"], 4);
    let stages: Vec<&Value> = written["stages"]
        .as_array()
        .unwrap()
        .iter()
        .chain(written["timing"]["stages"].as_array().unwrap())
        .collect();
    let named: Vec<_> = stages.iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["sensor_to_tensor", "tensor_to_mask", "sensor_to_mask"]);
    for stage in stages {
        for key in ["from", "to", "clock", "quality"] {
            assert!(!stage[key].as_str().unwrap().is_empty(), "{key} of {stage}");
        }
        for key in ["count", "p50_ms", "p95_ms", "p99_ms", "max_ms"] {
            assert!(stage[key].is_number(), "{key} of {stage}");
        }
    }
    assert_eq!(written["timing"]["stages"][0]["p95_ms"], 0.7);
}

#[test]
fn says_how_the_sensor_was_set_in_the_last_frame() {
    let written = serde_json::to_value(report()).unwrap();
    assert_eq!(
        written["last_sensor"],
        json!({"exposure_ms": 12.63172, "analogue_gain": 2.0, "temperature_celsius": 41})
    );
    let nothing_came = Report::new(&snapshot(), &facts(), run_time(), None);
    assert_eq!(serde_json::to_value(nothing_came).unwrap()["last_sensor"], Value::Null);
}

#[test]
fn says_that_the_host_ran_the_network_and_why() {
    let mut facts = facts();
    facts.ladder.inference = "host".to_owned();
    facts.ladder.inference_reason = Some("the sensor has no network".to_owned());
    let written = serde_json::to_value(Report::new(&snapshot(), &facts, run_time(), None)).unwrap();
    assert_eq!(written["source"]["inference"], "host");
    assert_eq!(written["source"]["inference_reason"], "the sensor has no network");
    // What the stages are then is in the same words everywhere.
    let to = written["timing"]["stages"][0]["to"].as_str().unwrap();
    assert!(to.contains("where the host runs the network, that run is in it"), "{to}");
}

#[test]
fn power_and_energy_have_uncertainty_scope_and_definition() {
    let written = serde_json::to_value(report()).unwrap();
    let power = written["timing"]["power"].as_array().unwrap();
    assert_eq!(power.len(), 1);
    let sensor = &power[0];
    for (key, value) in [
        ("source", json!("hwmon")),
        ("scope", json!("sensor")),
        ("quality", json!("measured")),
        ("instrument", json!("ina226 1-0040")),
        ("frames", json!(250)),
        ("gaps", json!(1)),
        ("failures", json!({"gone": 3})),
    ] {
        assert_eq!(sensor[key], value, "{key}");
    }
    assert_eq!(sensor["uncovered"]["value"], 1.5);
    let off = 0.0005_f64 * 2.0_f64.sqrt();
    for (key, value, uncertainty) in [
        ("power", 0.26, 0.0005),
        ("mean_power", 0.25, 0.0005),
        ("idle_power", 0.1, 0.0005),
        ("power_above_idle", 0.15, off),
        ("energy", 2.5, 0.005),
        ("energy_per_frame", 0.01, 0.00002),
        ("energy_above_idle_per_frame", 0.006, off * 0.04),
    ] {
        let figure = &sensor[key];
        let near = |got: &Value, want: f64| (got.as_f64().unwrap() - want).abs() < 1e-12;
        assert!(near(&figure["value"], value), "{key}: {figure}");
        assert!(near(&figure["uncertainty"], uncertainty), "{key}: {figure}");
        assert_eq!(figure["quality"], "measured");
        assert!(!figure["definition"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_silent_instrument_has_no_power_and_a_model_no_uncertainty() {
    let mut silent = snapshot();
    silent.power[0].newest = None;
    let written = serde_json::to_value(Report::new(&silent, &facts(), run_time(), None)).unwrap();
    let figure = &written["timing"]["power"][0]["power"];
    assert_eq!((&figure["value"], &figure["uncertainty"]), (&Value::Null, &Value::Null));
    silent.power[0].info.quality = qsegment::source::Quality::Simulated;
    let written = serde_json::to_value(Report::new(&silent, &facts(), run_time(), None)).unwrap();
    let figure = &written["timing"]["power"][0]["mean_power"];
    assert_eq!(figure["uncertainty"], Value::Null);
    assert_eq!(figure["quality"], "simulated");
}

/// 250 buffers, 40 ms each, are 10 s of sensor time; the host took 5 s for them.
#[test]
fn rates_are_on_the_sensor_clock() {
    let written = serde_json::to_value(report()).unwrap();
    assert_eq!(written["rates"]["frames"]["value"], 25.0);
    assert_eq!(written["rates"]["tensors"]["value"], 15.0);
    assert_eq!(written["rates"]["tensors"]["quality"], "simulated");
    assert_eq!(written["timing"]["slow_motion_factor"]["value"], 0.5);
    assert_eq!(written["timing"]["start_to_first_mask"]["value"], Value::Null);
    let mut nothing_came = snapshot();
    nothing_came.sensor_span = None;
    let written =
        serde_json::to_value(Report::new(&nothing_came, &facts(), run_time(), None)).unwrap();
    assert_eq!(written["rates"]["frames"]["value"], Value::Null);
}

#[test]
fn differs_between_equal_runs_only_in_timing() {
    let mut other = snapshot();
    for stage in &mut other.stages[1..] {
        stage.p50 += Duration::from_micros(17);
        stage.max *= 3;
    }
    other.queue_drops = vec![("web", 90)];
    let time = RunTime {
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
        elapsed: Duration::from_secs(9),
    };
    let other = Report::new(&other, &facts(), time, Some(&frame(&VESSELS)));
    let (mut one, mut two) =
        (serde_json::to_value(report()).unwrap(), serde_json::to_value(other).unwrap());
    assert_ne!(one["timing"], two["timing"]);
    one.as_object_mut().unwrap().remove("timing");
    two.as_object_mut().unwrap().remove("timing");
    assert_eq!(one, two);
}

#[test]
fn leaves_three_whole_files_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("new/folder");
    let folder = ReportFolder::prepare(&path).unwrap();
    assert_eq!(names(&path), [""; 0], "the trial file is gone");
    let last = frame(&VESSELS);
    folder.write(&report(), Some(&last), Style::default()).unwrap();
    folder.write(&report(), Some(&last), Style::default()).unwrap();
    assert_eq!(names(&path), ["mask.png", "overlay.png", "report.json"]);
    let written: Value =
        serde_json::from_slice(&fs::read(path.join("report.json")).unwrap()).unwrap();
    assert_eq!(written["pictures"]["files"], json!(["overlay.png", "mask.png"]));
    let mask = image::open(path.join("mask.png")).unwrap();
    assert_eq!(mask.as_luma8().unwrap().as_raw(), &[255, 0, 0, 0, 255, 0, 0, 0, 255]);
    let overlay = image::open(path.join("overlay.png")).unwrap();
    assert_eq!((overlay.width(), overlay.height()), (6, 6));
    assert!(overlay.as_rgb8().is_some());
}

#[test]
fn without_a_frame_says_so_and_leaves_no_picture_of_an_earlier_run() {
    let root = tempfile::tempdir().unwrap();
    let folder = ReportFolder::prepare(root.path()).unwrap();
    folder.write(&report(), Some(&frame(&VESSELS)), Style::default()).unwrap();
    let report = Report::new(&snapshot(), &facts(), run_time(), None);
    folder.write(&report, None, Style::default()).unwrap();
    assert_eq!(names(root.path()), ["report.json"]);
    let written = serde_json::to_value(report).unwrap();
    assert_eq!(written["pictures"]["files"], json!([]));
    assert!(written["pictures"]["missing"].as_str().unwrap().contains("no output tensor"));
    assert_eq!(written["last_vessel_fraction"]["value"], Value::Null);
}

#[test]
fn refuses_an_unwritable_folder_before_the_run() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let error = ReportFolder::prepare(&file.join("out")).unwrap_err();
    let line = error.to_string();
    assert!(line.contains(&format!("{}", file.join("out").display())), "{line}");
    assert!(line.ends_with("choose another with --report") && !line.contains('\n'), "{line}");
    assert!(matches!(error, OutputError::Folder { .. }));
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_nothing_half_written_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = ReportFolder::prepare(root.path()).unwrap();
    fs::create_dir(root.path().join("mask.png")).unwrap();
    let refused = folder.write(&report(), Some(&frame(&VESSELS)), Style::default());
    let Err(OutputError::Write { file, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(file, root.path().join("mask.png"));
    assert_eq!(
        names(root.path()),
        ["mask.png", "overlay.png"],
        "no report that names a missing file"
    );
}
