//! What is seen when the picture is not live, and when the screen goes and comes back.

use std::time::Duration;

use drm::control::Device as ControlDevice;
use qsegment::outputs::hdmi::{Card, DisplayError, Hdmi, WantedCard};

use crate::bench::{Bench, card, numbers, options};
use crate::reference::layout;
use crate::writeback::Writeback;

const NEVER: Duration = Duration::from_secs(600);
const MODE: &str = "1280x720";
const SIZE: (u32, u32) = (1280, 720);

#[test]
fn stale_picture_is_grey_without_mask_in_a_hatched_border() {
    let Some(path) = card() else { return };
    let bench = Bench::show(options(path, MODE), Duration::from_millis(1500));
    let observer = bench.observer();
    bench.put_until(0x1234, || observer.shown() > 0);
    let mut writeback = Writeback::new(&bench.card, SIZE);
    let mut captures = (0..100).map(|_| writeback.capture());
    let glass = captures.find(|glass| glass.is_hatched([255, 176, 0])).expect("a stale sign");
    glass.keep("stale");
    let area = layout(1280, 720).picture;
    let coloured = (area.top + 40..area.top + 250)
        .flat_map(|y| (area.left + 40..area.left + area.width - 40).map(move |x| (x, y)))
        .filter(|&(x, y)| {
            let [red, green, blue] = glass.at(x, y);
            (red, green) != (green, blue)
        })
        .count();
    assert_eq!(coloured, 0, "a stale picture has no colour, and no mask");
    // And back to life.
    let shown = observer.shown();
    bench.put_until(0x2000, || observer.shown() > shown);
}

#[test]
fn no_frame_is_no_signal_and_no_pipeline_is_a_fault() {
    let Some(path) = card() else { return };
    for (mode, size) in [(MODE, SIZE), ("1920x1080", (1920, 1080))] {
        let bench = Bench::show(options(path.clone(), mode), NEVER);
        let observer = bench.observer();
        bench.wait("a screen", || observer.on().is_some());
        let mut writeback = Writeback::new(&bench.card, size);
        let glass = writeback.capture();
        glass.keep(&format!("no-signal-{mode}"));
        assert!(glass.is_hatched([230, 230, 230]));
        bench.put_until(7, || observer.shown() > 0);
        writeback.capture().keep(&format!("live-{mode}"));
        bench.slot.close();
        let mut captures = (0..100).map(|_| writeback.capture());
        let glass = captures.find(|glass| glass.is_hatched([255, 70, 60])).expect("a fault sign");
        glass.keep(&format!("fault-{mode}"));
    }
}

#[test]
fn screen_that_comes_back_shows_the_newest_frame() {
    let Some(path) = card() else { return };
    let bench = Bench::show(options(path.clone(), MODE), NEVER);
    let observer = bench.observer();
    bench.put_until(1, || observer.shown() > 0);
    let status = status_file(&path);
    std::fs::write(&status, "off").unwrap();
    bench.wait("unplugging to be noticed", || observer.on().is_none());
    bench.put(500);
    let shown = observer.shown();
    std::fs::write(&status, "on").unwrap();
    bench.wait("the newest frame", || observer.shown() > shown);
    std::fs::write(&status, "detect").unwrap();
    let glass = Writeback::new(&bench.card, SIZE).capture();
    let area = layout(1280, 720).picture;
    let at = |x: usize, y: usize| {
        glass.at(area.left + x * area.width / 320, area.top + y * area.height / 320)
    };
    assert_eq!(numbers(at), (500, 500));
}

#[test]
fn what_was_on_the_screen_is_there_again_afterwards() {
    let Some(path) = card() else { return };
    let state = |card: &Card| {
        let crtc = card.resource_handles().unwrap().crtcs()[0];
        let info = card.get_crtc(crtc).unwrap();
        (info.mode().map(|mode| (mode.size(), mode.clock())), info.framebuffer())
    };
    let hdmi = Hdmi::claim(options(path.clone(), MODE)).unwrap();
    let before = state(hdmi.card());
    drop(hdmi);
    let bench = Bench::show(options(path, "800x600"), NEVER);
    let observer = bench.observer();
    bench.put_until(1, || observer.shown() > 0);
    let card = bench.card.clone();
    let during = state(&card);
    assert_eq!(during.0.unwrap().0, (800, 600));
    drop(bench);
    assert_eq!(state(&card), before);
}

#[test]
fn mode_that_the_screen_has_not_is_refused_with_those_that_it_has() {
    let Some(path) = card() else { return };
    let error = Hdmi::claim(options(path, "1234x77")).unwrap_err();
    let DisplayError::NoMode { offered, .. } = &error else { panic!("{error}") };
    assert!(offered.iter().any(|mode| mode.starts_with("1280x720@")), "{error}");
}

#[test]
fn second_opener_is_told_that_the_card_is_taken() {
    let Some(path) = card() else { return };
    let first = Hdmi::claim(options(path.clone(), MODE)).unwrap();
    // Both are this process, which is not its own holder.
    let error = Card::claim(&WantedCard::At(path.clone())).unwrap_err();
    assert_eq!(error, DisplayError::Held { path, holders: Vec::new() });
    drop(first);
}

fn status_file(card: &std::path::Path) -> std::path::PathBuf {
    let name = card.file_name().unwrap().to_str().unwrap();
    let entries = std::fs::read_dir("/sys/class/drm").unwrap().flatten();
    let is_ours = |path: &std::path::PathBuf| {
        let file = path.file_name().unwrap().to_str().unwrap();
        file.starts_with(&format!("{name}-")) && !file.contains("Writeback")
    };
    entries.map(|entry| entry.path()).find(is_ours).unwrap().join("status")
}
