//! What judging and measuring a live frame costs, step by step, beside a plain copy of its picture.
//!
//! `cargo bench --bench measurements`; one thread. The frames are the built-in picture through the shipped network, at
//! 320 x 320 and at 640 x 640.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

#[path = "../tests/formats/allocated.rs"]
mod allocated;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qsegment::emulator::Network;
use qsegment::pipeline::field_of_view::FieldOfView;
use qsegment::pipeline::measurements::Measuring;
use qsegment::pipeline::quality::{Judge, Seen};
use qsegment::pipeline::{Frame, Options, Pipeline};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::{self, Simulated};

use allocated::allocated;

fn main() {
    println!("{:34}{:>9}{:>9}{:>13}", "median of 301 runs; least", "ms", "ms", "allocations");
    for side in [320, 640] {
        let frame = &*frame(side);
        let Frame { rgb, probability, threshold, .. } = frame;
        let size = (frame.mask_width, frame.mask_height);
        let picture = (frame.width, frame.height);
        let mut copied = vec![0; rgb.len()];
        let copy = measure(|| black_box(&mut copied).copy_from_slice(black_box(rgb)));
        let mut finder = FieldOfView::default();
        let find = measure(|| {
            black_box(finder.find(black_box(rgb), picture, size));
        });
        let field = finder.find(rgb, picture, size).to_vec();
        let seen = Seen {
            rgb,
            width: frame.width,
            height: frame.height,
            probability,
            threshold: *threshold,
            field: &field,
            mask_width: size.0,
            mask_height: size.1,
        };
        let mut judge = Judge::default();
        let judged = measure(|| {
            black_box(judge.judge(black_box(seen)));
        });
        let mut measuring = Measuring::default();
        let measured = measure(|| {
            black_box(measuring.measure(black_box(probability), *threshold, &field, size.0));
        });
        println!("{side} x {side}, grade {:?}", judge.judge(seen).grade);
        let mut sum = [Duration::ZERO; 2];
        for (name, step) in
            [("field of view", &find), ("quality", &judged), ("measurements", &measured)]
        {
            sum = [sum[0] + step.median, sum[1] + step.least];
            line(name, step.median, step.least, step.allocations);
        }
        line("together", sum[0], sum[1], 0);
        line("copy of the picture (memcpy)", copy.median, copy.least, copy.allocations);
    }
}

fn line(name: &str, median: Duration, least: Duration, allocations: usize) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("  {name:32}{:>9.3}{:>9.3}{allocations:>13}", ms(median), ms(least));
}

/// The last of a few.
fn frame(side: usize) -> Arc<Frame> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let network = Network::load(&std::fs::read(file).expect("it is shipped")).expect("it loads");
    let network = network.with_input_size(side, side).expect("a multiple of its strides");
    let clock = Clock::simulated(StopSignal::default());
    let source = Simulated::new(simulated::Options::default(), &network, clock.clone());
    let mut pipeline = Pipeline::new(Options { max_buffers: Some(8), ..Options::default() });
    let queue = pipeline.bounded("bench", 8);
    let running = pipeline.start(Box::new(source.expect("a scene")), clock);
    let last = std::iter::from_fn(|| queue.take()).last();
    running.wait().expect("nothing fails");
    last.expect("a frame in eight buffers")
}

/// A step once it is warm.
struct Step {
    median: Duration,
    least: Duration,
    allocations: usize,
}

fn measure(mut run: impl FnMut()) -> Step {
    for _ in 0..WARM_UP {
        run();
    }
    let mut times = [Duration::ZERO; ROUNDS];
    let ((), counted) = allocated(|| {
        for time in &mut times {
            let start = Instant::now();
            run();
            *time = start.elapsed();
        }
    });
    times.sort();
    Step { median: times[ROUNDS / 2], least: times[0], allocations: counted.count }
}

const WARM_UP: usize = 10;
const ROUNDS: usize = 301;
