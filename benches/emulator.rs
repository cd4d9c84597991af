//! Time of one inference of the shipped network: each kernel at several sizes, the reference at 80 x 80.
//!
//! `cargo bench --bench emulator`; one thread.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::time::{Duration, Instant};

use qsegment::emulator::{Engine, Kernel, Network, reference};

fn main() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let file = std::fs::read(path).expect("the shipped network is in the repository");
    let network = Network::load(&file).expect("it loads");

    let small = network.with_input_size(80, 80).expect("a multiple of 16");
    let picture = picture(small.input().len_bytes());
    let time = measure(5, || {
        std::hint::black_box(reference::run(small.graph(), &picture));
    });
    report("reference", &small, time);

    for side in [80, 320, 640] {
        let network = network.with_input_size(side, side).expect("a multiple of 16");
        let picture = self::picture(network.input().len_bytes());
        let mut output = vec![0; network.output().len_bytes()];
        for kernel in Kernel::here() {
            let mut engine = Engine::with(&network, kernel, 1).expect("a kernel that is here");
            let time = measure(50, || engine.run(&picture, &mut output));
            report(&format!("{kernel:?}"), &network, time);
            println!("          buffers {:.1} MB", engine.buffer_bytes() as f64 / 1e6);
        }
    }
}

fn report(name: &str, network: &Network, time: Time) {
    let input = network.input();
    let cpu = time.cpu_s.map_or(String::new(), |s| format!(", {:.2} ms of CPU", s * 1e3));
    println!(
        "{name:9} {} x {}: {:8.2} ms/frame{cpu}, {:6.2} frames/s, {:6.2} GMAC/s",
        input.height,
        input.width,
        time.median_s * 1e3,
        1.0 / time.cpu_s.unwrap_or(time.median_s),
        network.macs() as f64 / time.cpu_s.unwrap_or(time.median_s) / 1e9,
    );
}

/// Of one round.
struct Time {
    /// By the wall clock, in the middle of all rounds; long on a busy machine.
    median_s: f64,
    /// On a processor, mean of all rounds; rates are of this one where the system tells it.
    cpu_s: Option<f64>,
}

fn measure(rounds: u32, mut run: impl FnMut()) -> Time {
    let before = cpu_time();
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    let cpu = before.zip(cpu_time()).map(|(before, after)| (after - before) / rounds);
    times.sort();
    Time { median_s: times[times.len() / 2].as_secs_f64(), cpu_s: cpu.map(|cpu| cpu.as_secs_f64()) }
}

/// What this thread has spent on a processor (Linux, "schedstats" of its kernel's documentation).
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Bytes of every value in no order; the time does not depend on them.
fn picture(len: usize) -> Vec<u8> {
    (0_u32..).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).take(len).collect()
}
