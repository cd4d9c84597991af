//! What is said of a network before the converter runs, against what the converter then said.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[allow(dead_code, reason = "other tests use more of it")]
mod mctq_file;

use mctq_file::{MctqFile, int};
use prost::Message;
use qsegment::emulator::onnx::{ModelProto, NodeProto};
use qsegment::emulator::preflight::{AVAILABLE_BYTES, Answer, BAND_PERMILLE, Options, Preflight};
use qsegment::emulator::survey::{Kind, Survey};

const SHIPPED: &[u8] = include_bytes!("fixtures/qsegment-320.onnx");
const QDQ: &[u8] = include_bytes!("fixtures/qsegment-320.qdq.onnx");
const PERSISTENT: Options = Options { input_persistency: true };
const NOT_PERSISTENT: Options = Options { input_persistency: false };

/// The shipped network, changed.
fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(SHIPPED).unwrap();
    change(&mut model);
    model.encode_to_vec()
}

/// At another input size; its parameters do not depend on it.
fn resized(width: i64, height: i64) -> Vec<u8> {
    changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
        for info in infos {
            let shape = info.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut();
            // Weights have four axes too, but a window of at most 3 pixels.
            if let [_, _, rows, columns] = shape.unwrap().dim.as_mut_slice()
                && rows.dim_value > 3
            {
                rows.dim_value = rows.dim_value * height / 320;
                columns.dim_value = columns.dim_value * width / 320;
            }
        }
    })
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().unwrap().node
}

fn first<'a>(model: &'a mut ModelProto, operator: &str) -> &'a mut NodeProto {
    nodes(model).iter_mut().find(|node| node.op_type == operator).unwrap()
}

fn assert_reason(file: &[u8], answer: Answer, words: &str) {
    let preflight = Preflight::new(file, PERSISTENT).unwrap();
    let found = preflight.reasons.iter().any(|r| r.answer == answer && r.text.contains(words));
    assert!(found && preflight.answer >= answer, "{words}: {:#?}", preflight.reasons);
}

/// Nothing states the shapes in between.
#[test]
fn shapes_follow_through_squeeze_and_excitation_and_concatenation() {
    let (mut file, input) = MctqFile::new(2, 4, 4, false);
    let mean = file.node("GlobalAveragePool", &[&input], vec![]);
    let mean = file.quantise(&mean, 1.0, false);
    let scaled = file.node("Mul", &[&mean, &input], vec![]);
    let scaled = file.quantise(&scaled, 1.0, false);
    let joined = file.node("Concat", &[&scaled, &input], vec![int("axis", 1)]);
    let output = file.quantise(&joined, 1.0, false);
    let live = Survey::new(&file.finish(&output)).unwrap().live.unwrap();
    let shapes: Vec<&[u64]> = live.largest.iter().map(|(_, shape, _)| shape.as_slice()).collect();
    assert!(shapes.contains(&&[1, 4, 4, 4][..]), "{shapes:?}");
}

/// Bytes of tensors that imx500-converter 3.19.2 reported; packaging/memory.md has the command. At small
/// sizes a fixed part shows that the rule leaves out, and nothing is at stake.
#[test]
fn the_estimate_is_within_its_band_of_what_the_converter_reported() {
    for (width, height, options, runtime) in [
        (192, 192, PERSISTENT, 2_487_296_u64),
        (256, 256, PERSISTENT, 4_412_416),
        (256, 256, NOT_PERSISTENT, 4_210_816),
        (288, 288, PERSISTENT, 5_580_800),
        (320, 240, PERSISTENT, 5_168_128),
        (320, 320, PERSISTENT, 6_886_400),
        (320, 320, NOT_PERSISTENT, 6_574_208),
        (336, 336, PERSISTENT, 7_756_288),
        (352, 352, NOT_PERSISTENT, 7_952_512),
        (416, 256, PERSISTENT, 7_161_856),
    ] {
        let preflight = Preflight::new(&resized(width, height), options).unwrap();
        let memory = preflight.memory.unwrap();
        let error = memory.runtime_bytes.abs_diff(runtime);
        assert!(error * 1000 <= runtime * BAND_PERMILLE, "{width}x{height}: {memory:?}");
        assert_ne!(preflight.answer, Answer::No, "{width}x{height}: the converter took it");
    }
}

#[test]
fn what_the_converter_refused_for_its_size_is_no_or_doubtful() {
    for (side, options, wanted) in [
        (352, PERSISTENT, Answer::Doubtful), // 102 % of the memory by the converter's report
        (384, PERSISTENT, Answer::No),       // 120 %
        (400, NOT_PERSISTENT, Answer::No),   // 127 %
    ] {
        let preflight = Preflight::new(&resized(side, side), options).unwrap();
        assert_eq!(preflight.answer, wanted, "{side}: {:?}", preflight.reasons);
    }
}

#[test]
fn the_shipped_network_is_taken() {
    let preflight = Preflight::new(SHIPPED, PERSISTENT).unwrap();
    assert_eq!((preflight.answer, preflight.reasons.as_slice()), (Answer::Yes, &[][..]));
    assert_eq!(preflight.lines, Some([121, 41]));
    let survey = Survey::new(SHIPPED).unwrap();
    assert_eq!((survey.kind, survey.parameters), (Kind::Mctq, 104_849));
    assert_eq!(survey.macs, Some(10_123 * 320 * 320));
}

#[test]
fn a_network_that_is_too_large_is_told_by_how_much_and_what_to_change() {
    let preflight = Preflight::new(&resized(400, 400), PERSISTENT).unwrap();
    let text = &preflight.reasons[0].text;
    assert!(text.contains("bytes (129 %), 2479332 too many"), "{text}");
    assert!(text.contains("an input of 344x344 would fit"), "{text}");
    assert!(text.contains("--no-input-persistency saves 480000 bytes"), "{text}");
    assert!(text.contains("a skip that is dropped, or a stem with a stride of 2"), "{text}");
    // What is advised is then taken.
    let memory = Preflight::new(&resized(344, 344), PERSISTENT).unwrap().memory.unwrap();
    assert!(memory.total_bytes < AVAILABLE_BYTES);
}

#[test]
fn each_reason_names_what_is_wrong() {
    assert_reason(QDQ, Answer::No, "quantisation: got a QDQ file");
    assert_reason(QDQ, Answer::No, "producer: got \"qsegment_model\"");
    let float = changed(|model| nodes(model).retain(|node| node.domain.is_empty()));
    assert_reason(&float, Answer::No, "quantisation: got a float network");
    let unknown = changed(|model| first(model, "Relu").op_type = "Softplus".to_owned());
    assert_reason(
        &unknown,
        Answer::No,
        "operator Softplus (node \"/Relu\"): the converter does not know it",
    );
    let unpool = changed(|model| first(model, "Resize").op_type = "MaxUnpool".to_owned());
    assert_reason(&unpool, Answer::No, "use a nearest-neighbour Resize in its place");
    let wide = resized(1344, 320);
    assert_reason(&wide, Answer::No, "input size: got 1344x320, want at most 1280x960");
    let large = resized(720, 720);
    assert_reason(
        &large,
        Answer::Doubtful,
        "input size: got 720x720; no network larger than 640x640",
    );
    let dims = |model: &mut ModelProto, axis: usize, size: i64| {
        let input = &mut model.graph.as_mut().unwrap().input[0];
        let shape = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap().shape.as_mut();
        shape.unwrap().dim[axis].dim_value = size;
    };
    assert_reason(&changed(|model| dims(model, 0, 4)), Answer::No, "input batch: got 4, want 1");
    assert_reason(&changed(|model| dims(model, 1, 1)), Answer::No, "input channels: got 1, want 3");
    assert_reason(&changed(|model| dims(model, 2, 0)), Answer::No, "got shape 1 x 3 x ? x 320");
    // The head's quantiser is the last of them.
    let unsigned = changed(|model| {
        let quantisers = nodes(model).iter_mut().rev();
        let mut quantisers = quantisers.filter(|node| node.op_type == "ActivationPOTQuantizer");
        let attributes = &mut quantisers.next().unwrap().attribute;
        attributes.iter_mut().find(|attribute| attribute.name == "signed").unwrap().i = 0;
    });
    assert_reason(&unsigned, Answer::Doubtful, "calibration has seen no negative result");
    let shapeless = changed(|model| model.graph.as_mut().unwrap().value_info.clear());
    assert_reason(&shapeless, Answer::Doubtful, "memory: cannot be estimated");
}

#[test]
fn every_truncation_is_an_error_and_no_damage_panics() {
    for len in (0..SHIPPED.len()).step_by(997) {
        assert!(Preflight::new(&SHIPPED[..len], PERSISTENT).is_err(), "len {len}");
    }
    for at in (0..SHIPPED.len()).step_by(499) {
        let mut file = SHIPPED.to_vec();
        file[at] ^= 0xff;
        // What it says does not matter, as long as it says something.
        let _said = Preflight::new(&file, NOT_PERSISTENT).is_ok();
    }
}
