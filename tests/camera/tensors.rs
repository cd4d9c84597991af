//! Tensors through the kernel: what the pipeline makes of them is what it makes of the feeder's own buffers.
//!
//! The buffers were recorded beforehand (`qsegment feed --record`, `recorded/` among the files), so that the
//! emulator need not run on an emulated CPU.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use qsegment::formats::embedded::LinePacking;
use qsegment::formats::input_tensor::ColourOrder;
use qsegment::pipeline::host::Inference;
use qsegment::pipeline::queue::Bounded;
use qsegment::pipeline::recovery::Bounds;
use qsegment::pipeline::{Frame, Options, Pipeline, Running, ShownPicture, Stamps};
use qsegment::source::clock::{Clock, StopSignal, Waited};
use qsegment::source::imx500::picture::Darkroom;
use qsegment::source::imx500::{Fed, Feed, ReceiverKind};
use qsegment::source::{FrameSource, Next, Quality, RawFrame, SourceError, SourceInfo};

use crate::bench::{Bench, FEED_LEN_BYTES, Parameter, fed};

#[test]
fn thousand_frames_give_the_tensors_that_the_feeder_put_in() {
    let Some(bench) = Bench::new() else { return };
    let _hold = Parameter::set("hold", "1");
    let camera = bench.open(|_| {});
    let folder = match camera.receiver() {
        ReceiverKind::Rp1Cfe => "recorded-pi5",
        ReceiverKind::Unicam => "recorded-pi4",
    };
    let files: Vec<PathBuf> =
        (0..FRAMES).map(|number| bench.file(folder).join(format!("{number:06}.bin"))).collect();
    let (wanted, direct) = run(Box::new(Recorded { files: files.clone().into_iter() }));
    let (got, through_kernel) = run(Box::new(camera));
    let feeding = thread::spawn(move || {
        let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
        let stop = StopSignal::default();
        for (number, file) in (0_u64..).zip(&files) {
            let metadata = std::fs::read(file).unwrap();
            let frame_count = number.to_le_bytes()[0];
            let frame = Fed { frame_count, ..fed(&metadata) };
            assert_eq!(feed.put(&frame, &stop), Ok(Waited::Reached));
        }
        feed.flush(&stop).unwrap();
    });
    for number in 0..FRAMES {
        let [wanted, got] = [&wanted, &got].map(|queue| queue.take().expect("a pair a frame"));
        assert!(tensors(&got) == tensors(&wanted), "frame {number} differs");
    }
    feeding.join().unwrap();
    drop(direct);
    let counters = through_kernel.wait().unwrap().counters;
    assert_eq!((counters.buffers, counters.paired), (FRAMES, FRAMES));
    assert_eq!((counters.lost_buffers, counters.unpaired, counters.malformed_buffers), (0, 0, 0));
}

const FRAMES: u64 = 1000;

/// Everything of a frame but when it came, and under which window: files do not know that.
fn tensors(frame: &Frame) -> Frame {
    Frame { stamps: Stamps::default(), window: None, ..frame.clone() }
}

fn run(source: Box<dyn FrameSource>) -> (Arc<Bounded<Arc<Frame>>>, Running) {
    let mut pipeline = Pipeline::new(Options {
        max_buffers: Some(FRAMES),
        colour_order: ColourOrder::Rgb,
        inference: Inference::Sensor,
        picture: ShownPicture::InputTensor,
        darkroom: Darkroom::default(),
        threshold: 128,
        stale_after: Duration::from_secs(3600),
        stall_after: Duration::from_secs(3600),
        // Capture waits for decode, however slow the CPU.
        drop_when_behind: false,
        recovery: Bounds::default(),
    });
    let frames = pipeline.bounded("test", 4);
    (frames, pipeline.start(source, Clock::monotonic(StopSignal::default())))
}

/// The same buffers without a kernel in between.
struct Recorded {
    files: std::vec::IntoIter<PathBuf>,
}

impl FrameSource for Recorded {
    fn info(&self) -> SourceInfo {
        SourceInfo {
            name: "replay",
            quality: Quality::Simulated,
            frame_interval: Duration::from_millis(33),
            packing: LinePacking::default(),
        }
    }

    fn next(&mut self, frame: &mut RawFrame) -> Result<Next, SourceError> {
        let Some(file) = self.files.next() else { return Ok(Next::Ended) };
        frame.metadata = std::fs::read(&file).unwrap();
        frame.sequence = file.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let line_len = qsegment::formats::metadata::guess_embedded_line_len(&frame.metadata);
        frame.embedded_line_len_bytes = line_len.expect("it is whole");
        Ok(Next::Frame)
    }
}
