//! The raw picture that is shown is that of the very frame the network saw, however late its output.

use crate::buffers::{Brings, Sensor, info, start_of};
use qsegment::pipeline::decode::{Damage, Decoded, Decoder};
use qsegment::pipeline::{Counters, Options, Pipeline, ShownPicture};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::picture::{Darkroom, Development, PictureError};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::{
    BayerOrder, FrameSource, Next, RawFrame, RawPicture, SourceError, SourceInfo,
};

/// The middle quarter of the sensor: cells 4..12 of 16 across, 3..9 of 12 down.
const WINDOW: InferenceWindow = InferenceWindow { left: 1014, top: 760, width: 2028, height: 1520 };

fn options() -> Options {
    let darkroom = Darkroom::new(WINDOW, Development::default());
    Options { picture: ShownPicture::Raw, darkroom, ..Options::default() }
}

/// 32 x 24 pixels; each depends on the frame and on its place.
fn raw_picture(frame: u64) -> RawPicture {
    let (width, height, stride_bytes) = (32, 24, 48);
    let bytes = (0..stride_bytes * height).map(|at| (at as u64 * 7 + frame * 13).to_le_bytes()[0]);
    RawPicture { bytes: bytes.collect(), width, height, stride_bytes, order: BayerOrder::Gbrg }
}

/// What is shown of it.
fn developed(frame: u64) -> Vec<u8> {
    let mut rgb = Vec::new();
    let size = options().darkroom.develop(&raw_picture(frame), &mut rgb);
    assert_eq!(size, Ok((8, 6)));
    rgb
}

fn sensor() -> Sensor {
    Sensor::new(40, 30)
}

/// As `running` does it.
fn take(decoder: &mut Decoder, mut raw: RawFrame, counters: &mut Counters) -> Decoded {
    decoder.hold_picture(&mut raw);
    decoder.decode(&raw, counters)
}

#[test]
fn late_output_is_shown_on_its_own_raw_picture() {
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    for sequence in 0..300 {
        let raw = RawFrame {
            picture: raw_picture(sequence),
            window: Some(WINDOW),
            ..sensor().slow(sequence)
        };
        let decoded = take(&mut decoder, raw, &mut counters);
        assert_eq!(decoded, Decoded { paired: sequence % 3 == 2, damage: None });
        if decoded.paired {
            let frame = decoder.frame();
            assert_eq!((frame.width, frame.height, frame.lag_frames), (8, 6, 2));
            assert!(frame.rgb == developed(sequence - 2), "buffer {sequence}");
            assert_eq!(
                (frame.mask_width, frame.mask_height),
                (40, 30),
                "the mask has its own size"
            );
            assert_eq!(frame.probability[0], (sequence - 2).to_le_bytes()[0]);
            assert_eq!(frame.stamps.frame_start, start_of(sequence - 2));
        }
    }
    assert_eq!(counters.missing_pictures, 0);
}

#[test]
fn output_in_its_own_buffer_is_shown_on_that_buffers_picture() {
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    for sequence in 0..5 {
        let buffer = sensor().buffer(sequence, sequence.to_le_bytes()[0], Brings::Both);
        let raw = RawFrame { picture: raw_picture(sequence), window: Some(WINDOW), ..buffer };
        assert!(take(&mut decoder, raw, &mut counters).paired);
        assert!(decoder.frame().rgb == developed(sequence), "buffer {sequence}");
    }
}

#[test]
fn frame_without_its_raw_picture_is_shown_as_the_network_saw_it() {
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    for sequence in 0..6 {
        // That of frame 3 does not come; those of its neighbours must not stand in for it.
        let picture = if sequence == 3 { RawPicture::default() } else { raw_picture(sequence) };
        take(
            &mut decoder,
            RawFrame { picture, window: Some(WINDOW), ..sensor().slow(sequence) },
            &mut counters,
        );
    }
    assert_eq!(counters.missing_pictures, 1);
    let frame = decoder.frame();
    assert_eq!((frame.width, frame.height, frame.rgb[0]), (40, 30, 3));
}

#[test]
fn after_a_jump_of_the_counter_no_picture_is_guessed() {
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    for (sequence, frame_count) in [(0, 0), (1, 101), (2, 102)] {
        let buffer = sensor().buffer(sequence, frame_count, Brings::Both);
        let raw = RawFrame { picture: raw_picture(sequence), window: Some(WINDOW), ..buffer };
        assert!(take(&mut decoder, raw, &mut counters).paired);
        let is_raw = decoder.frame().width == 8;
        assert_eq!(is_raw, sequence != 1, "buffer {sequence}");
    }
    assert_eq!((counters.counter_jumps, counters.missing_pictures), (1, 1));
}

#[test]
fn raw_picture_is_cut_to_the_window_of_its_own_frame_and_not_shown_while_nobody_knows_it() {
    const RIGHT: InferenceWindow = InferenceWindow { left: 2028, ..WINDOW };
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    let mut shown = Vec::new();
    // Inputs in buffers 0, 3, 6, 9; their outputs two later.
    for sequence in 0..12 {
        let window = match sequence {
            0..=4 => Some(WINDOW),
            5..=7 => None,
            _ => Some(RIGHT),
        };
        let raw = RawFrame { picture: raw_picture(sequence), window, ..sensor().slow(sequence) };
        if take(&mut decoder, raw, &mut counters).paired {
            let frame = decoder.frame();
            shown.push((frame.window, frame.rgb.clone()));
        }
    }
    let of = |window: InferenceWindow, frame| {
        let mut rgb = Vec::new();
        let darkroom = Darkroom::new(window, Development::default());
        darkroom.develop(&raw_picture(frame), &mut rgb).unwrap();
        (Some(window), rgb)
    };
    assert!(shown[0] == of(WINDOW, 0) && shown[1] == of(WINDOW, 3), "before");
    let (window, rgb) = &shown[2];
    assert_eq!((*window, rgb.len()), (None, 40 * 30 * 3), "as the network saw it");
    assert!(shown[3] == of(RIGHT, 9), "after");
    assert_eq!(counters.missing_pictures, 0, "none was missing");
}

#[test]
fn raw_picture_that_is_cut_is_named_and_counted() {
    let (mut decoder, mut counters) = (Decoder::new(&options(), &info()), Counters::default());
    let mut raw = RawFrame {
        picture: raw_picture(7),
        window: Some(WINDOW),
        ..sensor().buffer(7, 7, Brings::Both)
    };
    raw.picture.bytes.truncate(1000);
    let cut = PictureError::Truncated { got: 1000, want: 23 * 48 + 40, width: 32, height: 24 };
    let decoded = take(&mut decoder, raw, &mut counters);
    assert_eq!(decoded, Decoded { paired: true, damage: Some(Damage::Picture(cut)) });
    assert_eq!((decoder.frame().width, counters.missing_pictures), (40, 1));
}

#[test]
fn raw_pictures_that_nobody_asked_for_are_left_alone() {
    let (mut decoder, mut counters) =
        (Decoder::new(&Options::default(), &info()), Counters::default());
    let mut raw = RawFrame {
        picture: raw_picture(7),
        window: Some(WINDOW),
        ..sensor().buffer(7, 7, Brings::Both)
    };
    decoder.hold_picture(&mut raw);
    assert_eq!(raw.picture, raw_picture(7));
    assert!(decoder.decode(&raw, &mut counters).paired);
    assert_eq!((decoder.frame().width, counters.missing_pictures), (40, 0));
}

/// Stands in for the camera.
struct Prepared(u64);

impl FrameSource for Prepared {
    fn info(&self) -> SourceInfo {
        info()
    }
    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        *frame = RawFrame {
            picture: raw_picture(self.0),
            window: Some(WINDOW),
            ..sensor().slow(self.0)
        };
        self.0 += 1;
        Ok(Next::Frame)
    }
}

#[test]
fn outputs_get_the_raw_pictures() {
    let mut pipeline = Pipeline::new(Options { max_buffers: Some(30), ..options() });
    let report = pipeline.bounded("report", 10);
    let running = pipeline.start(Box::new(Prepared(0)), Clock::monotonic(StopSignal::default()));
    let mut shown = 0;
    while let Some(frame) = report.take() {
        assert!(frame.rgb == developed(frame.sequence - 2), "buffer {}", frame.sequence);
        shown += 1;
    }
    let counters = running.wait().unwrap().counters;
    assert_eq!((shown, counters.paired, counters.missing_pictures), (10, 10, 0));
}
