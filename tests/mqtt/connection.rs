//! Brokers that are not there, go away, or let nobody in.

use std::process::Command;

use crate::broker::{Broker, mosquitto};
use crate::camera::Camera;
use crate::subscriber::Subscriber;

#[test]
fn camera_waits_for_its_broker_and_comes_back_to_it() {
    let Some(program) = mosquitto() else { return };
    let mut broker = Broker::prepare(program, "allow_anonymous true\n");
    let mut camera = Camera::run(&[("broker", &broker.address()), ("camera", "one")]);
    let told = camera.says("mqtt: no connection");
    assert!(told.contains("Connection refused") && told.contains("does it run"), "{told}");
    broker.start();
    camera.says("mqtt: connected");
    let subscriber = Subscriber::new(broker.port);
    subscriber.wait_for("qsegment/one/state", "online");
    broker.stop();
    let told = camera.says("mqtt: no connection");
    assert!(told.contains("the broker has closed the connection"), "{told}");
    broker.start();
    // The new broker remembers nothing.
    subscriber.wait_for("homeassistant/sensor/one/vessel_fraction/config", &{
        let config = subscriber.wait("discovery", |heard| {
            (heard.topic == "homeassistant/sensor/one/vessel_fraction/config")
                .then(|| heard.payload.clone())
        });
        broker.stop();
        broker.start();
        String::from_utf8(config).unwrap()
    });
    subscriber.wait_for("qsegment/one/state", "online");
    let health =
        subscriber.wait_document("qsegment/one/health", |health| health["state"] == "live");
    assert_eq!(health["mqtt"]["connections"], 3);
    assert!(health["mqtt"]["failures"].as_u64().unwrap() >= 3, "{health}");
    let dropped = &health["mqtt"]["dropped"]["mqtt_not_connected"];
    assert!(dropped.as_u64().unwrap() > 0, "{health}");
    let said = camera.end();
    let refused = said.iter().filter(|line| line.contains("Connection refused")).count();
    assert!(refused <= 3, "told once until it changes: {said:#?}");
}

#[test]
fn wrong_password_is_told_and_the_right_one_lets_in() {
    let Some(program) = mosquitto() else { return };
    let mut broker = Broker::prepare(program, "");
    let passwords = broker.path("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c", passwords.to_str().unwrap(), "camera", "right"])
        .status();
    assert!(made.unwrap().success());
    let configuration = broker.path("mosquitto.conf");
    let mut text = std::fs::read_to_string(&configuration).unwrap();
    text.push_str(&format!("allow_anonymous false\npassword_file {}\n", passwords.display()));
    std::fs::write(&configuration, text).unwrap();
    broker.start();

    let [wrong, right] = ["wrong", "right"].map(|password| {
        let file = broker.path(password);
        std::fs::write(&file, format!("{password}\n")).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        file.to_str().unwrap().to_owned()
    });
    let address = broker.address();
    let keys = |file| {
        [
            ("broker", address.as_str()),
            ("camera", "one"),
            ("user", "camera"),
            ("password_file", file),
        ]
    };
    let mut camera = Camera::run(&keys(&wrong));
    let told = camera.says("mqtt: no connection");
    assert!(told.contains("mqtt.user and mqtt.password_file"), "{told}");
    assert!(!told.contains("wrong"), "the password is no part of the log: {told}");
    camera.end();
    let subscriber = Subscriber::with_login(broker.port, Some(("camera", "right")));
    let _camera = Camera::run(&keys(&right));
    subscriber.wait_for("qsegment/one/state", "online");
}

#[test]
fn second_camera_of_a_name_is_told() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let address = broker.address();
    let keys = [("broker", address.as_str()), ("camera", "one")];
    let mut first = Camera::run(&keys);
    subscriber.wait_for("qsegment/one/state", "online");
    let _second = Camera::run(&keys);
    let told = first.says("mqtt: no connection");
    assert!(told.contains("another client use the same name (mqtt.camera)"), "{told}");
}
