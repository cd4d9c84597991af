//! Time of one inference of the shipped network: the engine at its own size, the reference at 80 x 80.
//!
//! `cargo bench --bench emulator`; prints medians on one thread.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::time::Instant;

use qsegment::emulator::{Engine, Network, reference};

fn main() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/qsegment-320.onnx");
    let file = std::fs::read(path).expect("the shipped network is in the repository");
    let network = Network::load(&file).expect("it loads");

    let small = network.with_input_size(80, 80).expect("a multiple of 8");
    let picture = picture(small.input().len_bytes());
    let median_s = measure(5, || {
        std::hint::black_box(reference::run(small.graph(), &picture));
    });
    report("reference", &small, median_s);

    for side in [80, 320, 640] {
        let network = network.with_input_size(side, side).expect("a multiple of 8");
        let mut engine = Engine::new(&network);
        let picture = self::picture(network.input().len_bytes());
        let mut output = vec![0; network.output().len_bytes()];
        let median_s = measure(50, || engine.run(&picture, &mut output));
        report("engine", &network, median_s);
        println!("          buffers {:.1} MB", engine.buffer_bytes() as f64 / 1e6);
    }
}

fn report(name: &str, network: &Network, median_s: f64) {
    let input = network.input();
    println!(
        "{name:9} {} x {}: {:8.2} ms/frame, {:6.2} frames/s, {:6.2} GMAC/s",
        input.height,
        input.width,
        median_s * 1e3,
        1.0 / median_s,
        network.macs() as f64 / median_s / 1e9,
    );
}

fn measure(rounds: usize, mut run: impl FnMut()) -> f64 {
    let mut times_s: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times_s.sort_by(f64::total_cmp);
    times_s[rounds / 2]
}

/// Bytes of every value in no order; the time does not depend on them.
fn picture(len: usize) -> Vec<u8> {
    (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).take(len).collect()
}
