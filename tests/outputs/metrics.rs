use std::collections::BTreeMap;
use std::time::Duration;

use qsegment::outputs::metrics::encode;

use crate::sample::{facts, snapshot};

/// Sample lines by name and labels; every line of the text is checked on the way.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_none() {
            assert_eq!(line, "# EOF");
            break;
        }
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            match kind {
                "TYPE" => assert_eq!(types.insert(name, value), None, "{name} is typed twice"),
                "UNIT" => assert!(name.ends_with(value), "{line}"),
                "HELP" => assert!(!value.is_empty(), "{line}"),
                other => panic!("{other}"),
            }
            continue;
        }
        let (labelled, value) = line.rsplit_once(' ').unwrap();
        let name = labelled.split('{').next().unwrap();
        assert!(name.starts_with("qsegment_"), "{line}");
        let family = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name);
        let kind = types.get(family).unwrap_or_else(|| panic!("{line} comes before its type"));
        assert_eq!(*kind == "counter", name.ends_with("_total"), "{line}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(samples.insert(labelled.to_owned(), value), None, "{line} comes twice");
    }
    samples
}

#[test]
fn every_line_is_openmetrics_and_every_figure_is_there() {
    let samples = parsed(&encode(&snapshot(), &facts(), Some(Duration::from_millis(250))));
    let build = format!(
        "qsegment_build_info{{version=\"0.1.0\",network=\"built-in\",network_sha256=\"{}\",\
         camera=\"simulated\",inference=\"sensor\"}}",
        "ab".repeat(32)
    );
    for (sample, value) in [
        (build.as_str(), 1.0),
        ("qsegment_buffers_total", 250.0),
        ("qsegment_paired_total", 149.0),
        ("qsegment_unpaired_total", 1.0),
        ("qsegment_corrupt_ap_params_total", 0.0),
        ("qsegment_device_events_total{event=\"damaged_buffer\"}", 2.0),
        ("qsegment_injected_faults_total{fault=\"dropped_tensor\"}", 3.0),
        ("qsegment_recovery_steps_total{remedy=\"restart\"}", 2.0),
        ("qsegment_recovery_steps_total{remedy=\"reopen\"}", 0.0),
        ("qsegment_recovery_failed_steps_total", 1.0),
        ("qsegment_recoveries_total", 2.0),
        ("qsegment_recovering", 0.0),
        ("qsegment_camera_cycles", 4.0),
        ("qsegment_queue_drops_total{queue=\"web\"}", 4.0),
        ("qsegment_stage_frames_total{stage=\"tensor_to_mask\"}", 149.0),
        ("qsegment_tensor_rate_hertz", 15.0),
        ("qsegment_newest_mask_age_seconds", 0.25),
        ("qsegment_power_watts{scope=\"sensor\",source=\"hwmon\",quality=\"measured\"}", 0.26),
        (
            "qsegment_energy_joules_total{scope=\"sensor\",source=\"hwmon\",quality=\"measured\"}",
            2.5,
        ),
        (
            "qsegment_energy_per_frame_joules{scope=\"sensor\",source=\"hwmon\",quality=\"measured\"}",
            0.01,
        ),
        ("qsegment_power_failures_total{scope=\"sensor\",source=\"hwmon\",reason=\"gone\"}", 3.0),
    ] {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    let quantile = |stage: &str, quality: &str, quantile: &str| {
        let labels = format!("stage=\"{stage}\",quality=\"{quality}\",quantile=\"{quantile}\"");
        samples[&format!("qsegment_stage_latency_seconds{{{labels}}}")]
    };
    assert_eq!(quantile("tensor_to_mask", "measured", "0.5"), 0.0006);
    assert_eq!(quantile("sensor_to_tensor", "simulated", "0.99"), 0.1002);
    assert_eq!(quantile("sensor_to_mask", "simulated", "1"), 0.1009);
}

#[test]
fn leaves_out_what_is_not_known_yet() {
    let mut empty = snapshot();
    empty.sensor_span = None;
    empty.stages.clear();
    empty.injected_faults.clear();
    empty.device_events.clear();
    empty.power[0].newest = None;
    let text = encode(&empty, &facts(), None);
    let samples = parsed(&text);
    assert!(!samples.keys().any(|name| name.contains("age") || name.contains("rate")), "{text}");
    assert!(!text.contains("injected"), "{text}");
    assert!(!samples.keys().any(|name| name.starts_with("qsegment_power_watts")), "{text}");
}

#[test]
fn a_file_name_cannot_break_the_text() {
    let mut facts = facts();
    facts.network.name = "a\"b\\c\nqsegment_paired_total 9".to_owned();
    let samples = parsed(&encode(&snapshot(), &facts, None));
    assert_eq!(samples["qsegment_paired_total"], 149.0);
}
