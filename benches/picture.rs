//! What a raw picture costs the host: copied out of the driver's buffer each frame, developed each frame that is
//! shown, resized each frame that a network on the host sees; as ratios of one run to a plain copy of it.
//!
//! `cargo bench --bench picture`; one thread. The picture is that of the binned mode, 2028 x 1520.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

#[path = "../tests/formats/allocated.rs"]
mod allocated;

use std::hint::black_box;
use std::time::{Duration, Instant};

use qsegment::formats::input_tensor::ColourOrder;
use qsegment::source::imx500::picture::{Darkroom, Development};
use qsegment::source::simulated::isp::{Encoding, Gains, InferenceWindow, Isp};
use qsegment::source::simulated::picture::Picture;
use qsegment::source::{BayerOrder, RawPicture};

use allocated::allocated;

fn main() {
    let raw = raw_picture();
    let quarter = InferenceWindow { left: 1268, top: 760, width: 1520, height: 1520 };
    let mut copied = vec![0; raw.bytes.len()];
    let copy = measure(|| black_box(&mut copied).copy_from_slice(black_box(&raw.bytes)));

    let mut rgb = Vec::new();
    let mut develop = |window| {
        let darkroom = Darkroom::new(window, Development::default());
        measure(|| {
            darkroom.develop(black_box(&raw), &mut rgb).expect("it is as long as it says");
        })
    };
    let part = develop(quarter);
    let whole = develop(InferenceWindow::default());

    let picture = Picture::new(WIDTH / 2, HEIGHT / 2, rgb).expect("the whole of it");
    let mut isp = Isp::new(Encoding {
        width: 320,
        height: 320,
        signed: false,
        order: ColourOrder::Rgb,
        gains: Gains::default(),
    });
    let mut planes = Vec::new();
    let resize = measure(|| isp.look(black_box(&picture), picture.whole(), &mut planes));

    println!("{:46}{:>8}{:>14}{:>13}", "", "ms", "of the copy", "allocations");
    for (name, step) in [
        ("copy of the raw picture (memcpy), 3.9 MB", &copy),
        ("developed whole, to 1014 x 760", &whole),
        ("developed in a window of 1520 x 1520", &part),
        ("1014 x 760 averaged to a network's 320 x 320", &resize),
    ] {
        let ratio = step.median.as_secs_f64() / copy.median.as_secs_f64();
        let millis = step.median.as_secs_f64() * 1e3;
        println!("{name:46}{millis:>8.2}{ratio:>14.1}{:>13}", step.allocations);
    }
}

/// Every code in every place.
fn raw_picture() -> RawPicture {
    let bytes = (0..STRIDE_BYTES * HEIGHT).map(|at| (at * 7 + at / 911).to_le_bytes()[0]).collect();
    let order = BayerOrder::Rggb;
    RawPicture { bytes, width: WIDTH, height: HEIGHT, stride_bytes: STRIDE_BYTES, order }
}

/// A step once it is warm.
struct Step {
    median: Duration,
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
    Step { median: times[ROUNDS / 2], allocations: counted.count }
}

const WIDTH: usize = 2028;
const HEIGHT: usize = 1520;
/// 2028 pixels are 2535 bytes; receivers round rows up.
const STRIDE_BYTES: usize = 2544;
const WARM_UP: usize = 10;
const ROUNDS: usize = 201;
