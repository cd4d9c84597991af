//! Picture and mask on the glass are of one frame, always, and are what the reference composes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use qsegment::outputs::hdmi::layout::{Layout, turned};
use qsegment::pipeline::geometry::Size;
use qsegment::source::clock::Timestamp;

use crate::bench::{Bench, SIDE, card, numbered, numbers, options};
use crate::reference::{blended_and_scaled, layout, mask_over_picture};
use crate::writeback::{Glass, Writeback};

const SMALL: &str = "640x480";
const NEVER: Duration = Duration::from_secs(600);

#[test]
fn three_hundred_pictures_under_load_never_mix_two_frames() {
    let Some(path) = card() else { return };
    let bench = Bench::show(options(path, SMALL), NEVER);
    let observer = bench.observer();
    let mut number = bench.put_until(1, || observer.shown() > 0);
    let mut writeback = Writeback::new(&bench.card, (640, 480));
    let layout = layout(640, 480);
    let ended = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..2)
        .map(|_| {
            let ended = Arc::clone(&ended);
            thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let feeder = {
        let (slot, clock, ended) =
            (Arc::clone(&bench.slot), bench.clock.clone(), Arc::clone(&ended));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                slot.put(Arc::new(numbered(number, clock.now())));
                number += 1;
                thread::sleep(Duration::from_millis(7));
            }
        })
    };
    let mut seen = Vec::new();
    for capture in 0..300 {
        let glass = writeback.capture();
        let (picture, mask) = numbers(|x, y| at_place(&glass, &layout, x, y));
        assert_eq!(picture, mask, "capture {capture}");
        assert!(picture > 0, "capture {capture}: no frame");
        seen.push(picture);
    }
    ended.store(true, Ordering::Relaxed);
    feeder.join().unwrap();
    load.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(seen.is_sorted(), "frames go forward: {seen:?}");
    let distinct = {
        let mut seen = seen.clone();
        seen.dedup();
        seen.len()
    };
    assert!(distinct > 30, "only {distinct} frames in 300 captures");
    let stages = observer.stages();
    assert_eq!(stages[0].count, observer.shown());
    assert_eq!(stages[0].count, stages[1].count);
}

#[test]
fn glass_is_the_reference_within_one() {
    let Some(path) = card() else { return };
    let bench = Bench::show(options(path, SMALL), NEVER);
    let observer = bench.observer();
    bench.put(0x2b5a);
    bench.wait("the frame", || observer.shown() == 1);
    let glass = Writeback::new(&bench.card, (640, 480)).capture();
    glass.keep("lockstep");
    let layout = layout(640, 480);
    compare(&glass, &layout, &observer.on().unwrap(), |x, y| (x, y));
}

#[test]
fn turned_and_mirrored_glass_is_the_reference_turned_and_mirrored() {
    let Some(path) = card() else { return };
    for (is_turned, is_mirrored) in [(true, false), (false, true), (true, true)] {
        let mut options = options(path.clone(), SMALL);
        options.orientation.turned = is_turned;
        options.orientation.mirrored = is_mirrored;
        let bench = Bench::show(options, NEVER);
        let observer = bench.observer();
        bench.put(0x2b5a);
        bench.wait("the frame", || observer.shown() == 1);
        let glass = Writeback::new(&bench.card, (640, 480)).capture();
        glass.keep(&format!("turned-{is_turned}-mirrored-{is_mirrored}"));
        let mut layout = layout(640, 480);
        if is_turned {
            layout.picture = turned(layout.picture, layout.screen);
        }
        let (right, bottom) = (layout.picture.width - 1, layout.picture.height - 1);
        compare(&glass, &layout, &observer.on().unwrap(), |x, y| {
            let x = if is_turned != is_mirrored { right - x } else { x };
            (x, if is_turned { bottom - y } else { y })
        });
    }
}

/// `place` leads from the glass to the reference, in pixels of the picture's area.
fn compare(
    glass: &Glass,
    layout: &Layout,
    on: &str,
    place: impl Fn(usize, usize) -> (usize, usize),
) {
    let area = layout.picture;
    let to = Size::new(area.width, area.height).unwrap();
    let frame = numbered(0x2b5a, Timestamp::default());
    let rung = std::env::var("QSEGMENT_DISPLAY_RUNG").unwrap();
    assert!(on.ends_with(&rung), "{on}, want {rung}");
    let want = if on.contains("one plane") {
        blended_and_scaled(&frame, to)
    } else {
        mask_over_picture(&frame, to)
    };
    let mut worst = 0.0_f64;
    for y in 0..area.height {
        for x in 0..area.width {
            let got = glass.at(area.left + x, area.top + y);
            let (from_x, from_y) = place(x, y);
            let want = want[from_y * area.width + from_x];
            for (got, want) in got.iter().zip(want) {
                worst = worst.max((f64::from(*got) - want).abs());
            }
        }
    }
    assert!(worst <= 1.0 + 1e-9, "{on}: off by {worst}");
}

/// The pixel of the glass in which the middle of a frame's pixel lies.
fn at_place(glass: &Glass, layout: &Layout, x: usize, y: usize) -> [u8; 3] {
    let area = layout.picture;
    glass.at(area.left + x * area.width / SIDE, area.top + y * area.height / SIDE)
}
