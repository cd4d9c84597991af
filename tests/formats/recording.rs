//! The messages of a recording, against bytes and keys written by hand.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use qsegment::formats::embedded::LinePacking;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::recording::{
    Channel, Encoding, FrameMessage, LatencyMessage, MaskMessage, MeasurementMessage,
    PictureMessage, PowerMessage, RecordedInference, ResultMessage, RunFacts, TimeMessage,
    VesselsMessage, WindowMessage,
};
use serde_json::Value;

const FRAME: [u8; 46] = [
    0x08, 0xac, 0x02, // 1 sequence: 300
    0x10, 0xe7, 0x13, // 2 embedded_line_len_bytes: 2535
    0x18, 0x07, // 3 frame_start_ns: 7
    0x20, 0x09, // 4 tensor_at_host_ns: 9
    0x2a, 0x02, 0x0a, 0xaa, // 5 metadata: two bytes
    0x32, 0x11, // 6 picture: 17 bytes
    0x0a, 0x03, 0x01, 0x02, 0x03, // 1 bytes
    0x10, 0x04, // 2 width
    0x18, 0x02, // 3 height
    0x20, 0x05, // 4 stride_bytes
    0x2a, 0x04, b'R', b'G', b'G', b'B', // 5 order
    0x3a, 0x0b, // 7 window: 11 bytes
    0x08, 0xfc, 0x03, // 1 left: 508
    0x10, 0x02, // 2 top
    0x18, 0xe0, 0x17, // 3 width: 3040
    0x20, 0xe0, 0x17, // 4 height
];

fn frame() -> FrameMessage {
    FrameMessage {
        sequence: 300,
        embedded_line_len_bytes: 2535,
        frame_start_ns: 7,
        tensor_at_host_ns: 9,
        metadata: vec![0x0a, 0xaa],
        picture: Some(PictureMessage {
            bytes: vec![1, 2, 3],
            width: 4,
            height: 2,
            stride_bytes: 5,
            order: "RGGB".to_owned(),
        }),
        window: Some(WindowMessage { left: 508, top: 2, width: 3040, height: 3040 }),
    }
}

#[test]
fn buffer_is_written_and_read_as_documented() {
    assert_eq!(frame().encode_to_vec(), FRAME);
    assert_eq!(FrameMessage::decode(&FRAME[..]).unwrap(), frame());
}

#[test]
fn truncated_buffer_is_never_read_as_a_whole_one() {
    for len in 0..FRAME.len() {
        assert_ne!(FrameMessage::decode(&FRAME[..len]).ok(), Some(frame()), "len {len}");
    }
}

#[test]
fn mask_is_the_image_that_viewers_know() {
    let mask = MaskMessage {
        timestamp: Some(TimeMessage { seconds: 1, nanos: 2 }),
        width: 2,
        height: 1,
        encoding: "mono8".to_owned(),
        step: 2,
        data: vec![0, 255],
    };
    let want = [
        0x0a, 0x04, 0x08, 0x01, 0x10, 0x02, // 1 timestamp: seconds, nanos
        0x15, 2, 0, 0, 0, // 2 width, fixed32
        0x1d, 1, 0, 0, 0, // 3 height, fixed32
        0x22, 5, b'm', b'o', b'n', b'o', b'8', // 4 encoding
        0x2d, 2, 0, 0, 0, // 5 step, fixed32
        0x32, 2, 0, 255, // 6 data
    ];
    assert_eq!(mask.encode_to_vec(), want);
}

#[test]
fn every_key_of_a_json_message_is_in_its_schema_and_no_other() {
    let result = ResultMessage {
        sequence: 1,
        frame_count: 1,
        lag_frames: 2,
        vessel_fraction: 0.1,
        exposure_ms: Some(1.0),
        analogue_gain: None,
        temperature_celsius: Some(40),
    };
    let latency = LatencyMessage {
        sequence: 1,
        frame_start_ns: 1,
        tensor_at_host_ns: 2,
        received_ns: 3,
        mask_ready_ns: 4,
        sensor_to_tensor_ms: 1.0,
        network_run_time_ms: None,
        dsp_run_time_ms: None,
        tensor_to_mask_ms: 1.0,
        sensor_to_mask_ms: 2.0,
    };
    let power = PowerMessage {
        instrument: "ina226 1-0040".to_owned(),
        scope: "sensor".to_owned(),
        source: "hwmon".to_owned(),
        quality: "measured".to_owned(),
        watts: 0.3,
        uncertainty_watts: 0.01,
    };
    let measurement = MeasurementMessage {
        name: "density".to_owned(),
        unit: "1".to_owned(),
        value: Some(0.1),
        uncertainty: None,
    };
    let written = serde_json::to_value(&measurement).unwrap();
    let vessels = VesselsMessage {
        sequence: 1,
        grade: "usable".to_owned(),
        failed: Some("focus".to_owned()),
        advice: Some("refocus".to_owned()),
        stable_frames: 5,
        pixel_size_um: None,
        measurements: vec![measurement],
    };
    let keys = |object: &Value| -> BTreeSet<String> {
        object.as_object().unwrap().keys().cloned().collect()
    };
    for (channel, message) in [
        (Channel::Result, serde_json::to_value(result).unwrap()),
        (Channel::Latency, serde_json::to_value(latency).unwrap()),
        (Channel::Power, serde_json::to_value(power).unwrap()),
        (Channel::Vessels, serde_json::to_value(vessels).unwrap()),
    ] {
        assert_eq!(channel.encoding(), Encoding::Json);
        let schema: Value = serde_json::from_slice(&channel.schema()).unwrap();
        assert_eq!(schema["type"], "object");
        assert_eq!(keys(&schema["properties"]), keys(&message), "{}", channel.topic());
    }
    let schema: Value = serde_json::from_slice(&Channel::Vessels.schema()).unwrap();
    let items = &schema["properties"]["measurements"]["items"];
    assert_eq!(keys(&items["properties"]), keys(&written));
}

fn facts() -> RunFacts {
    RunFacts {
        qsegment: "0.1.0".to_owned(),
        started_ns: 1_764_145_800_000_000_000,
        network: "fast".to_owned(),
        network_sha256: "ab".to_owned(),
        network_parameters: Some(10),
        network_macs: None,
        inference: RecordedInference::HostOnTensors,
        host_input: Some([416, 320]),
        source: "imx500".to_owned(),
        quality: "measured".to_owned(),
        frame_interval_ns: 33_309_846,
        packing: LinePacking::Pi4,
        mode: "2028x1520".to_owned(),
        colour_order: ColourOrder::Bgr,
        inference_window: [508, 0, 3040, 3040],
        flips: [true, false],
        threshold: 128,
        stale_after_ms: 500,
        stall_after_ms: 1000,
        raw_pictures: true,
        scene: None,
        seed: None,
    }
}

fn map() -> BTreeMap<String, String> {
    [
        ("format", "1"),
        ("qsegment", "0.1.0"),
        ("started_ns", "1764145800000000000"),
        ("network", "fast"),
        ("network_sha256", "ab"),
        ("network_parameters", "10"),
        ("inference", "host-tensors"),
        ("host_input", "416,320"),
        ("source", "imx500"),
        ("quality", "measured"),
        ("frame_interval_ns", "33309846"),
        ("packing", "pi4"),
        ("mode", "2028x1520"),
        ("colour_order", "bgr"),
        ("inference_window", "508,0,3040,3040"),
        ("flips", "true,false"),
        ("threshold", "128"),
        ("stale_after_ms", "500"),
        ("stall_after_ms", "1000"),
        ("raw_pictures", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[test]
fn facts_are_keys_and_values_that_a_person_can_read() {
    assert_eq!(facts().to_map(), map());
    assert_eq!(RunFacts::from_map(&map()), Ok(facts()));
}

#[test]
fn refuses_facts_by_key_with_what_was_found_and_wanted() {
    let optional = ["network_parameters", "host_input"];
    for key in map().keys().filter(|key| !optional.contains(&key.as_str())) {
        let mut map = map();
        map.remove(key);
        let said = RunFacts::from_map(&map).unwrap_err().to_string();
        assert!(said.contains(key.as_str()), "{said}");
    }
    for (key, value, want) in [
        ("threshold", "256", "a whole number"),
        ("flips", "true", "true or false, twice"),
        ("inference", "cloud", "sensor, host-tensors or host-pictures"),
        ("host_input", "416x320", "width and height"),
        ("format", "2", "replay it with the program that wrote it"),
    ] {
        let mut map = map();
        map.insert(key.to_owned(), value.to_owned());
        let said = RunFacts::from_map(&map).unwrap_err().to_string();
        assert!(said.contains(value) && said.contains(want), "{said}");
    }
}
