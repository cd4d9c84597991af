//! The one card that all tests share, what is shown on it, and frames that carry their number.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use qsegment::formats::embedded::LinePacking;
use qsegment::outputs::hdmi::compose::Orientation;
use qsegment::outputs::hdmi::{Card, Feed, Hdmi, Observer, Options, Showing, WantedCard};
use qsegment::outputs::overlay::{Layer, Opacity, Scale, Style};
use qsegment::pipeline::queue::LatestSlot;
use qsegment::pipeline::{Counters, Frame, Limits, Recovery, Snapshot, Stamps};
use qsegment::source::clock::{Clock, StopSignal, Timestamp};
use qsegment::source::{Quality, SourceInfo};

/// Of picture and mask.
pub(crate) const SIDE: usize = 320;
/// Each bit of a frame's number is a square this wide.
const CELL: usize = 20;
/// Rows of the squares: in the picture, and in the mask.
const PICTURE_CELLS: usize = 10;
const MASK_CELLS: usize = 280;
const MASK_CELLS_END: usize = MASK_CELLS + CELL;
/// Longer than any machine needs; only a hang reaches it.
const FOR_EVER: Duration = Duration::from_secs(120);

/// Everything solid, so that a number can be read off the glass.
pub(crate) fn style() -> Style {
    let opacity = Opacity::new(1.0).unwrap();
    Style { layer: Layer::Heat, skeleton: false, opacity, scale: Scale::One }
}

/// The card under test.
#[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
pub(crate) fn card() -> Option<PathBuf> {
    let card = std::env::var_os("QSEGMENT_DISPLAY_CARD").map(PathBuf::from);
    if card.is_none() {
        eprintln!("SKIPPED: QSEGMENT_DISPLAY_CARD names no card of the virtual machine");
    }
    card
}

pub(crate) fn options(card: PathBuf, mode: &str) -> Options {
    Options {
        card: WantedCard::At(card),
        mode: Some(mode.parse().unwrap()),
        orientation: Orientation::default(),
        words: true,
        style: style(),
    }
}

/// A screen at work.
pub(crate) struct Bench {
    pub(crate) card: Card,
    pub(crate) slot: Arc<LatestSlot<Arc<Frame>>>,
    pub(crate) clock: Clock,
    showing: Showing,
}

impl Bench {
    pub(crate) fn show(options: Options, stale_after: Duration) -> Self {
        let hdmi = Hdmi::claim(options).unwrap_or_else(|error| panic!("{error}"));
        let card = hdmi.card().clone();
        let slot = Arc::new(LatestSlot::new("hdmi"));
        let clock = Clock::monotonic(StopSignal::default());
        let at = clock.clone();
        let showing = hdmi.show(Feed {
            slot: Arc::clone(&slot),
            snapshot: Arc::new(move || snapshot(at.now())),
            clock: clock.clone(),
            limits: Arc::new(Limits::new(128, stale_after, Duration::from_secs(1))),
        });
        Self { card, slot, clock, showing: showing.unwrap_or_else(|error| panic!("{error}")) }
    }

    pub(crate) fn observer(&self) -> Observer {
        self.showing.observer()
    }

    pub(crate) fn put(&self, number: u64) {
        self.slot.put(Arc::new(numbered(number, self.clock.now())));
    }

    /// Puts frames, each younger than the one before, until `done`.
    pub(crate) fn put_until(&self, first: u64, done: impl Fn() -> bool) -> u64 {
        let began = self.clock.now();
        let mut number = first;
        while !done() {
            assert!(self.clock.now().since(began) < FOR_EVER, "nothing was shown");
            self.put(number);
            number += 1;
            thread::sleep(Duration::from_millis(20));
        }
        number
    }

    pub(crate) fn wait(&self, what: &str, done: impl Fn() -> bool) {
        let began = self.clock.now();
        while !done() {
            assert!(self.clock.now().since(began) < FOR_EVER, "waiting for {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Its number in squares of picture and of mask; between them, slopes that every way of scaling has to keep.
pub(crate) fn numbered(number: u64, now: Timestamp) -> Frame {
    let bit = |x: usize| number >> (x / CELL) & 1 != 0;
    let byte = |value: usize| value.to_le_bytes()[0];
    let mut rgb = Vec::with_capacity(SIDE * SIDE * 3);
    let mut probability = Vec::with_capacity(SIDE * SIDE);
    for y in 0..SIDE {
        for x in 0..SIDE {
            if (PICTURE_CELLS..PICTURE_CELLS + CELL).contains(&y) {
                rgb.extend([u8::from(bit(x)) * 255; 3]);
            } else {
                rgb.extend([byte(x / 2 + 40), byte(y / 2 + 30), byte((x + y) / 4)]);
            }
            probability.push(match y {
                MASK_CELLS..MASK_CELLS_END => u8::from(bit(x)) * 255,
                100..200 => byte((x * 4 + y) % 256),
                _ => 0,
            });
        }
    }
    Frame {
        sequence: number,
        width: SIDE,
        height: SIDE,
        rgb,
        mask_width: SIDE,
        mask_height: SIDE,
        probability,
        threshold: 128,
        stamps: Stamps { received: now, mask_ready: now, ..Stamps::default() },
        ..Frame::default()
    }
}

/// The numbers that picture and mask carry in what was on the glass; `at` gives red, green and blue at a place of
/// the frame. In the mask's squares the heat is lime, and the picture under it is not.
pub(crate) fn numbers(at: impl Fn(usize, usize) -> [u8; 3]) -> (u64, u64) {
    let read = |row: usize, is_set: fn([u8; 3]) -> bool| {
        (0..SIDE / CELL)
            .filter(|bit| is_set(at(bit * CELL + CELL / 2, row + CELL / 2)))
            .fold(0, |number, bit| number | 1 << bit)
    };
    let white = |[red, _, _]: [u8; 3]| red > 127;
    let lime = |[_, green, _]: [u8; 3]| green > 220;
    (read(PICTURE_CELLS, white), read(MASK_CELLS, lime))
}

fn snapshot(now: Timestamp) -> Snapshot {
    Snapshot {
        source: SourceInfo {
            name: "prepared",
            quality: Quality::Simulated,
            frame_interval: Duration::from_millis(33),
            packing: LinePacking::Pi5,
        },
        counters: Counters::default(),
        injected_faults: Vec::new(),
        device_events: Vec::new(),
        recovery: Recovery::default(),
        behind_real_time: Duration::ZERO,
        stages: Vec::new(),
        buckets: Vec::new(),
        newest_tensor: None,
        queue_drops: Vec::new(),
        power: Vec::new(),
        screen: None,
        sensor_span: None,
        last_error: Some(
            "the camera has gone (/dev/video0); is its cable still seated?".to_owned(),
        ),
        taken_at: now,
    }
}

#[test]
fn number_can_be_read_off_a_frame_as_the_page_draws_it() {
    use qsegment::outputs::overlay::{Freshness, Overlay};
    for number in [0, 1, 0x5555, 0xffff, 40_961] {
        let frame = numbered(number, Timestamp::default());
        let mut overlay = Overlay::default();
        let drawn = overlay.draw(Some(&frame), style(), Freshness::Live);
        let at = |x: usize, y: usize| drawn.rgb[(y * SIDE + x) * 3..][..3].try_into().unwrap();
        assert_eq!(numbers(at), (number, number));
    }
}
