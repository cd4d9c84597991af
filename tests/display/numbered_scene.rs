//! A world of which every frame has a number, for the whole way: pictures that carry it in blue and in red, and a
//! network that finds vessels where there is red. So the mask's number was computed from the input tensor, and
//! picture and mask come in different buffers, as the simulated sensor sends them.
//!
//! ```text
//!   rows     2..6      8..12     20..24    26..30       16 bits, each two pixels wide
//!   number   blue      red       red       blue
//!   shows    picture   mask      mask      picture      torn pictures have two numbers of a kind
//! ```

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qsegment::emulator::Network;
use qsegment::source::clock::{Clock, StopSignal, Waited};
use qsegment::source::imx500::{Deliveries, Feed};
use qsegment::source::simulated::scene::{Motion, Scene};
use qsegment::source::simulated::timing::{Mode, RunTime};
use qsegment::source::simulated::{Options, Simulated, Timing};
use qsegment::source::{FrameSource, Next, RawFrame};

use crate::mctq_file::{MctqFile, Window};

/// Of picture and mask; `network.rpk` of tests/camera_files.rs has it.
pub(crate) const SIDE: usize = 32;
/// Numbers start over after this one.
pub(crate) const NUMBERS: u64 = 1024;

const BIT: usize = 2;
const PICTURE_ROWS: [usize; 2] = [4, 28];
const MASK_ROWS: [usize; 2] = [10, 22];
const HALF_ROW: usize = 2;

/// The numbers that the glass carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Of the picture, above and below.
    pub(crate) picture: [u64; 2],
    /// Of the mask.
    pub(crate) mask: [u64; 2],
}

impl Numbers {
    /// The one number, if there is but one.
    pub(crate) fn one(&self) -> Option<u64> {
        let Self { picture: [above, below], mask } = *self;
        (above == below && mask == [above; 2]).then_some(above)
    }
}

/// `at` gives the glass at a place of the picture, whose pixels are one wide.
pub(crate) fn numbers(at: impl Fn(f64, f64) -> [u8; 3]) -> Numbers {
    let read = |row: usize, is_set: fn([u8; 3]) -> bool| {
        (0..SIDE / BIT)
            .filter(|bit| is_set(at((bit * BIT + BIT / 2) as f64, row as f64)))
            .fold(0, |number, bit| number | 1 << bit)
    };
    let blue = |[_, _, blue]: [u8; 3]| blue > 127;
    // Where the mask is missing the picture is red there, and no number comes out.
    let lime = |[_, green, _]: [u8; 3]| green > 220;
    Numbers {
        picture: PICTURE_ROWS.map(|row| read(row, blue)),
        mask: MASK_ROWS.map(|row| read(row, lime)),
    }
}

/// The sensor at work in a thread of its own, until it is told to end.
pub(crate) struct World {
    stop: StopSignal,
    thread: JoinHandle<Vec<(&'static str, u64)>>,
}

impl World {
    /// Pictures are written into `folder` first.
    pub(crate) fn start(folder: &Path, faults: &[&str]) -> Self {
        for number in 0..NUMBERS {
            std::fs::write(folder.join(format!("{number:04}.ppm")), picture(number)).unwrap();
        }
        let frame_interval = Mode::Binned.frame_timing(0).interval;
        let options = Options {
            scene: Scene::Path(folder.to_owned()),
            show_each: frame_interval,
            motion: Motion::Still,
            timing: Timing::Given(RunTime {
                shortest: Duration::from_millis(44),
                longest: Duration::from_millis(75),
            }),
            faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
            ..Options::default()
        };
        let stop = StopSignal::default();
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || {
                let network = Network::load(&finds_red()).unwrap();
                let clock = Clock::simulated(stop.clone());
                let mut sensor = Simulated::new(options, &network, clock).unwrap();
                assert_eq!(sensor.info().frame_interval, frame_interval, "a picture a frame");
                let mut feed = Feed::open(None, FEED_LEN_BYTES).unwrap();
                let mut deliveries = Deliveries::new(frame_interval);
                let mut frame = RawFrame::default();
                while sensor.next(&mut frame).unwrap() == Next::Frame {
                    if feed.put(&deliveries.push(&frame), &stop).unwrap() == Waited::Stopped {
                        break;
                    }
                }
                sensor.injected_faults()
            })
        };
        Self { stop, thread }
    }

    /// Ends it: how often each fault has happened.
    pub(crate) fn end(self) -> Vec<(&'static str, u64)> {
        self.stop.raise();
        self.thread.join().unwrap()
    }
}

/// A portable pixmap.
fn picture(number: u64) -> Vec<u8> {
    let mut file = format!("P6 {SIDE} {SIDE} 255\n").into_bytes();
    for y in 0..SIDE {
        let near = |rows: [usize; 2]| rows.iter().any(|row| row.abs_diff(y) < HALF_ROW);
        for x in 0..SIDE {
            let bit = u8::from(number >> (x / BIT) & 1 != 0) * 255;
            file.extend(match () {
                () if near(PICTURE_ROWS) => [0, 0, bit],
                () if near(MASK_ROWS) => [bit, 0, 0],
                () => [0, 40, 0],
            });
        }
    }
    file
}

/// One convolution: the logit of a vessel is 16 where red is full, and -16 where there is none.
fn finds_red() -> Vec<u8> {
    let side = i64::try_from(SIDE).unwrap();
    let (mut file, input) = MctqFile::new(3, side, side, false);
    let window = Window { kernel: [1, 1], strides: [1, 1], pads: [0; 4], dilations: [1, 1] };
    let weights = (&[32.0, 0.0, 0.0][..], [1, 3, 1, 1]);
    let logit = file.conv(&input, weights, &[32.0], &[-16.0], 1, window);
    let output = file.quantise(&logit, 32.0, true);
    file.finish(&output)
}

const FEED_LEN_BYTES: u32 = 1 << 20;

#[test]
fn number_of_the_mask_comes_out_of_the_network() {
    let network = Network::load(&finds_red()).unwrap();
    let mut input = vec![0; 3 * SIDE * SIDE];
    input[5] = 255;
    let mut output = vec![0; SIDE * SIDE];
    let mut engine = qsegment::emulator::Engine::new(&network);
    engine.run(&input, &mut output);
    let logits: Vec<i8> = output.iter().map(|&byte| byte.cast_signed()).collect();
    assert_eq!(logits[..7], [-64, -64, -64, -64, -64, 63, -64]);
}
