//! What a frame costs the CPU on its way to a screen of 1920 x 1080, into ordinary memory, on each rung: as ratios of
//! one run to a plain copy of the picture's part of the screen.
//!
//! `cargo bench --bench display`; one thread. Picture and mask are of 320 x 320, drawn as heat.
#![expect(clippy::print_stdout, reason = "what a bench is for")]

#[path = "../tests/formats/allocated.rs"]
mod allocated;

use std::hint::black_box;
use std::time::Duration;

use qsegment::outputs::hdmi::compose::{Orientation, Pixels, Scaler, pack};
use qsegment::outputs::hdmi::layout::Layout;
use qsegment::outputs::overlay::{Film, Freshness, Overlay, Scale, Style};
use qsegment::pipeline::Frame;
use qsegment::pipeline::geometry::Size;

use allocated::allocated;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let frame = frame();
    let size = Size::new(SIDE, SIDE).expect("neither side is zero");
    let screen = Size::new(1920, 1080).expect("neither side is zero");
    let area = Layout::new(screen, size, true).picture;
    let target = Size::new(area.width, area.height).expect("the picture has pixels");
    let style = Style { scale: Scale::One, ..Style::default() };
    let upright = Orientation::default();
    let (mut base, mut over) = (vec![0; screen.pixels() * 4], vec![0; target.pixels() * 4]);
    let (mut of_picture, mut of_mask) = (Scaler::new(size, target), Scaler::new(size, target));
    let (mut film, mut overlay, mut packed) = (Film::default(), Overlay::default(), Vec::new());
    let at = (area.left, area.top);

    let source = vec![0x5a; target.pixels() * 4];
    let copy = measure(|| black_box(&mut over).copy_from_slice(black_box(&source)));
    let scaled = measure(|| {
        pack(black_box(&frame.rgb), size, upright, &mut packed);
        Pixels { bytes: &mut base, pitch_bytes: SIDE * 4 }.put(&packed, size);
        let (size, pixels) = film.draw(black_box(&frame), style).expect("it is whole");
        Pixels { bytes: &mut over, pitch_bytes: SIDE * 4 }.put(pixels, size);
    });
    let placed = measure(|| {
        pack(black_box(&frame.rgb), size, upright, &mut packed);
        of_picture.run(&packed, &mut Pixels { bytes: &mut base, pitch_bytes: 1920 * 4 }, at);
        let (_, pixels) = film.draw(black_box(&frame), style).expect("it is whole");
        let pitch_bytes = target.width() * 4;
        of_mask.run(pixels, &mut Pixels { bytes: &mut over, pitch_bytes }, (0, 0));
    });
    let blended = measure(|| {
        let drawn = overlay.draw(Some(black_box(&frame)), style, Freshness::Live);
        pack(drawn.rgb, drawn.size, upright, &mut packed);
        of_picture.run(&packed, &mut Pixels { bytes: &mut base, pitch_bytes: 1920 * 4 }, at);
    });

    println!("{:46}{:>8}{:>14}{:>13}", "", "ms", "of the copy", "allocations");
    for (name, step) in [
        ("copy of 1080 x 1080 pixels (memcpy), 4.7 MB", &copy),
        ("picture and mask on planes that the card scales", &scaled),
        ("mask on a plane, scaled by the CPU", &placed),
        ("one plane, drawn by the CPU", &blended),
    ] {
        let ratio = step.median.as_secs_f64() / copy.median.as_secs_f64();
        let millis = step.median.as_secs_f64() * 1e3;
        println!("{name:48}{millis:>6.2}{ratio:>14.1}{:>13}", step.allocations);
    }
}

fn frame() -> Frame {
    let byte = |i: usize| i.wrapping_mul(2_654_435_761).to_le_bytes()[1];
    Frame {
        width: SIDE,
        height: SIDE,
        rgb: (0..SIDE * SIDE * 3).map(byte).collect(),
        mask_width: SIDE,
        mask_height: SIDE,
        probability: (0..SIDE * SIDE).map(byte).collect(),
        threshold: 128,
        ..Frame::default()
    }
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
            let start = cpu_time();
            run();
            *time = cpu_time() - start;
        }
    });
    times.sort();
    Step { median: times[ROUNDS / 2], allocations: counted.count }
}

/// Of this thread, so that other work on the machine does not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a thread's time starts at zero")
}

const SIDE: usize = 320;
const WARM_UP: usize = 10;
const ROUNDS: usize = 201;
