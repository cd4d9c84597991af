//! What a camera publishes from its start to its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::broker::{Broker, mosquitto};
use crate::camera::{CONFIG, Camera, PROGRAM, daemon};
use crate::subscriber::Subscriber;

const DISCLAIMER: &str = "Research use only. Not a medical device.";

#[test]
fn camera_is_online_with_health_and_measurements_and_says_goodbye() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let camera = Camera::run(&[("broker", &broker.address()), ("camera", "one")]);
    subscriber.wait_for("qsegment/one/state", "online");
    let health =
        subscriber.wait_document("qsegment/one/health", |health| health["state"] == "live");
    assert_eq!((&health["disclaimer"], &health["problem"]), (&DISCLAIMER.into(), &false.into()));
    assert_eq!(
        (&health["camera"], &health["ladder"]["camera"]),
        (&"one".into(), &"simulated".into())
    );
    assert_eq!(health["network"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(health["mqtt"]["connected"], true);

    let (mut live, mut last) = (0, Value::Null);
    while live < 3 {
        let document = subscriber.wait_document("qsegment/one/measurements", |_| true);
        assert_eq!(document["disclaimer"], DISCLAIMER);
        if let Some(number) = last["number"].as_u64() {
            assert_eq!(document["number"], number + 1);
        }
        // On a machine that is busy, a frame is now and then stale.
        if document["state"] == "live" {
            live += 1;
            let fraction = &document["measurements"]["vessel_fraction"];
            assert!((0.0..=1.0).contains(&fraction["value"].as_f64().unwrap()), "{fraction}");
            assert_eq!(fraction["unit"], "1");
            assert_eq!(fraction["quality"], "simulated");
            assert!(document["latency"]["sensor_to_mask"]["value"].as_f64().unwrap() > 0.0);
            assert_eq!(document["power"][0]["scope"], "sensor");
            humantime::parse_rfc3339(document["frame_time"].as_str().unwrap()).unwrap();
        }
        last = document;
    }

    camera.end();
    let ended =
        subscriber.wait_document("qsegment/one/health", |health| health["state"] == "offline");
    assert_eq!((&ended["problem"], &ended["recent"]), (&true.into(), &Value::Null));
    subscriber.wait_for("qsegment/one/state", "offline");

    // Who comes later sees the state, and no number that is not true any more.
    let later = Subscriber::new(broker.port);
    later.publish("end", "of what is retained");
    let mut retained = Vec::new();
    loop {
        let heard = later.next();
        if heard.topic == "end" {
            break;
        }
        assert!(heard.retained, "{}", heard.topic);
        retained.push(heard);
    }
    assert!(retained.iter().any(|heard| heard.is("qsegment/one/state", "offline")));
    assert!(retained.iter().any(|heard| heard.topic == "qsegment/one/health"));
    assert!(retained.iter().all(|heard| heard.topic != "qsegment/one/measurements"));
}

#[test]
fn killed_camera_is_offline_by_its_last_will() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let camera = Camera::run(&[("broker", &broker.address()), ("camera", "one")]);
    subscriber.wait_for("qsegment/one/state", "online");
    camera.signal(Signal::KILL);
    subscriber.wait_for("qsegment/one/state", "offline");
}

/// The simulated sensor sends nothing for a while.
#[test]
fn numbers_are_null_while_nothing_comes() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let mut command = daemon(&[("broker", &broker.address()), ("camera", "one")]);
    command.args(["--fault", "stalled-source:60-60"]);
    let _camera = Camera::start(command);
    let measurements = "qsegment/one/measurements";
    subscriber.wait_document(measurements, |document| document["state"] == "live");
    let stale = subscriber.wait_document(measurements, |document| document["state"] == "stale");
    assert_eq!(stale["measurements"]["vessel_fraction"]["value"], Value::Null);
    assert_eq!(stale["sequence"], Value::Null);
    subscriber.wait_document(measurements, |document| document["state"] == "live");
}

#[test]
fn status_of_the_page_tells_where_the_connection_stands() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let mut command = Command::new(PROGRAM);
    command.args(["--config", CONFIG, "run", "--listen", "127.0.0.1:0", "--input-size", "64x64"]);
    command.env("QSEGMENT_SOURCE_KIND", "simulated").env("QSEGMENT_MQTT_CAMERA", "one");
    command.env("QSEGMENT_MQTT_BROKER", broker.address());
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
    let address = address.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
    subscriber.wait_for("qsegment/one/state", "online");
    let mut socket = TcpStream::connect(&address).unwrap();
    write!(socket, "GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(status["mqtt"]["connected"], true);
    assert_eq!(status["mqtt"]["camera"], "one");
}
