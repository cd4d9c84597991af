//! What it costs to judge a frame, at both usual sizes of the network and with a picture larger than the mask.
//!
//! `cargo bench --bench quality`; one thread. The eye is drawn, with its own truth as mask.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::fs;
use std::hint::black_box;
use std::time::Duration;

use qsegment::pipeline::quality::{Judge, Seen};
use qsegment::source::simulated::scene::phantom::Phantom;

fn main() {
    for (picture_side, side) in [(320, 320), (400, 400), (640, 640), (1280, 640)] {
        let picture = Phantom::draw(picture_side, 4).picture;
        let truth = Phantom::draw(side, 4).truth;
        let probability: Vec<u8> = truth.iter().map(|vessel| u8::from(*vessel) * 255).collect();
        let from_middle = |at: usize| at as f64 + 0.5 - side as f64 / 2.0;
        let field: Vec<u8> = (0..side * side)
            .map(|at| from_middle(at % side).hypot(from_middle(at / side)))
            .map(|away| u8::from(away < 0.46 * side as f64))
            .collect();
        let mut judge = Judge::default();
        let mut run = || {
            black_box(judge.judge(black_box(Seen {
                rgb: picture.rgb(),
                width: picture_side,
                height: picture_side,
                probability: &probability,
                threshold: 128,
                field: &field,
                mask_width: side,
                mask_height: side,
            })));
        };
        run();
        let mut times: Vec<Duration> = (0..ROUNDS).filter_map(|_| cpu_time_of(&mut run)).collect();
        times.sort();
        match times.get(times.len() / 2) {
            Some(median) => {
                let ms = median.as_secs_f64() * 1e3;
                println!("picture {picture_side:4}, mask {side:4}: {ms:6.2} ms of CPU a frame");
            }
            None => println!("unknown: this system does not tell a thread's time"),
        }
    }
}

fn cpu_time_of(run: &mut impl FnMut()) -> Option<Duration> {
    let before = cpu_time()?;
    (0..FRAMES).for_each(|_| run());
    Some((cpu_time()? - before) / FRAMES)
}

/// What this thread has spent on a processor (Linux, "schedstats" of its kernel's documentation).
fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

const ROUNDS: u32 = 21;
/// The kernel's clock of a thread goes on at its own steps.
const FRAMES: u32 = 20;
