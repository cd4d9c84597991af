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
//! Once warm nothing is allocated for a frame; documents are made when somebody asks for one.

mod figures;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::process::setpriority_process;

use super::figures::Seen;
use crate::pipeline::Frame;
use crate::pipeline::field_of_view::FieldOfView;
use crate::pipeline::measurements::Measuring;
use crate::pipeline::measurements::repeats::{Repeats, Under};
use crate::pipeline::quality::{self, Grade, Judge, Verdict};
use crate::pipeline::queue::{LatestSlot, Taken};
use crate::source::clock::Timestamp;
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
    thread: Option<JoinHandle<()>>,
}

/// Says what was measured last; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    newest: Arc<Mutex<Option<Measured>>>,
}

/// One frame by itself, which has no spread.
#[must_use]
pub fn of_frame(frame: &Frame, options: Options) -> VesselFigures {
    VesselFigures::from(&Work::new(options).measure(frame))
}

impl Live {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(slot: Arc<LatestSlot<Arc<Frame>>>, options: Options) -> io::Result<Self> {
        let observer = Observer::default();
        let mut work = Work::new(options);
        let tells = observer.clone();
        let thread = Builder::new().name("measure".to_owned()).spawn(move || {
            // Where it fails, measuring goes on all the same.
            let _ = setpriority_process(None, BEHIND_THE_FRAMES);
            loop {
                match slot.take(LOOK_AGAIN) {
                    Taken::Value(frame) => {
                        if work.is_due(frame.stamps.mask_ready) {
                            let measured = work.measure(&frame);
                            *tells.lock() = Some(measured);
                        }
                    }
                    Taken::TimedOut => {}
                    Taken::Closed => break,
                }
            }
        })?;
        Ok(Self { observer, thread: Some(thread) })
    }

    /// Says what was measured, also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the measure thread has panicked; this is a bug, please report it");
        }
    }
}

impl Observer {
    /// Of the frame that was measured last; none before the first.
    #[must_use]
    pub fn figures(&self) -> Option<VesselFigures> {
        let newest = *self.lock();
        newest.as_ref().map(VesselFigures::from)
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
    measuring: Measuring,
    repeats: Repeats,
    last: Option<Timestamp>,
}

impl Work {
    fn new(options: Options) -> Self {
        Self {
            options,
            field_of_view: FieldOfView::default(),
            judge: Judge::default(),
            measuring: Measuring::default(),
            repeats: Repeats::new(options.stable_frames),
            last: None,
        }
    }

    /// Whether the period is over; `now` is when the frame's mask was ready.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.last.is_none_or(|last| now.since(last) >= self.options.period);
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
/// A closed slot wakes its reader at once; this only bounds one wait.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// By how much the sides of a pixel may differ: no more than a length is off by anyway.
const SQUARE: f64 = 0.01;
