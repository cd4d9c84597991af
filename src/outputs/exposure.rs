//! The "exposure" thread: an output whose way ends in the camera.
//!
//! ```text
//!   LatestSlot<Arc<Frame>> --light, registers--> Controller --Order--> obey: the camera's controls
//!                                                     |
//!                                                     +--> Observer: /status, report
//! ```
//!
//! Only light and registers of a frame are looked at, which takes no time; setting the controls may take
//! a frame or two, and then the slot has the newest. A control that cannot be set is counted and told once:
//! the run goes on under the exposure that the sensor has.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::frame_thread::FrameThread;
use crate::pipeline::Frame;
use crate::pipeline::queue::LatestSlot;
use crate::source::imx500::CameraError;
use crate::source::imx500::exposure::{Controller, Order, Seen, State};

/// Sets what was ordered and gives what the device made of it.
pub type Obey = Box<dyn FnMut(Order) -> Result<Order, CameraError> + Send>;

/// What exposure and white balance are doing.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ExposureFigures {
    /// Where the controller stands.
    #[serde(flatten)]
    pub state: State,
    /// Orders that the device refused.
    pub orders_refused: u64,
    /// What it said the last time.
    pub last_refusal: Option<String>,
}

/// The running thread; it ends when the slot is closed. Dropping it waits for that.
#[derive(Debug)]
pub struct Exposing {
    observer: Observer,
    _thread: FrameThread,
}

/// Says what the thread is doing; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    figures: Arc<Mutex<ExposureFigures>>,
}

impl Exposing {
    /// Starts the thread. The frames of `slot` must be measured
    /// ([`crate::pipeline::Pipeline::measure_light`]) and come from a sensor of this frame interval.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(
        slot: Arc<LatestSlot<Arc<Frame>>>,
        frame_interval: Duration,
        controller: Controller,
        obey: Obey,
    ) -> io::Result<Self> {
        let observer = Observer::default();
        let mut adjusting =
            Adjusting { frame_interval, controller, obey, observer: observer.clone() };
        let take = move |frame: &Frame| adjusting.take(frame);
        let thread = FrameThread::start("exposure", slot, move || take)?;
        Ok(Self { observer, _thread: thread })
    }

    /// Says what it is doing, also after its end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }
}

impl Observer {
    /// As of the newest frame.
    #[must_use]
    pub fn figures(&self) -> ExposureFigures {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ExposureFigures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Adjusting {
    frame_interval: Duration,
    controller: Controller,
    obey: Obey,
    observer: Observer,
}

impl Adjusting {
    fn take(&mut self, frame: &Frame) {
        let Some(light) = frame.light else { return };
        // While a network on the host ran, the sensor has gone on.
        let since = frame.stamps.mask_ready.since(frame.stamps.received);
        let passed = since.as_nanos() / self.frame_interval.as_nanos().max(1);
        let orders = self.controller.push(Seen {
            number: frame.sequence.saturating_sub(frame.lag_frames.into()),
            newest: frame.sequence + u64::try_from(passed).unwrap_or(u64::MAX / 2),
            light,
            registers: frame.sensor,
            steady: frame.sensor_steady,
        });
        for order in orders.each() {
            match (self.obey)(order) {
                Ok(made) => self.controller.was_set(made),
                Err(refusal) => {
                    self.controller.was_refused(order);
                    self.count(&refusal);
                }
            }
        }
        self.observer.lock().state = self.controller.state();
    }

    fn count(&self, refusal: &CameraError) {
        let mut figures = self.observer.lock();
        if figures.orders_refused == 0 {
            tracing::warn!(
                "exposure or white balance cannot be set, and stays as it is: {refusal}"
            );
        }
        figures.orders_refused += 1;
        figures.last_refusal = Some(refusal.to_string());
    }
}
