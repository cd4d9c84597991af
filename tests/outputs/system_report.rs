use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use qsegment::emulator::Network;
use qsegment::outputs::OutputError;
use qsegment::outputs::figures::{Facts, NetworkFacts};
use qsegment::outputs::report::{Report, RunTime};
use qsegment::outputs::system_report::{
    EmulatorTime, Machine, ModelInputs, Subject, SystemReport, SystemReportFolder,
};
use qsegment::pipeline::latency::{Stage, StageLatency};
use qsegment::source::Quality;
use qsegment::source::simulated::timing::Mode;
use serde_json::{Value, json};

use crate::sample::{facts, frame, snapshot};

const QUALITIES: [&str; 7] =
    ["published", "computed", "inferred", "measured", "estimated", "simulated", "not measured"];

fn built_in() -> Network {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
    Network::load(&fs::read(path).unwrap()).unwrap()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The sample's run, on a screen that nobody has, by an emulator that takes 30 ms.
fn subject<'a>(network: &'a Network, facts: &Facts, command: &str) -> Subject<'a> {
    let time = RunTime { started: SystemTime::UNIX_EPOCH, elapsed: Duration::from_secs(5) };
    let emulator = |kernel, side, times, reduced| EmulatorTime {
        kernel,
        threads: 1,
        width: side,
        height: side,
        macs: 1_000_000,
        times,
        reduced,
    };
    let mut seen = snapshot();
    let network_in_sensor = StageLatency {
        stage: Stage::NetworkRunTime,
        quality: Quality::Simulated,
        count: 100,
        p50: ms(50),
        p95: ms(95),
        p99: ms(99),
        max: ms(100),
    };
    seen.stages.push(network_in_sensor);
    Subject {
        run: Report::new(&seen, facts, time, Some(&frame(&["#"]))),
        screen_missing: Some("no screen; connect one and run with --hdmi"),
        network,
        network_facts: facts.network.clone(),
        emulator: vec![
            emulator("engine", 320, vec![ms(31), ms(30), ms(90)], None),
            emulator("reference", 80, vec![ms(200)], Some("at a reduced size, since it is slow")),
        ],
        load_average: Some(0.5),
        model: ModelInputs {
            mode: Mode::Binned,
            full_milliwatts: 278.8,
            binned_milliwatts: 379.1,
            tera_operations_per_joule: 4.97,
        },
        machine: Machine {
            board: None,
            cpu: "Cortex <A76>".to_owned(),
            cores: 4,
            simd: vec!["NEON"],
            kernel: "6.12.0".to_owned(),
            build: "release",
        },
        command: command.to_owned(),
    }
}

fn report() -> SystemReport {
    SystemReport::new(subject(&built_in(), &facts(), "qsegment bench system --seed 7"))
}

fn of<'a>(rows: &'a Value, key: &str, name: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn json_has_the_papers_table_as_published_and_energy_as_the_product() {
    let written = serde_json::to_value(report()).unwrap();
    assert_eq!(written["version"], 1);
    assert_eq!(written["disclaimer"], "Research use only. Not a medical device.");
    assert_eq!(written["command"], "qsegment bench system --seed 7");
    let published = &written["published"];
    // 0.23 * 71.94 / 1000, 17.21 * 254.60 / 1000, ... millijoules, by hand.
    let table = [
        ("IMX-500", 0.23, 71.94, 0.016_546_2),
        ("IMX-500-Full", 17.21, 254.60, 4.381_666),
        ("M4F", 126.25, 82.69, 10.439_612_5),
        ("Spresense", 143.75, 448.0, 64.4),
        ("ERFNet on Jetson", 14.28, 6000.0, 85.68),
    ];
    assert_eq!(published.as_array().unwrap().len(), table.len());
    for (platform, latency, power, energy) in table {
        let row = of(published, "platform", platform);
        assert_eq!(row["latency"], json!({"value": latency}));
        assert_eq!(row["power"], json!({"value": power}));
        let got = row["energy"]["value"].as_f64().unwrap();
        assert!((got - energy).abs() < 1e-9, "{platform}: {got}");
        assert_eq!(row["latency_quality"], "published");
        assert_eq!(row["energy_quality"], "computed");
    }
}

#[test]
fn this_run_is_beside_it_each_figure_with_its_own_quality() {
    let written = serde_json::to_value(report()).unwrap();
    let ours = &written["timing"]["ours"];
    // 1 to 100 ms, one each.
    let in_sensor = of(ours, "platform", "ours: in sensor");
    assert_eq!(in_sensor["latency"], json!({"value": 50.0}));
    assert_eq!(in_sensor["latency_quality"], "simulated");
    // The host's clock took this one, whoever made the frames.
    let mask = of(ours, "platform", "ours: tensor to mask");
    assert_eq!(mask["latency_quality"], "measured");
    assert_eq!(mask["power_quality"], "not-measured");
    assert!(mask["energy"]["missing"].is_string(), "{mask}");
    let screen = of(ours, "platform", "ours: sensor to scan-out");
    assert_eq!(screen["latency"]["missing"], "no screen; connect one and run with --hdmi");
    let cpu = of(ours, "platform", "ours: emulator (engine), on this CPU");
    assert_eq!(cpu["latency"], json!({"value": 31.0}));
    assert_eq!(cpu["latency_quality"], "measured");
    let reference = of(&written["timing"]["emulator"], "id", "emulator_reference_80x80");
    assert!(reference["definition"].as_str().unwrap().contains("reduced size"), "{reference}");
}

#[test]
fn every_row_of_json_has_unit_definition_source_and_quality() {
    let written = serde_json::to_value(report()).unwrap();
    let mut ids = BTreeSet::new();
    for rows in [&written["model"], &written["bound"], &written["timing"]["emulator"]] {
        for row in rows.as_array().unwrap() {
            assert!(ids.insert(row["id"].as_str().unwrap()), "twice: {row}");
            for key in ["figure", "quality", "definition", "source"] {
                assert!(!row[key].as_str().unwrap().is_empty(), "{key} of {row}");
            }
            assert!(row["unit"].is_string(), "{row}");
            let value = ["value", "low", "missing"].iter().filter(|key| !row[**key].is_null());
            assert_eq!(value.count(), 1, "{row}");
        }
    }
    assert!(ids.len() > 20);
}

/// Tables of the Markdown as rows of cells.
fn tables(markdown: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = vec![Vec::new()];
    for line in markdown.lines() {
        match line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            Some(line) => {
                let cells = line.replace("\\|", "\u{0}");
                let cells = cells.split('|').map(|cell| cell.trim().replace('\u{0}', "|"));
                tables.last_mut().unwrap().push(cells.collect());
            }
            None => tables.push(Vec::new()),
        }
    }
    tables.retain(|table| !table.is_empty());
    tables
}

#[test]
fn markdown_tables_are_whole_and_no_line_of_figures_lacks_its_quality() {
    let markdown = report().markdown();
    let tables = tables(&markdown);
    assert!(tables.len() >= 9, "{}", tables.len());
    let mut lines = 0;
    for table in &tables {
        let head = &table[0];
        assert!(table[1].iter().all(|cell| cell == "---"), "{head:?}");
        for row in &table[2..] {
            assert_eq!(row.len(), head.len(), "{row:?}");
            assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
            for (name, cell) in head.iter().zip(row) {
                if name == "quality" {
                    lines += 1;
                    assert!(QUALITIES.contains(&cell.as_str()), "{row:?}");
                }
            }
        }
        let explained = ["fact", "quality"].contains(&head[0].as_str());
        assert!(explained || head.iter().any(|name| name == "quality"), "{head:?}");
    }
    assert!(lines > 60, "{lines}");
    assert!(markdown.contains("not measured: no screen; connect one and run with --hdmi; from: "));
    assert!(markdown.contains("**Research use only. Not a medical device.**"));
}

/// What stands in one stands in the other.
#[test]
fn html_has_every_row_of_the_markdown() {
    let report = report();
    let html = report.html();
    let unescaped = html
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    let mut cells = 0;
    for row in tables(&report.markdown()).iter().flat_map(|table| &table[2..]) {
        for cell in row {
            let plain: String = cell.replace('\\', "");
            assert!(unescaped.contains(&plain), "no {plain}");
            cells += 1;
        }
    }
    assert!(cells > 300, "{cells}");
    assert_eq!(html.matches("<svg").count(), 2);
    assert_eq!(html.matches("Research use only. Not a medical device.").count(), 2);
}

#[test]
fn html_needs_nothing_else_and_is_dark_where_the_reader_is() {
    let html = report().html();
    for foreign in ["http://", "https://", "<script", "<link", "<img", "@import", "url("] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    for wanted in ["prefers-color-scheme: dark", "@media print", "<title>", "lang=\"en\""] {
        assert!(html.contains(wanted), "{wanted}");
    }
}

#[test]
fn what_a_device_or_a_user_says_cannot_become_markup() {
    let network = NetworkFacts { name: "<img src=x>|*a*".to_owned(), ..facts().network };
    let facts = Facts { network, scene: Some("</table><script>".to_owned()), ..facts() };
    let report =
        SystemReport::new(subject(&built_in(), &facts, "qsegment bench system --scene '<b>&'"));
    let html = report.html();
    for raw in ["<img", "<script", "<b>", "<A76>"] {
        assert!(!html.contains(raw), "{raw}");
    }
    assert!(html.contains("--scene &#39;&lt;b&gt;&amp;&#39;"));
    let named: Vec<_> = tables(&report.markdown())
        .into_iter()
        .flatten()
        .filter(|row| row[0] == "network")
        .collect();
    assert_eq!(named, [["network", "\\<img src=x\\>|\\*a\\*"]]);
}

/// Such a file says neither multiply-accumulates nor parameters: the model is of the emulator's network, and says so.
#[test]
fn a_network_packed_for_the_sensor_is_told_from_the_one_that_is_modelled() {
    let network = built_in();
    let packed = NetworkFacts {
        name: "network.rpk".to_owned(),
        sha256: "cd".repeat(32),
        parameters: None,
        macs: None,
    };
    let ran = Facts { network: packed, ..facts() };
    let mut subject = subject(&network, &ran, "qsegment bench system --network network.rpk");
    subject.network_facts = facts().network;
    let report = SystemReport::new(subject);
    let wanted = format!("Model, bound and emulator are of built-in, sha256 {}.", "ab".repeat(32));
    assert!(report.markdown().contains(&wanted));
    assert!(report.html().contains(&wanted));
    let written = serde_json::to_value(&report).unwrap();
    // 1,036,595,200 multiply-accumulates at 336 M in 14.3 ms.
    let low = of(&written["model"], "id", "model_run_time")["low"].as_f64().unwrap();
    assert!((low - 44.117).abs() < 1e-3, "{low}");
    let same = self::report().markdown();
    assert!(!same.contains("Model, bound and emulator are of"));
}

#[test]
fn plots_draw_what_has_both_latency_and_power_and_simulated_is_hollow() {
    let html = report().html();
    let plot = &html[html.find("<svg").unwrap()..html.find("</svg>").unwrap()];
    for platform in ["IMX-500", "IMX-500-Full", "M4F", "Spresense", "ERFNet on Jetson"] {
        assert!(plot.contains(&format!("<title>{platform}: ")), "{platform}");
    }
    assert!(!plot.contains("<title>ours: tensor to mask"), "it has no power of its own");
    let point =
        &plot[plot.find("<title>ours: in sensor").expect("the sample has a sensor's power")..];
    assert!(point[..point.find("</g>").unwrap()].contains("class=\"modelled\""));
}

#[test]
fn three_files_are_written_whole_and_a_folder_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/report");
    let report = report();
    let files = SystemReportFolder::prepare(&folder).unwrap().write(&report).unwrap();
    let names = files.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
    assert_eq!(names, ["system.md", "system.json", "system.html"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
    let json = fs::read_to_string(folder.join("system.json")).unwrap();
    assert_eq!(json, serde_json::to_string_pretty(&report).unwrap() + "\n");
    let refused = SystemReportFolder::prepare(&folder.join("system.md")).unwrap_err();
    assert!(matches!(refused, OutputError::Folder { .. }), "{refused:?}");
}
