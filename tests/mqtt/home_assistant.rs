//! Home Assistant finds the camera, also after it has started anew.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::broker::{Broker, mosquitto};
use crate::camera::Camera;
use crate::subscriber::Subscriber;

/// Waits until so many different documents have been announced.
fn announced(subscriber: &Subscriber, documents: usize) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    subscriber.wait("discovery", |heard| {
        if heard.topic.starts_with("homeassistant/") && heard.topic.ends_with("/config") {
            found.insert(heard.topic.clone(), heard.json());
        }
        (found.len() == documents).then_some(())
    });
    found
}

#[test]
fn every_sensor_is_announced_and_again_after_the_birth_message() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let _camera = Camera::run(&[("broker", &broker.address()), ("camera", "one")]);
    // One measure, the power of the model, and five of upkeep.
    let first = announced(&subscriber, 7);
    for (topic, config) in &first {
        assert_eq!(config["availability_topic"], "qsegment/one/state", "{topic}");
        assert_eq!(config["device"]["identifiers"][0], "qsegment_one");
        let id = config["unique_id"].as_str().unwrap();
        assert!(topic.contains("/one/") && id.starts_with("qsegment_one_"), "{topic}: {id}");
        // What the template reads is in the document.
        let document = subscriber
            .wait_document(config["state_topic"].as_str().unwrap(), |document| {
                document["state"] == "live"
            });
        let template = config["value_template"].as_str().unwrap();
        let path = template.split("value_json.").nth(1).unwrap();
        let path = path.split([' ', '}']).next().unwrap();
        let pointer = path.replace("[0]", ".0").replace('.', "/");
        assert!(document.pointer(&format!("/{pointer}")).is_some(), "{pointer} of {document}");
    }
    subscriber.publish("homeassistant/status", "offline");
    subscriber.publish("homeassistant/status", "online");
    assert_eq!(announced(&subscriber, 7), first);
}

#[test]
fn nothing_is_announced_where_it_is_switched_off() {
    let Some(program) = mosquitto() else { return };
    let broker = Broker::open(program);
    let subscriber = Subscriber::new(broker.port);
    let _camera = Camera::run(&[
        ("broker", &broker.address()),
        ("camera", "one"),
        ("discovery_prefix", ""),
        ("topic_prefix", "clinic/eyes"),
    ]);
    let mut online = false;
    subscriber.wait("the third measurement", |heard| {
        assert!(heard.topic.starts_with("clinic/eyes/one/"), "{}", heard.topic);
        online |= heard.is("clinic/eyes/one/state", "online");
        (heard.topic.ends_with("measurements") && heard.json()["number"] == 3).then_some(())
    });
    assert!(online);
}
