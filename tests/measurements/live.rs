//! Frames of the simulated sensor, judged and measured as they are while the daemon runs.

use std::sync::Arc;
use std::time::Duration;

use qsegment::emulator::Network;
use qsegment::outputs::figures::Seen;
use qsegment::outputs::measure::{Live, Options, VesselFigures};
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::pipeline::measurements::Measuring;
use qsegment::pipeline::measurements::repeats::{Repeats, Under};
use qsegment::pipeline::quality::{Grade, Judge, Seen as Judged};
use qsegment::pipeline::queue::LatestSlot;
use qsegment::pipeline::{self, Frame, Limits, Pipeline};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::isp::InferenceWindow;
use qsegment::source::simulated::scene::Motion;
use qsegment::source::simulated::{self, Simulated};

use crate::allocated::allocated;

/// The built-in picture through the shipped network at its smallest useful size.
fn frames() -> Vec<Arc<Frame>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let network = Network::load(&std::fs::read(file).expect("it is shipped")).expect("it loads");
    let network = network.with_input_size(320, 320).expect("a multiple of its strides");
    let clock = Clock::simulated(StopSignal::default());
    let options = simulated::Options { motion: Motion::Still, ..simulated::Options::default() };
    let source = Simulated::new(options, &network, clock.clone()).expect("a scene");
    let options = pipeline::Options { max_buffers: Some(8), ..pipeline::Options::default() };
    let mut pipeline = Pipeline::new(options);
    let queue = pipeline.bounded("test", 8);
    let running = pipeline.start(Box::new(source), clock);
    let frames: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
    running.wait().expect("nothing fails");
    assert!(frames.len() >= 2, "{}", frames.len());
    frames
}

/// One frame after the other, each measured before the next comes.
struct Bench {
    slot: Arc<LatestSlot<Arc<Frame>>>,
    live: Live,
    sequence: u64,
}

impl Bench {
    fn new(pixel_size_um: Option<f64>, seen: Option<Seen>) -> Self {
        let slot = Arc::new(LatestSlot::new("measure"));
        let options = Options { period: Duration::ZERO, stable_frames: 6, pixel_size_um, seen };
        // It stands still: nothing grows old.
        let clock = Clock::simulated(StopSignal::default());
        let limits = Limits::new(128, Duration::from_secs(1), Duration::from_secs(1)).into();
        let live = Live::start(Arc::clone(&slot), options, clock, limits).expect("a thread");
        assert_eq!(live.observer().figures(), None, "before the first frame");
        Self { slot, live, sequence: 0 }
    }

    fn measure(&mut self, frame: &Frame) -> VesselFigures {
        self.sequence += 1;
        self.slot.put(Arc::new(Frame { sequence: self.sequence, ..frame.clone() }));
        for _ in 0..60_000 {
            let figures = self.live.observer().figures();
            if let Some(figures) = figures.filter(|figures| figures.sequence == self.sequence) {
                return figures;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("frame {} was never measured", self.sequence);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.slot.close();
    }
}

#[test]
fn still_frames_have_an_uncertainty_and_rejected_ones_have_nothing() {
    let frame = &frames()[1];
    let mut bench = Bench::new(None, None);
    let mut figures = bench.measure(frame);
    assert!(figures.quality.grade > Grade::Reject, "{:?}", figures.quality);
    assert_eq!(figures.stable_frames, 1);
    let density = figures.measurement("density").expect("it is measured");
    assert!((0.03..0.2).contains(&density.value.expect("it is an eye")), "{density:?}");
    assert!(figures.measurements.iter().all(|of| of.uncertainty.is_none() && of.mean.is_none()));
    for number in 2..=7 {
        figures = bench.measure(frame);
        assert_eq!(figures.stable_frames, number.min(6), "it looks back over six");
        let known = figures.measurements.iter().all(|of| of.uncertainty.is_some());
        assert_eq!(known, number >= 5, "{number}");
    }
    for of in &figures.measurements {
        let mean = of.mean.expect("six frames");
        // The very same frame again and again.
        assert!((mean - of.value.expect("one of them")).abs() < 1e-9 * mean, "{of:?}");
        assert!(of.uncertainty.expect("six frames") < 1e-9 * mean, "{of:?}");
    }

    let other = bench.measure(&Frame { threshold: 90, ..Frame::clone(frame) });
    assert_eq!(other.stable_frames, 1, "another threshold measures something else");
    assert!(other.measurements.iter().all(|of| of.value.is_some() && of.uncertainty.is_none()));

    let dark = Frame { rgb: vec![0; frame.rgb.len()], ..Frame::clone(frame) };
    let rejected = bench.measure(&dark);
    assert_eq!((rejected.quality.grade, rejected.stable_frames), (Grade::Reject, 0));
    assert!(rejected.quality.advice().is_some());
    assert!(rejected.measurements.iter().all(|of| of.value.is_none() && of.uncertainty.is_none()));
    assert_eq!(rejected.measurements.len(), figures.measurements.len(), "the same keys");
    // The first one after it may pass for one that has moved.
    bench.measure(frame);
    assert!((1..=2).contains(&bench.measure(frame).stable_frames), "from the start");
}

#[test]
fn another_window_is_no_motion() {
    let frame = &frames()[1];
    let turned = Frame {
        rgb: frame.rgb.chunks_exact(3).rev().flatten().copied().collect(),
        probability: frame.probability.iter().rev().copied().collect(),
        ..Frame::clone(frame)
    };
    let mut bench = Bench::new(None, None);
    let mut stillness = |frame: &Frame| {
        let quality = bench.measure(frame).quality;
        let of = *quality.criteria.iter().find(|of| of.standard.name == "stillness").expect("one");
        (of.value, quality.grade)
    };
    assert_eq!(stillness(frame).0, None, "the first");
    let (value, grade) = stillness(&turned);
    assert!(value.expect("there is one before") < 0.4, "{value:?}");
    assert_eq!(grade, Grade::Reject);
    let window = Some(InferenceWindow { left: 1268, top: 760, width: 1520, height: 1520 });
    let (value, grade) = stillness(&Frame { window, ..Frame::clone(frame) });
    assert_eq!(value, None, "there is nothing to compare with");
    assert!(grade > Grade::Reject);
    assert_eq!(stillness(&Frame { window, ..Frame::clone(frame) }).0, Some(1.0));
}

#[test]
fn micrometres_are_given_where_pixels_are_square() {
    let seen_through = |left, top, width, height| Frame {
        window: Some(InferenceWindow { left, top, width, height }),
        ..Frame::clone(&frames()[1])
    };
    let frame = &seen_through(508, 0, 3040, 3040);
    let square = Seen { width_px: 3040, height_px: 3040 };
    let figures = Bench::new(Some(8.0), Some(square)).measure(frame);
    let value = |name| figures.measurement(name).and_then(|of| of.value).expect(name);
    assert_eq!(figures.pixel_size_um, Some(8.0));
    assert!((value("length_um") / value("length_px") - 8.0).abs() < 1e-9);
    assert!((value("mean_width_um") / value("mean_width_px") - 8.0).abs() < 1e-9);
    let per_mm = value("length_density_per_mm") / value("length_density_per_px");
    assert!((per_mm - 125.0).abs() < 1e-9);

    let closer = seen_through(1268, 760, 1520, 1520);
    let figures = Bench::new(Some(8.0), Some(square)).measure(&closer);
    assert_eq!(figures.pixel_size_um, Some(4.0), "half the configured window");

    let unsettled = Frame { window: None, ..frame.clone() };
    let figures = Bench::new(Some(8.0), Some(square)).measure(&unsettled);
    assert_eq!(figures.pixel_size_um, None, "nobody knows of which window it is");

    let squeezed = Seen { width_px: 4056, height_px: 3040 };
    let frame = &seen_through(0, 0, 4056, 3040);
    let figures = Bench::new(Some(8.0), Some(squeezed)).measure(frame);
    assert_eq!(figures.pixel_size_um, None);
    assert!(figures.measurement("length_um").is_none());
    assert!(figures.measurement("length_px").expect("in pixels").value.is_some());
}

#[test]
fn warm_frames_are_judged_and_measured_without_allocation() {
    let frames = frames();
    let (mut finder, mut judge) = (FieldOfView::default(), Judge::default());
    let (mut measuring, mut repeats) = (Measuring::default(), Repeats::new(6));
    let mut measure = |frame: &Frame| {
        let (width, height) = (frame.mask_width, frame.mask_height);
        let field = finder.find(&frame.rgb, (frame.width, frame.height), (width, height));
        let verdict = judge.judge(Judged {
            rgb: &frame.rgb,
            width: frame.width,
            height: frame.height,
            probability: &frame.probability,
            threshold: frame.threshold,
            field,
            mask_width: width,
            mask_height: height,
        });
        let measured = measuring.measure(&frame.probability, frame.threshold, field, width);
        let under = Under { threshold: frame.threshold, width, height, window: frame.window };
        repeats.push(&measured, under, Some(1.0));
        (verdict, measured, repeats.spreads())
    };
    let cold = allocated(|| measure(&frames[0])).1;
    assert!(cold.count > 0, "the allocator counts");
    for frame in frames.iter().cycle().take(8) {
        measure(frame);
    }
    let (spreads, warm) = allocated(|| {
        let mut last = None;
        for frame in frames.iter().cycle().take(8) {
            last = Some(measure(frame));
        }
        last
    });
    assert_eq!(warm.count, 0);
    assert!(spreads.is_some_and(|(_, measured, _)| measured.length_px > 100.0));
}
