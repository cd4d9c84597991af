//! A network on the host says of what it is shown what the emulator says of it, to the bit, and the newest
//! frame wins.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crate::buffers::{EMBEDDED_LINE_LEN_BYTES, KPI, READ_OUT, STATE, Sensor, info, start_of};
use qsegment::emulator::{Engine, Network};
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::DnnLinesLayout;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::formats::tensor::{Dimension, QuantParams};
use qsegment::pipeline::decode::{Damage, Decoded, Decoder};
use qsegment::pipeline::host::{Host, Inference, Sees, Unfit};
use qsegment::pipeline::vessels::{probabilities, vessel_fraction};
use qsegment::pipeline::{Counters, Options, Pipeline, ShownPicture};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::picture::{Darkroom, Development};
use qsegment::source::simulated::isp::{Encoding, Gains, InferenceWindow, Isp};
use qsegment::source::simulated::picture::Picture;
use qsegment::source::{
    BayerOrder, FrameSource, Next, RawFrame, RawPicture, SourceError, SourceInfo,
};

const PAIRED: Decoded = Decoded { paired: true, damage: None };
const SIDE: u16 = 32;
const PIXELS: usize = 32 * 32;

/// A network, small enough to be run often.
fn network() -> Network {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qsegment-320.onnx");
    let network = Network::load(&std::fs::read(path).unwrap()).unwrap();
    network.with_input_size(SIDE.into(), SIDE.into()).unwrap()
}

const WINDOW: InferenceWindow = InferenceWindow { left: 1014, top: 760, width: 2028, height: 1520 };

fn options(sees: Sees) -> Options {
    Options {
        inference: Inference::Host(Host::new(network(), sees).unwrap()),
        darkroom: Darkroom::new(WINDOW, Development::default()),
        ..Options::default()
    }
}

fn decoder(options: &Options) -> Decoder {
    Decoder::new(options, &info())
}

/// What the emulator says of an input as the network stores it.
fn said_of(input: &[u8]) -> Vec<u8> {
    let network = network();
    let output = network.output();
    let mut said = vec![0; output.len_bytes()];
    Engine::new(&network).run(input, &mut said);
    let quant = QuantParams { scale: output.scale, zero_point: 0, signed: output.signed };
    let table = probabilities(quant);
    said.iter().map(|&byte| table[usize::from(byte)]).collect()
}

/// A network for the sake of its input tensor: ten bytes come out of it that say nothing.
fn only_input(signed: bool) -> ApParams {
    let mut params = Sensor::new(SIDE, SIDE).ap_params;
    let network = &mut params.networks[0];
    network.inputs[0].quant.signed = signed;
    network.outputs[0].dimensions =
        vec![Dimension { ordinal: 0, size: 10, serialization_index: 0, padding: 0 }];
    params
}

/// Three planes that change from place to place and from frame to frame, as an unsigned tensor has them.
fn planes(frame: u64) -> [Vec<u8>; 3] {
    [3, 5, 11].map(|step: u64| {
        let pixels = 0..PIXELS as u64;
        pixels.map(|at| (at * step + at / 32 * 7 + frame * 29).to_le_bytes()[0]).collect()
    })
}

/// Buffer `sequence` with this input tensor.
fn buffer(sequence: u64, params: &ApParams, input: &[u8], input_valid: bool) -> RawFrame {
    let layout = DnnLinesLayout {
        kpi: KPI,
        frame_count: sequence.to_le_bytes()[0],
        input_valid,
        output_valid: true,
        network_id: 0,
        ap_params: &params.emit(),
        input,
        outputs: &[&[0xa5; 10]],
    };
    let mut metadata = Vec::new();
    STATE.emit(EMBEDDED_LINE_LEN_BYTES, &mut metadata);
    layout.append(&mut metadata);
    RawFrame { metadata, ..without_dnn_lines(sequence) }
}

fn without_dnn_lines(sequence: u64) -> RawFrame {
    let mut metadata = Vec::new();
    STATE.emit(EMBEDDED_LINE_LEN_BYTES, &mut metadata);
    RawFrame {
        sequence,
        metadata,
        embedded_line_len_bytes: EMBEDDED_LINE_LEN_BYTES,
        frame_start: start_of(sequence),
        tensor_at_host: start_of(sequence).plus(READ_OUT),
        picture: RawPicture::default(),
        window: None,
    }
}

/// The network's input is signed or not; what a tensor of the other kind has to become.
fn as_stored(planar: &[u8], signed: bool) -> Vec<u8> {
    let flip = if network().input().signed == signed { 0 } else { 0x80 };
    planar.iter().map(|byte| byte ^ flip).collect()
}

#[test]
fn input_tensor_gives_what_the_emulator_says_of_it() {
    for signed in [false, true] {
        let mut decoder = decoder(&options(Sees::InputTensor));
        let mut counters = Counters::default();
        for sequence in 0..3 {
            let planar = planes(sequence).concat();
            let buffer = buffer(sequence, &only_input(signed), &planar, true);
            assert_eq!(decoder.decode(&buffer, &mut counters), PAIRED);
            let frame = decoder.frame();
            assert!(
                frame.probability == said_of(&as_stored(&planar, signed)),
                "{sequence} {signed}"
            );
            assert_eq!((frame.mask_width, frame.mask_height), (32, 32));
            assert_eq!(frame.vessel_fraction, vessel_fraction(&frame.probability, 128));
            let pixel = if signed { planar[0] ^ 0x80 } else { planar[0] };
            assert_eq!((frame.width, frame.height, frame.rgb[0]), (32, 32, pixel));
            assert_eq!((frame.sequence, frame.lag_frames), (sequence, 0));
            assert_eq!((frame.kpi, frame.sensor), (None, STATE), "no run time of another network");
            assert_eq!(frame.stamps.frame_start, start_of(sequence));
        }
        assert_eq!(counters, Counters { inputs: 3, outputs: 3, ..Counters::default() });
    }
}

#[test]
fn tensor_with_blue_first_is_put_in_order() {
    let [red, green, blue] = planes(7);
    let options = Options { colour_order: ColourOrder::Bgr, ..options(Sees::InputTensor) };
    let mut decoder = decoder(&options);
    let tensor = [blue.clone(), green.clone(), red.clone()].concat();
    let buffer = buffer(0, &only_input(false), &tensor, true);
    assert_eq!(decoder.decode(&buffer, &mut Counters::default()), PAIRED);
    let frame = decoder.frame();
    assert_eq!(frame.rgb[..3], [red[0], green[0], blue[0]]);
    assert!(frame.probability == said_of(&as_stored(&[red, green, blue].concat(), false)));
}

#[test]
fn buffer_without_a_valid_input_says_nothing() {
    let mut decoder = decoder(&options(Sees::InputTensor));
    let mut counters = Counters::default();
    let buffer = buffer(0, &only_input(false), &planes(0).concat(), false);
    assert_eq!(decoder.decode(&buffer, &mut counters), Decoded { paired: false, damage: None });
    assert_eq!(counters, Counters::default());
}

#[test]
fn without_host_inference_such_a_network_is_refused() {
    let mut decoder = decoder(&Options::default());
    let buffer = buffer(0, &only_input(false), &planes(0).concat(), true);
    let decoded = decoder.decode(&buffer, &mut Counters::default());
    assert!(matches!(decoded.damage, Some(Damage::Unsuitable(_))), "{decoded:?}");
}

#[test]
fn tensor_of_another_size_is_refused_in_words() {
    let mut decoder = decoder(&options(Sees::InputTensor));
    let mut counters = Counters::default();
    let raw = Sensor::new(40, 30).buffer(0, 0, crate::buffers::Brings::Both);
    let damage = decoder.decode(&raw, &mut counters).damage.unwrap();
    let unfit = Unfit::InputSize { got: (40, 30, 3), want: (32, 32) };
    assert_eq!(damage, Damage::Unfit(unfit));
    assert_eq!(
        damage.to_string(),
        "ApParams: the sensor's input tensor has 40x30 pixels in 3 planes, the network on the host takes \
         32x32 in 3: run the host's network at that size (--input-size), or give the sensor one with this \
         input"
    );
    assert_eq!(counters, Counters { corrupt_ap_params: 1, ..Counters::default() });
}

#[test]
fn cut_input_is_refused_and_the_next_is_sound_again() {
    let mut decoder = decoder(&options(Sees::InputTensor));
    let mut counters = Counters::default();
    let planar = planes(0).concat();
    let mut cut = buffer(0, &only_input(false), &planar, true);
    // KPI, header and the first of two body lines.
    cut.metadata.truncate(2 * EMBEDDED_LINE_LEN_BYTES + 3 * 2560);
    let damage = decoder.decode(&cut, &mut counters).damage;
    assert!(matches!(damage, Some(Damage::Truncated(_))), "{damage:?}");
    let sound = buffer(1, &only_input(false), &planar, true);
    assert_eq!(decoder.decode(&sound, &mut counters), PAIRED);
    assert!(decoder.frame().probability == said_of(&as_stored(&planar, false)));
}

/// 128 x 96 pixels, of which the window leaves 32 x 24 cells.
fn raw_picture(frame: u64) -> RawPicture {
    let (width, height, stride_bytes) = (128, 96, 160);
    let bytes = (0..stride_bytes * height)
        .map(|at| (at as u64 * 7 + at as u64 / 160 * 3 + frame * 13).to_le_bytes()[0]);
    RawPicture { bytes: bytes.collect(), width, height, stride_bytes, order: BayerOrder::Rggb }
}

/// Developed and cut to the window, and what the emulator says of that at its own size.
fn seen_of(frame: u64) -> (Vec<u8>, Vec<u8>) {
    let mut rgb = Vec::new();
    let size = options(Sees::Picture).darkroom.develop(&raw_picture(frame), &mut rgb);
    assert_eq!(size, Ok((32, 24)));
    let network = network();
    let encoding = Encoding {
        width: 32,
        height: 32,
        signed: network.input().signed,
        order: ColourOrder::Rgb,
        gains: Gains::default(),
    };
    let picture = Picture::new(32, 24, rgb.clone()).unwrap();
    let mut input = Vec::new();
    Isp::new(encoding).look(&picture, picture.whole(), &mut input);
    (rgb, said_of(&input))
}

#[test]
fn raw_picture_gives_what_the_emulator_says_of_it_developed_and_resized() {
    let mut decoder = decoder(&options(Sees::Picture));
    let mut counters = Counters::default();
    for sequence in 0..3 {
        // A stream without a network has embedded lines only.
        let mut raw =
            RawFrame { picture: raw_picture(sequence), ..without_dnn_lines(sequence + 256) };
        decoder.hold_picture(&mut raw);
        assert_eq!(decoder.decode(&raw, &mut counters), PAIRED);
        let frame = decoder.frame();
        let (rgb, said) = seen_of(sequence);
        assert_eq!((frame.width, frame.height), (32, 24));
        assert!(frame.rgb == rgb && frame.probability == said, "frame {sequence}");
        assert_eq!((frame.mask_width, frame.mask_height), (32, 32));
        assert_eq!((frame.sequence, frame.kpi, frame.sensor), (sequence + 256, None, STATE));
        assert_eq!(u64::from(frame.frame_count), sequence);
        assert_eq!(frame.stamps.frame_start, start_of(sequence + 256));
    }
    assert_eq!(counters, Counters { inputs: 3, outputs: 3, ..Counters::default() });
}

#[test]
fn frame_without_a_picture_is_counted_and_nothing_is_said_of_it() {
    let mut decoder = decoder(&options(Sees::Picture));
    let mut counters = Counters::default();
    let decoded = decoder.decode(&without_dnn_lines(0), &mut counters);
    assert_eq!(decoded, Decoded { paired: false, damage: Some(Damage::NoPicture) });
    assert_eq!(counters, Counters { missing_pictures: 1, ..Counters::default() });
}

#[test]
fn input_tensors_are_seen_while_raw_pictures_are_shown() {
    let options = Options { picture: ShownPicture::Raw, ..options(Sees::InputTensor) };
    let mut decoder = decoder(&options);
    let planar = planes(5).concat();
    let buffer = buffer(5, &only_input(false), &planar, true);
    let mut raw = RawFrame { picture: raw_picture(5), window: Some(WINDOW), ..buffer };
    decoder.hold_picture(&mut raw);
    assert_eq!(decoder.decode(&raw, &mut Counters::default()), PAIRED);
    assert!(decoder.frame().rgb == seen_of(5).0);
    assert!(decoder.frame().probability == said_of(&as_stored(&planar, false)));
}

#[test]
fn what_waits_behind_a_newer_one_is_passed_over_and_counted() {
    let params = only_input(false);
    let tensor = |sequence| buffer(sequence, &params, &planes(sequence).concat(), true);
    let picture = |n| RawFrame { picture: raw_picture(n), ..without_dnn_lines(n) };
    let both: [(Sees, &dyn Fn(u64) -> RawFrame); 2] =
        [(Sees::InputTensor, &tensor), (Sees::Picture, &picture)];
    for (sees, frame) in both {
        let mut decoder = decoder(&options(sees));
        let mut counters = Counters::default();
        for sequence in 0..3 {
            let decoded = decoder.pass_over(&frame(sequence), &mut counters);
            assert_eq!(decoded, Decoded { paired: false, damage: None }, "{sees:?}");
        }
        assert_eq!(decoder.decode(&frame(3), &mut counters), PAIRED, "{sees:?}");
        assert_eq!(decoder.frame().sequence, 3);
        let want = Counters { inputs: 4, outputs: 1, skipped_inputs: 3, ..Counters::default() };
        assert_eq!(counters, want, "{sees:?}");
    }
}

/// Stands in for a camera without a network: as many frames as can be taken, without waiting.
struct Prepared {
    next: u64,
    end: u64,
}

impl FrameSource for Prepared {
    fn info(&self) -> SourceInfo {
        info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        if self.next == self.end {
            return Ok(Next::Ended);
        }
        *frame = RawFrame { picture: raw_picture(self.next), ..without_dnn_lines(self.next) };
        self.next += 1;
        Ok(Next::Frame)
    }
}

#[test]
fn newest_frame_wins_and_every_frame_is_accounted_for() {
    let options = Options { drop_when_behind: true, ..options(Sees::Picture) };
    let mut pipeline = Pipeline::new(options);
    let newest = pipeline.latest("page");
    let source = Prepared { next: 0, end: 200 };
    let running = pipeline.start(Box::new(source), Clock::monotonic(StopSignal::default()));
    let snapshot = running.wait().unwrap();
    let counters = snapshot.counters;
    let (_, displaced) = snapshot.queue_drops[0];
    assert_eq!((counters.buffers, counters.lost_buffers), (200, 0));
    assert_eq!(counters.outputs + counters.skipped_inputs + displaced, 200);
    assert_eq!(counters.inputs, counters.outputs + counters.skipped_inputs);
    let qsegment::pipeline::queue::Taken::Value(frame) = newest.take(std::time::Duration::ZERO)
    else {
        panic!("no frame")
    };
    assert_eq!(frame.sequence, 199, "the last one is the newest");
    assert!(frame.probability == seen_of(199).1);
}

#[test]
fn where_capture_can_wait_every_frame_is_seen() {
    let mut pipeline = Pipeline::new(options(Sees::Picture));
    let report = pipeline.bounded("report", 2);
    let source = Prepared { next: 0, end: 20 };
    let running = pipeline.start(Box::new(source), Clock::monotonic(StopSignal::default()));
    let mut seen = 0;
    while let Some(frame) = report.take() {
        assert!(frame.probability == seen_of(frame.sequence).1);
        assert_eq!(frame.sequence, seen);
        seen += 1;
    }
    assert_eq!((seen, running.wait().unwrap().counters.skipped_inputs), (20, 0));
}
