use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use qsegment::outputs::figures::Facts;
use qsegment::outputs::metrics::{Format, Reading, encode};
use qsegment::outputs::overlay::Freshness;
use serde_json::Value;

use crate::exposition::{Dialect, Family, parse};
use crate::sample::{facts, reading};

fn text(reading: &Reading) -> BTreeMap<String, Family> {
    parse(&encode(reading, &known(), Format::Text), Dialect::Text)
}

/// Facts that leave nothing open.
fn known() -> Facts {
    let mut facts = facts();
    facts.ladder.inference_reason = Some("it was asked for".to_owned());
    facts
}

/// The only value among samples of that name with those labels.
fn value(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples: Vec<_> = families
        .values()
        .flat_map(|family| &family.samples)
        .filter(|sample| sample.name == name)
        .filter(|sample| labels.iter().all(|(name, value)| sample.label(name) == Some(value)))
        .collect();
    assert_eq!(samples.len(), 1, "{name} {labels:?}: {samples:?}");
    samples[0].value
}

#[test]
fn every_figure_is_there_with_its_unit() {
    let families = text(&reading());
    let measured = [("scope", "sensor"), ("source", "hwmon"), ("quality", "measured")];
    for (name, labels, wanted) in [
        (
            "qsegment_build_info",
            &[("version", "0.1.0"), ("network_sha256", "abababababab")][..],
            1.0,
        ),
        (
            "qsegment_ladder_info",
            &[("camera", "simulated"), ("camera_reason", "no camera is there")],
            1.0,
        ),
        ("qsegment_state", &[("state", "live")], 1.0),
        ("qsegment_state", &[("state", "stale")], 0.0),
        ("qsegment_buffers_total", &[], 250.0),
        ("qsegment_paired_total", &[], 149.0),
        ("qsegment_skipped_inputs_total", &[], 0.0),
        ("qsegment_faults_total", &[("reason", "unpaired")], 1.0),
        ("qsegment_faults_total", &[("reason", "corrupt_ap_params")], 0.0),
        ("qsegment_device_events_total", &[("event", "damaged_buffer")], 2.0),
        ("qsegment_injected_faults_total", &[("fault", "dropped_tensor")], 3.0),
        ("qsegment_recovery_steps_total", &[("remedy", "restart")], 2.0),
        ("qsegment_recovery_steps_total", &[("remedy", "reopen")], 0.0),
        ("qsegment_recovery_failed_steps_total", &[], 1.0),
        ("qsegment_recoveries_total", &[], 2.0),
        ("qsegment_recovering", &[], 0.0),
        ("qsegment_camera_cycles", &[], 4.0),
        ("qsegment_queue_drops_total", &[("queue", "web")], 4.0),
        ("qsegment_tensor_rate_hertz", &[("quality", "simulated")], 15.0),
        ("qsegment_newest_mask_age_seconds", &[], 0.25),
        ("qsegment_newest_tensor_age_seconds", &[], 0.149_999_997),
        ("qsegment_stale_after_seconds", &[], 0.5),
        ("qsegment_sensor_temperature_celsius", &[("quality", "simulated")], 41.0),
        ("qsegment_exposure_seconds", &[("quality", "simulated")], 0.012_631_72),
        ("qsegment_analogue_gain_ratio", &[("quality", "simulated")], 2.0),
        ("qsegment_tensor_lag_frames", &[], 3.0),
        ("qsegment_frame_grade", &[("grade", "usable")], 1.0),
        ("qsegment_frame_grade", &[("grade", "good")], 0.0),
        ("qsegment_frame_criterion", &[("criterion", "focus")], 0.75),
        ("qsegment_vessel_measurement", &[("measurement", "density"), ("unit", "1")], 0.5),
        ("qsegment_vessel_measurement_uncertainty", &[("measurement", "length_px")], 0.25),
        ("qsegment_vessel_stable_frames", &[], 12.0),
        ("qsegment_power_watts", &measured, 0.26),
        ("qsegment_energy_joules_total", &measured, 2.5),
        ("qsegment_energy_per_frame_joules", &measured, 0.01),
        ("qsegment_power_uncovered_seconds_total", &measured, 1.5),
        ("qsegment_power_failures_total", &[("scope", "sensor"), ("reason", "gone")], 3.0),
        ("qsegment_recorded_bytes_total", &[], 1e6),
        ("qsegment_recording_drops_total", &[("reason", "record_too_slow")], 5.0),
        ("qsegment_socket_clients", &[], 2.0),
        ("qsegment_socket_skipped_frames_total", &[], 7.0),
        ("qsegment_socket_drops_total", &[("reason", "too_slow")], 1.0),
        ("qsegment_http_connections", &[], 3.0),
        ("qsegment_http_refused_total", &[("reason", "host")], 2.0),
        ("process_cpu_seconds_total", &[], 1.5),
        ("process_resident_memory_bytes", &[], 58e6),
        ("process_start_time_seconds", &[], 1_764_000_100.0),
        ("process_uptime_seconds", &[], 20.5),
    ] {
        assert_eq!(value(&families, name, labels), wanted, "{name}");
    }
}

#[test]
fn stages_are_histograms_in_seconds() {
    let families = text(&reading());
    let of = |suffix: &str, stage: &str, le: Option<&str>| {
        let mut labels = vec![("stage", stage)];
        labels.extend(le.map(|le| ("le", le)));
        value(&families, &format!("qsegment_stage_latency_seconds{suffix}"), &labels)
    };
    // 148 frames in 0.6 ms, and one in a minute, which is in no bucket but the last.
    for (le, count) in [("0.0005", 0.0), ("0.001", 148.0), ("10.0", 148.0), ("+Inf", 149.0)] {
        assert_eq!(of("_bucket", "tensor_to_mask", Some(le)), count, "{le}");
    }
    assert_eq!(of("_count", "tensor_to_mask", None), 149.0);
    assert_eq!(of("_sum", "tensor_to_mask", None), 60.0888);
    // A bound is in its own bucket.
    assert_eq!(of("_bucket", "sensor_to_tensor", Some("0.1")), 148.0);
    assert_eq!(of("_bucket", "sensor_to_tensor", Some("0.08")), 0.0);
    let labels = [("stage", "sensor_to_mask"), ("quality", "simulated")];
    assert_eq!(value(&families, "qsegment_stage_latency_max_seconds", &labels), 60.0);
}

#[test]
fn both_formats_say_the_same() {
    let text = text(&reading());
    let openmetrics = encode(&reading(), &known(), Format::OpenMetrics);
    let openmetrics = parse(&openmetrics, Dialect::OpenMetrics);
    assert_eq!(text.len(), openmetrics.len());
    for (name, family) in openmetrics {
        let (suffix, kind) = match family.kind.as_str() {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            other => ("", other),
        };
        let same = &text[&format!("{name}{suffix}")];
        assert_eq!((same.kind.as_str(), &same.help), (kind, &family.help), "{name}");
        assert_eq!(same.samples, family.samples, "{name}");
    }
}

/// As Prometheus names things: base units, at the end, and `_total` behind them.
#[test]
fn names_end_in_base_units() {
    let units = ["seconds", "bytes", "joules", "watts", "celsius", "hertz", "ratio"];
    for (name, family) in text(&reading()) {
        assert!(name.starts_with("qsegment_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name}");
        let base = name.strip_suffix("_total").unwrap_or(&name);
        let words: Vec<_> = base.split('_').collect();
        for (at, word) in words.iter().enumerate() {
            assert!(!units.contains(word) || at + 1 == words.len(), "{name}: unit not at the end");
            let no_base = ["ms", "us", "ns", "milliseconds", "mw", "mb", "kb", "percent"];
            assert!(!no_base.contains(word), "{name}: {word} is no base unit");
        }
    }
}

#[test]
fn leaves_out_what_is_not_known_yet() {
    let mut empty = reading();
    let snapshot = &mut empty.counted.snapshot;
    snapshot.sensor_span = None;
    snapshot.newest_tensor = None;
    snapshot.buckets.clear();
    snapshot.injected_faults.clear();
    snapshot.device_events.clear();
    snapshot.power[0].newest = None;
    (empty.newest, empty.freshness) = (None, Freshness::NoSignal);
    (empty.counted.recording, empty.counted.socket) = (None, None);
    empty.counted.vessels = None;
    empty.process = qsegment::outputs::metrics::ProcessFigures::default();
    let families = text(&empty);
    for unknown in [
        "_age",
        "rate_",
        "injected",
        "qsegment_power_watts",
        "celsius",
        "process",
        "socket",
        "vessel_m",
    ] {
        assert!(!families.keys().any(|name| name.contains(unknown)), "{unknown}");
    }
    assert_eq!(value(&families, "qsegment_state", &[("state", "no_signal")]), 1.0);
}

#[test]
fn sensor_of_a_stale_frame_says_nothing() {
    let mut stale = reading();
    stale.freshness = Freshness::Stale { age: std::time::Duration::from_secs(1) };
    let families = text(&stale);
    assert!(!families.contains_key("qsegment_sensor_temperature_celsius"));
    assert!(families.contains_key("qsegment_newest_mask_age_seconds"));
    let mut unknown = reading();
    let mut frame = qsegment::pipeline::Frame::clone(unknown.newest.as_ref().unwrap());
    frame.sensor.temperature_celsius = None;
    unknown.newest = Some(frame.into());
    let families = text(&unknown);
    assert!(!families.contains_key("qsegment_sensor_temperature_celsius"));
    assert!(families.contains_key("qsegment_exposure_seconds"));
}

#[test]
fn a_file_name_cannot_break_the_text() {
    let mut facts = facts();
    facts.network.name = "a\"b\\c\nqsegment_paired_total 9".to_owned();
    for (format, dialect) in
        [(Format::Text, Dialect::Text), (Format::OpenMetrics, Dialect::OpenMetrics)]
    {
        let families = parse(&encode(&reading(), &facts, format), dialect);
        let labels = [("network", facts.network.name.as_str())];
        assert_eq!(value(&families, "qsegment_build_info", &labels), 1.0);
        assert_eq!(value(&families, "qsegment_paired_total", &[]), 149.0);
    }
}

/// `SNAPSHOTS=overwrite` writes the table anew.
#[test]
fn the_table_in_the_documentation_has_every_metric() {
    let mut table = "| metric | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for (name, family) in text(&reading()) {
        let labels: BTreeSet<_> = family
            .samples
            .iter()
            .flat_map(|sample| sample.labels.iter().map(|(label, _)| format!("`{label}`")))
            .collect();
        let labels = Vec::from_iter(labels).join(", ");
        let Family { kind, help, .. } = family;
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    let path = repository("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning is marked");
    let (found, after) = rest.split_once(END).expect("so is its end");
    if env::var_os("SNAPSHOTS").is_some_and(|wanted| wanted == "overwrite") {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, table, "SNAPSHOTS=overwrite cargo test --test outputs writes it anew");
}

#[test]
fn the_dashboard_shows_only_metrics_that_there_are() {
    let known: BTreeSet<String> = text(&reading())
        .into_values()
        .flat_map(|family| family.samples.into_iter().map(|sample| sample.name))
        .collect();
    let bytes = fs::read(repository("docs/grafana/qsegment.json")).unwrap();
    let dashboard: Value = serde_json::from_slice(&bytes).unwrap();
    let mut used = BTreeSet::new();
    for expression in expressions(&dashboard) {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let words = expression.split(|c| !is_of_name(c));
        let names = words.filter(|w| w.starts_with("qsegment_") || w.starts_with("process_"));
        let before = used.len();
        used.extend(names.map(str::to_owned));
        assert!(used.len() > before || expression.contains("qsegment_"), "{expression}");
        assert!(expression.contains("instance"), "of every camera at once: {expression}");
    }
    assert!(used.len() > 20, "{used:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has a number of its own");
}

/// What the panels and the choices above them ask Prometheus.
fn expressions(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own =
                ["expr", "definition"].into_iter().filter_map(|key| fields.get(key)?.as_str());
            own.chain(fields.values().flat_map(expressions)).collect()
        }
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

const BEGIN: &str = "<!-- table: SNAPSHOTS=overwrite cargo test --test outputs -->\n";
const END: &str = "<!-- end of the table -->\n";
