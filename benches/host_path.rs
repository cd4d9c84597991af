//! What the host does with a metadata buffer until tensors are numbers, as ratios of one run to a plain
//! copy of the same bytes: splitting and linearising, transposing, converting to float.
//!
//! `cargo bench --bench host_path`; one thread. The buffer is that of the shipped network: 320 x 320 in
//! three planes, 320 x 320 out.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

#[path = "../tests/formats/allocated.rs"]
mod allocated;

use std::hint::black_box;
use std::time::{Duration, Instant};

use qsegment::emulator::Network;
use qsegment::formats::ap_params::ApParams;
use qsegment::formats::dnn_lines::DnnLines;
use qsegment::formats::input_tensor::{ColourOrder, InputLayout};
use qsegment::formats::output_tensor::OutputLayout;
use qsegment::pipeline::vessels::Vessels;
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::simulated::{Options, Simulated, Timing};
use qsegment::source::{FrameSource, RawFrame};

use allocated::allocated;

fn main() {
    let frame = complete_frame();
    let area = &frame.metadata[2 * frame.embedded_line_len_bytes..];
    let lines = DnnLines::split(area).expect("the simulated sensor emits what the format says");
    let params = lines.input.ap_params_bytes().and_then(ApParams::parse).expect("so are these");
    let line_len = usize::from(lines.input.header.max_line_len_bytes);
    let network = &params.networks[0];
    let input = InputLayout::new(&network.inputs[0]).expect("a picture");
    let output = OutputLayout::all(&network.outputs, line_len).expect("a mask").remove(0);

    let (mut planar, mut raw, mut rgb) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reals, mut probability, mut copied) = (Vec::new(), Vec::new(), vec![0; area.len()]);
    let mut vessels = Vessels::new(&network.outputs, line_len).expect("a vessel map");
    let tensor_bytes = input.planar_len_bytes() + output.len_bytes();

    let copy = measure(area.len(), || {
        copied.copy_from_slice(black_box(area));
        // Nobody reads it: without this the copy is left out.
        black_box(&mut copied);
    });
    let linearise = measure(tensor_bytes, || {
        let lines = DnnLines::split(black_box(area)).expect("as above");
        let body = lines.input.body().expect("as above");
        input.copy_planar(body, line_len, &mut planar).expect("as above");
        let body = lines.output.and_then(|output| output.body().ok()).expect("as above");
        output.copy_raw(body, line_len, &mut raw).expect("as above");
    });
    let interleave =
        measure(planar.len(), || input.to_rgb(black_box(&planar), ColourOrder::Rgb, &mut rgb));
    let convert = measure(output.len_bytes(), || {
        let body = lines.output.and_then(|output| output.body().ok()).expect("as above");
        output.dequantize(black_box(body), line_len, &mut reals).expect("as above");
    });

    let transpose = measure(output.len_bytes(), || {
        let body = lines.output.and_then(|output| output.body().ok()).expect("as above");
        vessels.read(black_box(body), &mut probability).expect("as above");
    });

    println!("{:38}{:>9}{:>9}{:>9}{:>13}", "", "µs", "GB/s", "of copy", "allocations");
    for (name, step) in [
        ("copy of the DNN lines (memcpy)", &copy),
        ("split and linearise both tensors", &linearise),
        ("input planes to interleaved RGB", &interleave),
        ("output bytes to f32", &convert),
        ("output columns to rows of probability", &transpose),
    ] {
        let ratio = step.bytes_per_second() / copy.bytes_per_second();
        let micros = step.median.as_secs_f64() * 1e6;
        let rate = step.bytes_per_second() / 1e9;
        println!("{name:38}{micros:>9.1}{rate:>9.2}{ratio:>9.2}{:>13}", step.allocations);
    }
}

/// A buffer with both tensors.
fn complete_frame() -> RawFrame {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let file = std::fs::read(path).expect("the shipped network is in the repository");
    let network = Network::load(&file).expect("it loads");
    let options = Options { timing: Timing::Off, ..Options::default() };
    let clock = Clock::simulated(StopSignal::default());
    let mut sensor = Simulated::new(options, &network, clock).expect("the sensor carries it");
    let mut frame = RawFrame::default();
    sensor.next(&mut frame).expect("no fault is injected");
    frame
}

/// A step once it is warm.
struct Step {
    bytes: usize,
    median: Duration,
    allocations: usize,
}

impl Step {
    fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.median.as_secs_f64()
    }
}

fn measure(bytes: usize, mut run: impl FnMut()) -> Step {
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
    Step { bytes, median: times[ROUNDS / 2], allocations: counted.count }
}

const WARM_UP: usize = 50;
const ROUNDS: usize = 1001;
