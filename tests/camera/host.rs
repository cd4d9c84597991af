//! The host's network on raw pictures that came through the kernel: what it says of them is what it says of the
//! same pictures without one.

use std::sync::Arc;
use std::thread;

use qsegment::emulator::Network;
use qsegment::formats::embedded::SensorState;
use qsegment::pipeline::host::{Host, Inference, Sees};
use qsegment::pipeline::queue::Bounded;
use qsegment::pipeline::{Frame, Options, Pipeline, Running};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::imx500::{Fed, Feed, ReceiverKind};
use qsegment::source::{
    BayerOrder, FrameSource, Next, RawFrame, RawPicture, SourceError, SourceInfo,
};

use crate::bench::{Bench, Parameter, fed};

const FRAMES: u64 = 5;
const WIDTH: usize = 2028;
const HEIGHT: usize = 1520;
const LINE_LEN_BYTES: usize = WIDTH * 10 / 8;

#[test]
fn host_sees_the_raw_pictures_when_no_network_runs_in_the_sensor() {
    let Some(bench) = Bench::new() else { return };
    let _hold = Parameter::set("hold", "1");
    let camera = bench.open(|options| {
        options.network = None;
        options.picture = true;
    });
    let line_len = match camera.receiver() {
        ReceiverKind::Rp1Cfe => 2535,
        ReceiverKind::Unicam => 2544,
    };
    let direct = Prepared { info: camera.info(), line_len, next: 0 };
    let (wanted, wanting) = run(Box::new(direct));
    let (got, getting) = run(Box::new(camera));
    let feeding = thread::spawn(move || {
        let len_bytes = u32::try_from(2 * line_len + HEIGHT * LINE_LEN_BYTES).unwrap();
        let mut feed = Feed::open(None, len_bytes).unwrap();
        let stop = StopSignal::default();
        for number in 0..FRAMES {
            let (metadata, picture) = (embedded(line_len), lines(number).concat());
            feed.put(&Fed { picture: &picture, ..fed(&metadata) }, &stop).unwrap();
        }
        feed.flush(&stop).unwrap();
    });
    for number in 0..FRAMES {
        let [wanted, got] = [&wanted, &got].map(|queue| queue.take().expect("a mask a frame"));
        assert!(got.rgb == wanted.rgb, "the picture of frame {number} differs");
        assert!(got.probability == wanted.probability, "the mask of frame {number} differs");
        assert_eq!((got.sequence, got.sensor), (wanted.sequence, wanted.sensor));
        assert!(got.probability.iter().any(|p| *p != got.probability[0]), "it is empty");
    }
    feeding.join().unwrap();
    drop(wanting);
    let counters = getting.wait().unwrap().counters;
    assert_eq!((counters.paired, counters.lost_buffers), (FRAMES, 0));
}

fn run(source: Box<dyn FrameSource>) -> (Arc<Bounded<Arc<Frame>>>, Running) {
    let onnx = include_bytes!("../../tests/fixtures/qsegment-320.onnx");
    let network = Network::load(onnx).unwrap().with_input_size(32, 32).unwrap();
    let mut pipeline = Pipeline::new(Options {
        max_buffers: Some(FRAMES),
        inference: Inference::Host(Host::new(network, Sees::Picture).unwrap()),
        // Capture waits, however slow the CPU.
        drop_when_behind: false,
        ..Options::default()
    });
    let frames = pipeline.bounded("test", 2);
    (frames, pipeline.start(source, Clock::monotonic(StopSignal::default())))
}

/// What the receiver would give of the same frames.
struct Prepared {
    info: SourceInfo,
    line_len: usize,
    next: u64,
}

impl FrameSource for Prepared {
    fn info(&self) -> SourceInfo {
        self.info.clone()
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        frame.sequence = self.next;
        frame.metadata = embedded(self.line_len);
        frame.embedded_line_len_bytes = self.line_len;
        frame.picture = RawPicture {
            bytes: lines(self.next).concat(),
            width: WIDTH,
            height: HEIGHT,
            stride_bytes: LINE_LEN_BYTES,
            order: BayerOrder::Rggb,
        };
        self.next += 1;
        Ok(Next::Frame)
    }
}

/// Embedded lines of a sensor that streams without a network.
fn embedded(line_len: usize) -> Vec<u8> {
    let state = SensorState { exposure_lines: Some(1000), ..SensorState::default() };
    let mut bytes = Vec::new();
    state.emit(line_len, &mut bytes);
    bytes
}

/// A picture that changes from place to place and from frame to frame.
fn lines(frame: u64) -> Vec<Vec<u8>> {
    let step = usize::from(frame.to_le_bytes()[0]) * 17;
    let line = |row: usize| {
        (0..LINE_LEN_BYTES).map(|at| (at * 3 / 5 + row / 9 + step).to_le_bytes()[0]).collect()
    };
    (0..HEIGHT).map(line).collect()
}
