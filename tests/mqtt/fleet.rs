//! Fifty cameras at one broker, each a replay with one tensor a second.
//!
//! `QSEGMENT_FLEET_SECONDS=3600 cargo test --release --test mqtt fleet -- --nocapture` goes on for an hour and prints
//! what it took; without the variable it is ten seconds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tempfile::TempDir;

use crate::broker::{Broker, mosquitto};
use crate::camera::{CONFIG, Camera, PROGRAM};
use crate::slow_recording::slow_recording;
use crate::subscriber::{Heard, Subscriber};

const CAMERAS: usize = 50;

#[test]
fn fleet_of_fifty_cameras_is_heard_without_a_gap() {
    let Some(program) = mosquitto() else { return };
    let seconds = std::env::var("QSEGMENT_FLEET_SECONDS").map_or(10, |text| text.parse().unwrap());
    let dir = TempDir::new().unwrap();
    // The first camera starts long before the last, on a machine that is busy.
    let file = slow_recording(dir.path(), seconds + 120);
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let names: Vec<String> = (0..CAMERAS).map(|i| format!("camera-{i:02}")).collect();
    let cameras: Vec<_> = names.iter().map(|name| replay(&file, &broker, name)).collect();

    let mut fleet: BTreeMap<String, Seen> =
        names.iter().map(|name| (name.clone(), Seen::default())).collect();
    let since = Instant::now();
    let cpu_before = cpu_seconds(&broker.process_folder());
    let mut messages = 0_u64;
    while fleet.values().any(|seen| seen.live < u64::from(seconds)) {
        let heard = subscriber.next();
        messages += 1;
        take(&mut fleet, &heard);
    }
    let elapsed = since.elapsed().as_secs_f64();
    let broker_cpu = cpu_seconds(&broker.process_folder()) - cpu_before;
    let broker_kb = kilobytes(&broker.process_folder(), "VmRSS");
    let mut camera_kb: Vec<u64> = cameras
        .iter()
        .map(|camera| kilobytes(&Path::new("/proc").join(camera.process.id().to_string()), "VmRSS"))
        .collect();
    camera_kb.sort_unstable();

    for camera in &cameras {
        camera.signal(rustix::process::Signal::TERM);
    }
    let mut skipped = 0;
    for (name, seen) in &fleet {
        assert!(seen.online && seen.health, "{name}: {seen:?}");
        skipped += seen.skipped;
    }
    let documents: u64 = fleet.values().map(|seen| seen.number).sum();
    eprintln!(
        "{CAMERAS} cameras, {elapsed:.0} s: {documents} measurements without a gap, {skipped} frames not published; \
         {:.0} messages a second; mosquitto {:.1} % of a core, {broker_kb} kB; a camera {} to {} kB, median {} kB",
        messages as f64 / elapsed,
        100.0 * broker_cpu / elapsed,
        camera_kb[0],
        camera_kb[CAMERAS - 1],
        camera_kb[CAMERAS / 2],
    );
    let mut gone = 0;
    while gone < CAMERAS {
        let heard = subscriber.next();
        gone += usize::from(heard.topic.ends_with("/state") && heard.payload == b"offline");
    }
}

/// What was heard of a camera.
#[derive(Debug, Default)]
struct Seen {
    online: bool,
    health: bool,
    /// Of the last measurements.
    number: u64,
    sequence: Option<u64>,
    /// Measurements of live frames.
    live: u64,
    /// Frames between those that were published.
    skipped: u64,
}

fn take(fleet: &mut BTreeMap<String, Seen>, heard: &Heard) {
    let Some(own) = heard.topic.strip_prefix("qsegment/") else { return };
    let (name, document) = own.split_once('/').unwrap();
    let seen = fleet.get_mut(name).unwrap_or_else(|| panic!("{name} is no camera of ours"));
    if document == "state" {
        assert_eq!(heard.payload, b"online", "{name}");
        seen.online = true;
        return;
    }
    let json = heard.json();
    assert_eq!(json["camera"], name);
    if document == "health" {
        assert_eq!(json["ladder"]["camera"], "replay");
        seen.health = true;
        return;
    }
    assert_eq!(json["number"], seen.number + 1, "{name}: a message was lost");
    seen.number += 1;
    if json["state"] == "live" {
        assert!(json["measurements"]["vessel_fraction"]["value"].is_number(), "{json}");
        let sequence = json["sequence"].as_u64().unwrap();
        if let Some(last) = seen.sequence.replace(sequence) {
            assert!(sequence > last, "{name}: {sequence} after {last}");
            seen.skipped += sequence - last - 1;
        }
        seen.live += 1;
    }
}

fn replay(file: &Path, broker: &Broker, name: &str) -> Camera {
    let mut command = Command::new(PROGRAM);
    command.args(["--config", CONFIG, "replay", file.to_str().unwrap(), "--no-web"]);
    command.env("QSEGMENT_MQTT_BROKER", broker.address()).env("QSEGMENT_MQTT_CAMERA", name);
    Camera::start(command)
}

/// Time on a processor so far, in user space and in the kernel.
fn cpu_seconds(process: &Path) -> f64 {
    let stat = fs::read_to_string(process.join("stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), of which two are before the bracket; 100 ticks a second on Linux.
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn kilobytes(process: &Path, field: &str) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
