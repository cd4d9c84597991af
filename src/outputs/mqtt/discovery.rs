//! What Home Assistant has to know to show a camera: one retained document a sensor, on a topic of its own.
//!
//! ```text
//!   connected ----------------------------> all documents
//!   homeassistant/status: online --delay--> all documents again: it may have forgotten them
//! ```
//!
//! The delay is the camera's own, so that a Home Assistant that has just started is not met by fifty at once. The
//! form with a topic for each sensor is understood by every version since 2023.

use std::time::Duration;

use serde::Serialize;

use super::documents::State;
use super::measure::{MEASURES, OF_VESSELS, Shown};
use super::topics::{CameraName, Topics};
use crate::outputs::DISCLAIMER;
use crate::outputs::figures::Facts;
use crate::pipeline::Snapshot;

/// A retained message.
#[derive(Debug)]
pub(super) struct Announcement {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// All sensors of a camera, those of its vessels where it `measures`; nothing where Home Assistant is not served.
pub(super) fn announcements(
    topics: &Topics,
    camera: &CameraName,
    facts: &Facts,
    snapshot: &Snapshot,
    measures: bool,
) -> Vec<Announcement> {
    let device = Device {
        identifiers: [format!("qsegment_{camera}")],
        name: camera.as_str(),
        manufacturer: "qsegment",
        model: format!("Vessel camera ({}). {DISCLAIMER}", facts.ladder.camera),
        sw_version: &facts.version,
    };
    let announce = |entity: Entity| {
        let topic = topics.discovery(entity.kind, &entity.object)?;
        let config = Config {
            unique_id: format!("qsegment_{camera}_{}", entity.object),
            name: entity.name,
            state_topic: match entity.document {
                Document::Health => topics.health(),
                Document::Measurements => topics.measurements(),
            },
            value_template: entity.template,
            look: entity.look,
            availability_topic: topics.state(),
            device: &device,
            origin: Origin { name: "qsegment", sw_version: &facts.version },
        };
        let payload = serde_json::to_vec(&config).expect("keys are strings");
        Some(Announcement { topic, payload })
    };
    entities(snapshot, measures).into_iter().filter_map(announce).collect()
}

/// How long a camera waits after Home Assistant has said that it has started.
pub(super) fn delay(camera: &CameraName) -> Duration {
    camera.share_of(LONGEST_DELAY, 0)
}

/// Time over which the cameras of a broker are spread.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

struct Entity {
    kind: &'static str,
    object: String,
    name: String,
    document: Document,
    template: String,
    look: Look,
}

enum Document {
    Health,
    Measurements,
}

/// What only some sensors have.
#[derive(Debug, Default, Serialize)]
struct Look {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_of_measurement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suggested_display_precision: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'static [&'static str]>,
}

fn entities(snapshot: &Snapshot, measures: bool) -> Vec<Entity> {
    let of_every_frame = MEASURES.iter().map(|measure| (measure.name, &measure.shown));
    let of_judged_frames =
        OF_VESSELS.iter().filter(|_| measures).map(|measure| (measure.name, &measure.shown));
    let measured = of_every_frame.chain(of_judged_frames).map(|(name, shown): (_, &Shown)| {
        let path = format!("value_json.measurements.{name}.value");
        Entity {
            kind: "sensor",
            object: name.to_owned(),
            name: shown.name.to_owned(),
            document: Document::Measurements,
            // What is null becomes None, which Home Assistant shows as unknown.
            template: format!(
                "{{{{ {path} * {} if {path} is not none else None }}}}",
                shown.factor
            ),
            look: Look {
                unit_of_measurement: Some(shown.unit),
                state_class: Some("measurement"),
                suggested_display_precision: Some(shown.decimals),
                icon: Some(shown.icon),
                ..Look::default()
            },
        }
    });
    let powers = snapshot.power.iter().enumerate().map(|(index, metered)| {
        let (scope, source) = (metered.info.scope.name(), metered.info.source.name());
        Entity {
            kind: "sensor",
            object: format!("power_{scope}_{source}"),
            name: format!("Power of the {scope} ({source})"),
            document: Document::Measurements,
            template: format!("{{{{ value_json.power[{index}].power.value }}}}"),
            look: Look {
                unit_of_measurement: Some("W"),
                device_class: Some("power"),
                state_class: Some("measurement"),
                suggested_display_precision: Some(3),
                ..Look::default()
            },
        }
    });
    measured.chain(measures.then(grade)).chain(powers).chain(upkeep()).collect()
}

/// Whether what is seen is worth measuring.
fn grade() -> Entity {
    Entity {
        kind: "sensor",
        object: "grade".to_owned(),
        name: "Picture quality".to_owned(),
        document: Document::Measurements,
        template: "{{ value_json.measured.grade if value_json.measured is not none else None }}"
            .to_owned(),
        look: Look {
            device_class: Some("enum"),
            options: Some(&["good", "usable", "reject"]),
            icon: Some("mdi:image-check"),
            ..Look::default()
        },
    }
}

/// What tells how the camera is, and nothing of what it sees.
fn upkeep() -> [Entity; 5] {
    let diagnostic = Look { entity_category: Some("diagnostic"), ..Look::default() };
    let number = |unit, class, decimals| Look {
        unit_of_measurement: Some(unit),
        device_class: class,
        state_class: Some("measurement"),
        suggested_display_precision: Some(decimals),
        entity_category: Some("diagnostic"),
        ..Look::default()
    };
    let entity = |kind, object: &str, name: &str, document, template: &str, look| Entity {
        kind,
        object: object.to_owned(),
        name: name.to_owned(),
        document,
        template: template.to_owned(),
        look,
    };
    [
        entity(
            "sensor",
            "latency",
            "Latency, sensor to mask",
            Document::Measurements,
            "{{ value_json.latency.sensor_to_mask.value }}",
            number("ms", Some("duration"), 0),
        ),
        entity(
            "sensor",
            "tensor_rate",
            "Tensor rate",
            Document::Health,
            "{{ value_json.recent.tensors_per_s if value_json.recent is not none else None }}",
            number("1/s", None, 1),
        ),
        entity(
            "sensor",
            "temperature",
            "Sensor temperature",
            Document::Health,
            "{{ value_json.sensor.temperature_celsius if value_json.sensor is not none else None }}",
            number("°C", Some("temperature"), 0),
        ),
        entity(
            "sensor",
            "state",
            "State",
            Document::Health,
            "{{ value_json.state }}",
            Look { device_class: Some("enum"), options: Some(&State::NAMES), ..diagnostic },
        ),
        entity(
            "binary_sensor",
            "problem",
            "Problem",
            Document::Health,
            "{{ 'ON' if value_json.problem else 'OFF' }}",
            Look {
                device_class: Some("problem"),
                entity_category: Some("diagnostic"),
                ..Look::default()
            },
        ),
    ]
}

/// As Home Assistant wants it. Its payloads of availability are `online` and `offline` unless told otherwise.
#[derive(Debug, Serialize)]
struct Config<'a> {
    name: String,
    unique_id: String,
    state_topic: String,
    value_template: String,
    #[serde(flatten)]
    look: Look,
    availability_topic: String,
    device: &'a Device<'a>,
    origin: Origin<'a>,
}

#[derive(Debug, Serialize)]
struct Device<'a> {
    identifiers: [String; 1],
    name: &'a str,
    manufacturer: &'static str,
    model: String,
    sw_version: &'a str,
}

#[derive(Debug, Serialize)]
struct Origin<'a> {
    name: &'static str,
    sw_version: &'a str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::sample::{facts, snapshot};
    use super::*;

    fn announced(discovery: Option<&str>, measures: bool) -> Vec<(String, Value)> {
        let camera: CameraName = "theatre-2".parse().unwrap();
        let discovery = discovery.map(|prefix| prefix.parse().unwrap());
        let topics = Topics::new(&"qsegment".parse().unwrap(), &camera, discovery.as_ref());
        announcements(&topics, &camera, &facts(), &snapshot(), measures)
            .into_iter()
            .map(|one| (one.topic, serde_json::from_slice(&one.payload).unwrap()))
            .collect()
    }

    fn find(topic: &str) -> Value {
        let all = announced(Some("homeassistant"), true);
        all.into_iter().find(|(found, _)| found == topic).unwrap().1
    }

    fn device() -> Value {
        json!({
            "identifiers": ["qsegment_theatre-2"],
            "name": "theatre-2",
            "manufacturer": "qsegment",
            "model": "Vessel camera (imx500). Research use only. Not a medical device.",
            "sw_version": "0.1.0",
        })
    }

    #[test]
    fn vessel_fraction_is_a_percentage() {
        assert_eq!(
            find("homeassistant/sensor/theatre-2/vessel_fraction/config"),
            json!({
                "name": "Vessel fraction",
                "unique_id": "qsegment_theatre-2_vessel_fraction",
                "state_topic": "qsegment/theatre-2/measurements",
                "value_template": "{{ value_json.measurements.vessel_fraction.value * 100 if \
                    value_json.measurements.vessel_fraction.value is not none else None }}",
                "unit_of_measurement": "%",
                "state_class": "measurement",
                "suggested_display_precision": 2,
                "icon": "mdi:source-branch",
                "availability_topic": "qsegment/theatre-2/state",
                "device": device(),
                "origin": { "name": "qsegment", "sw_version": "0.1.0" },
            })
        );
    }

    #[test]
    fn grade_is_one_of_three_words() {
        let config = find("homeassistant/sensor/theatre-2/grade/config");
        assert_eq!(config["options"], json!(["good", "usable", "reject"]));
        assert_eq!(config["device_class"], "enum");
        assert_eq!(config["state_topic"], "qsegment/theatre-2/measurements");
    }

    #[test]
    fn power_has_a_sensor_an_instrument() {
        assert_eq!(
            find("homeassistant/sensor/theatre-2/power_sensor_hwmon/config"),
            json!({
                "name": "Power of the sensor (hwmon)",
                "unique_id": "qsegment_theatre-2_power_sensor_hwmon",
                "state_topic": "qsegment/theatre-2/measurements",
                "value_template": "{{ value_json.power[0].power.value }}",
                "unit_of_measurement": "W",
                "device_class": "power",
                "state_class": "measurement",
                "suggested_display_precision": 3,
                "availability_topic": "qsegment/theatre-2/state",
                "device": device(),
                "origin": { "name": "qsegment", "sw_version": "0.1.0" },
            })
        );
    }

    #[test]
    fn problem_is_on_when_somebody_should_look() {
        assert_eq!(
            find("homeassistant/binary_sensor/theatre-2/problem/config"),
            json!({
                "name": "Problem",
                "unique_id": "qsegment_theatre-2_problem",
                "state_topic": "qsegment/theatre-2/health",
                "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
                "device_class": "problem",
                "entity_category": "diagnostic",
                "availability_topic": "qsegment/theatre-2/state",
                "device": device(),
                "origin": { "name": "qsegment", "sw_version": "0.1.0" },
            })
        );
    }

    #[test]
    fn every_sensor_has_a_topic_and_an_id_of_its_own() {
        let without = announced(Some("homeassistant"), false);
        assert_eq!(without.len(), MEASURES.len() + 6);
        let all = announced(Some("homeassistant"), true);
        assert_eq!(all.len(), without.len() + OF_VESSELS.len() + 1);
        let topics: BTreeSet<_> = all.iter().map(|(topic, _)| topic).collect();
        let ids: BTreeSet<_> = all.iter().map(|(_, config)| config["unique_id"].as_str()).collect();
        assert_eq!((topics.len(), ids.len()), (all.len(), all.len()));
    }

    #[test]
    fn nothing_is_announced_where_home_assistant_is_not_served() {
        assert!(announced(None, true).is_empty());
    }
}
