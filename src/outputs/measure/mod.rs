//! The "measure" thread: is the newest frame worth measuring, and what do its vessels measure?
//!
//! ```text
//!   LatestSlot<Arc<Frame>> --> field of view --> Judge --+--> reject: no numbers, and what to do about it
//!     once a period at most                              |
//!                                                        +--> Measuring --> Repeats --> Observer: /status, MQTT,
//!                                                             this frame    the last N            /metrics
//! ```
//!
//! Quality comes first: a number of a frame that is out of focus is no number, and so it is none, not zero. A measurement
//! is that of one frame; how far it strays from frame to frame while nothing changes stands beside it. The thread yields
//! to the frame path, and frames that come while it is busy or before the period is over are passed by.
//!
//! While nobody asks, a frame every two seconds is enough: what is found then is there at the first question, and costs
//! next to nothing. What was found holds as long as a mask does, and until the next one is due.
//!
//! Once warm nothing is allocated for a frame; documents are made when somebody asks for one.

mod figures;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::setpriority_process;

use super::figures::Seen;
use super::frame_thread::FrameThread;
use crate::pipeline::field_of_view::FieldOfView;
use crate::pipeline::measurements::Measuring;
use crate::pipeline::measurements::repeats::{Repeats, Under};
use crate::pipeline::quality::{self, Grade, Judge, Verdict};
use crate::pipeline::queue::LatestSlot;
use crate::pipeline::{Frame, Limits, Stamps};
use crate::source::clock::{Clock, Timestamp};
use crate::source::simulated::isp::InferenceWindow;
use figures::Measured;

pub use figures::{UNCERTAINTY, VesselFigure, VesselFigures};

/// What is measured, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Options {
    /// Least time between two frames that are measured; zero measures every frame that it is fast enough for.
    pub period: Duration,
    /// Frames over which a figure's spread is taken.
    pub stable_frames: usize,
    /// Micrometres at the object that a pixel of the mask stands for, under the configured window.
    pub pixel_size_um: Option<f64>,
    /// Size of that window on the sensor; none is taken for square, and for that of every frame.
    pub seen: Option<Seen>,
}

/// The running thread; it ends when the slot is closed. Dropping it waits for that.
#[derive(Debug)]
pub struct Live {
    observer: Observer,
    _thread: FrameThread,
}

/// Says what was measured last; cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    newest: Arc<Mutex<Option<Measured>>>,
    clock: Clock,
    limits: Arc<Limits>,
    /// Since the thread looked last.
    asked: Arc<AtomicBool>,
}

/// One frame by itself, which has no spread.
#[must_use]
pub fn of_frame(frame: &Frame, options: Options) -> VesselFigures {
    VesselFigures::from(&Work::new(options).measure(frame))
}

impl Live {
    /// Starts the thread. `clock` has stamped the frames, and `limits` say when one is stale.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(
        slot: Arc<LatestSlot<Arc<Frame>>>,
        options: Options,
        clock: Clock,
        limits: Arc<Limits>,
    ) -> io::Result<Self> {
        let observer = Observer { newest: Arc::default(), clock, limits, asked: Arc::default() };
        let mut work = Work::new(options);
        let tells = observer.clone();
        let thread = FrameThread::start("measure", slot, move || {
            // Where it fails, measuring goes on all the same.
            let _ = setpriority_process(None, BEHIND_THE_FRAMES);
            move |frame| {
                let asked = tells.asked.swap(false, Ordering::Relaxed);
                if work.is_due(frame.stamps.mask_ready, asked) {
                    let measured = work.measure(frame);
                    *tells.lock() = Some(measured);
                }
            }
        })?;
        Ok(Self { observer, _thread: thread })
    }

    /// Says what was measured, also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }
}

impl Observer {
    /// Of the frame that was measured last; none before the first, and when it is too old to be believed.
    #[must_use]
    pub fn figures(&self) -> Option<VesselFigures> {
        self.newest().map(|(_, figures)| figures)
    }

    /// The same, with when that frame passed each stage.
    #[must_use]
    pub fn newest(&self) -> Option<(Stamps, VesselFigures)> {
        self.asked.store(true, Ordering::Relaxed);
        let newest = (*self.lock())?;
        let good_for = self.limits.stale_after() + newest.next_after;
        let holds = newest.stamps.age_at(self.clock.now()) <= good_for;
        holds.then(|| (newest.stamps, VesselFigures::from(&newest)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Measured>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread owns.
#[derive(Debug)]
struct Work {
    options: Options,
    field_of_view: FieldOfView,
    judge: Judge,
    /// Of the frame that was judged last.
    window: Option<InferenceWindow>,
    measuring: Measuring,
    repeats: Repeats,
    last: Option<Timestamp>,
    last_asked: Option<Timestamp>,
    /// Until the next measurement.
    period: Duration,
}

impl Work {
    fn new(options: Options) -> Self {
        Self {
            options,
            field_of_view: FieldOfView::default(),
            judge: Judge::default(),
            window: None,
            measuring: Measuring::default(),
            repeats: Repeats::new(options.stable_frames),
            last: None,
            last_asked: None,
            period: options.period,
        }
    }

    /// Whether the period is over; `now` is when the frame's mask was ready, `asked` whether somebody has asked since the
    /// frame before.
    fn is_due(&mut self, now: Timestamp, asked: bool) -> bool {
        if asked {
            self.last_asked = Some(now);
        }
        let is_read = self.last_asked.is_some_and(|asked| now.since(asked) < READ_AGAIN_WITHIN);
        let Options { period, .. } = self.options;
        self.period = if is_read { period } else { period.max(UNREAD_PERIOD) };
        let due = self.last.is_none_or(|last| now.since(last) >= self.period);
        if due {
            self.last = Some(now);
        }
        due
    }

    fn measure(&mut self, frame: &Frame) -> Measured {
        let Frame { rgb, width, height, probability, threshold, mask_width, mask_height, .. } =
            frame;
        let (picture, mask) = ((*width, *height), (*mask_width, *mask_height));
        let field = self.field_of_view.find(rgb, picture, mask);
        // Another view is not the old one moved.
        if std::mem::replace(&mut self.window, frame.window) != frame.window {
            self.judge.forget();
        }
        let verdict = self.judge.judge(quality::Seen {
            rgb,
            width: *width,
            height: *height,
            probability,
            threshold: *threshold,
            field,
            mask_width: *mask_width,
            mask_height: *mask_height,
        });
        let measurements = (verdict.grade > Grade::Reject)
            .then(|| self.measuring.measure(probability, *threshold, field, *mask_width));
        match &measurements {
            Some(measurements) => {
                let under = Under {
                    threshold: *threshold,
                    width: *mask_width,
                    height: *mask_height,
                    window: frame.window,
                };
                self.repeats.push(measurements, under, stillness(&verdict));
            }
            None => self.repeats.forget(),
        }
        Measured {
            sequence: frame.sequence,
            stamps: frame.stamps,
            window: frame.window,
            next_after: self.period,
            verdict,
            values: measurements.map_or([None; _], |measurements| measurements.figures()),
            spreads: self.repeats.spreads(),
            stable_frames: self.repeats.frames(),
            pixel_size_um: self.pixel_size_um(frame),
        }
    }

    /// Of what the frame shows: half as large where the network sees half the width of the configured window. None where
    /// a moved window settles, and where pixels are not square, since a length would depend on its direction.
    fn pixel_size_um(&self, frame: &Frame) -> Option<f64> {
        let Some(configured) = self.options.seen else { return self.options.pixel_size_um };
        let seen = Seen::from(frame.window?);
        let across = seen.width_px as f64 / frame.mask_width.max(1) as f64;
        let down = seen.height_px as f64 / frame.mask_height.max(1) as f64;
        let square = (across / down - 1.0).abs() < SQUARE;
        let scale = seen.width_px as f64 / configured.width_px.max(1) as f64;
        self.options.pixel_size_um.filter(|_| square).map(|size| size * scale)
    }
}

/// Overlap of the mask with that of the frame before, as the judge found it.
fn stillness(verdict: &Verdict) -> Option<f64> {
    verdict.criteria.iter().find(|of| of.standard.name == "stillness").and_then(|of| of.value)
}

/// Niceness: where the processor is scarce, frames go first, by about ten to one.
const BEHIND_THE_FRAMES: i32 = 10;
/// The page asks twice a second, a broker's publisher as often as it publishes.
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(5);
const UNREAD_PERIOD: Duration = Duration::from_secs(2);
/// By how much the sides of a pixel may differ: no more than a length is off by anyway.
const SQUARE: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_period_while_somebody_asks_and_every_two_seconds_else() {
        let period = Duration::from_millis(100);
        let mut work = Work::new(Options { period, ..Options::default() });
        let mut due = |millis: u64, asked| work.is_due(Timestamp(millis * 1_000_000), asked);
        assert!(due(0, false), "the first");
        assert_eq!(
            [100, 1999, 2000, 2100].map(|millis| due(millis, false)),
            [false, false, true, false]
        );
        assert!(due(2200, true), "at once for whoever asks");
        assert_eq!([2299, 2300, 7199].map(|millis| due(millis, false)), [false, true, true]);
        assert_eq!([7299, 9198, 9199].map(|millis| due(millis, false)), [false, false, true]);
    }
}
