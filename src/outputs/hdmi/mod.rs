//! A screen at the machine itself: picture and mask of one frame in one flip.
//!
//! ```text
//!                              thread "hdmi"
//!   LatestSlot<Arc<Frame>> --> newest frame -> draw into what is not shown -> one atomic commit --+
//!                                   ^                                                             |
//!                                   +---- buffers change places <----- flip, with its stamp ------+
//!
//!   choice   which card, connector, mode            planes   what of it the card does, and what the CPU
//!   layout   where picture and words are            compose  pixels in the screen's order, scaled
//!   screen   what is seen when it is not live       commit   atomic commits, what was there before
//!   show     the thread: when what is shown         drawing  a frame into the memory that is not shown
//! ```
//!
//! Until the flip of a commit nothing else is committed and nothing that is shown is drawn into; whatever frames
//! come meanwhile replace each other in the slot. The pipeline never waits for any of it.
//!
//! Screens come and go: once a second it looks whether the screen is still there, and sets the mode anew for one
//! that comes. A screen that is exchanged for another within that second keeps the mode of the first. A program
//! that takes the card away (on another virtual terminal) is waited for. At the end the screen shows again what
//! it has shown before.
//!
//! Tested on vkms and virtio-gpu, neither of which scales; that vc4 scales picture and mask as the properties say
//! has not been seen on hardware yet.

mod card;
pub mod choice;
mod commit;
pub mod compose;
mod drawing;
mod error;
pub mod layout;
pub mod planes;
mod screen;
mod show;
mod surface;
mod words;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::figures::Facts;
use super::overlay::Style;
use crate::pipeline::geometry::Size;
use crate::pipeline::latency::{DisplayLatency, StageBuckets, StageHistogram, StageLatency};
use crate::pipeline::queue::LatestSlot;
use crate::pipeline::trace::OnScreen;
use crate::pipeline::{Frame, Limits, Snapshot};
use crate::source::clock::{Clock, StopSignal};
pub use card::{Card, WantedCard};
pub use choice::WantedMode;
use compose::Orientation;
pub use error::DisplayError;

/// How to show.
#[derive(Debug, Clone)]
pub struct Options {
    /// On which card.
    pub card: WantedCard,
    /// In which mode; the screen's own preference where none is wanted.
    pub mode: Option<WantedMode>,
    /// How the screen hangs, and whether the picture is seen as in a mirror.
    pub orientation: Orientation,
    /// Whether figures stand beside the picture; the state and the disclaimer always do.
    pub words: bool,
    /// How the result is drawn. Its scale is the screen's.
    pub style: Style,
}

/// A card that is ours, before anything is shown on it.
#[derive(Debug)]
pub struct Hdmi {
    card: Card,
    options: Options,
    about: About,
}

/// What is known of the run once its source is open.
#[derive(Debug, Default)]
struct About {
    /// Whose aspect is the true one; that of the picture where nothing is known.
    seen: Option<Size>,
    /// Who runs the network: "sensor" or "host".
    inference: Option<String>,
}

/// What is shown.
pub struct Feed {
    /// Frames to show.
    pub slot: Arc<LatestSlot<Arc<Frame>>>,
    /// Where the pipeline stands now; called twice a second.
    pub snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// The host clock that stamped the frames.
    pub clock: Clock,
    /// When a mask is stale.
    pub limits: Arc<Limits>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A screen at work. Dropping it puts back what the screen has shown before, within a second.
#[derive(Debug)]
pub struct Showing {
    stop: StopSignal,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Hdmi {
    /// Opens the card and becomes its master, so that one that somebody else uses is found before the camera
    /// starts. A screen need not be there yet; one that is must have the wanted mode.
    pub fn claim(options: Options) -> Result<Self, DisplayError> {
        let card = Card::claim(&options.card)?;
        match card.head(options.mode)? {
            Some(head) => tracing::info!(
                "display: {} of {} in {}",
                head.name,
                card.path().display(),
                head.facts
            ),
            None => tracing::warn!(
                "display: no screen at {}; whichever is plugged in will be used",
                card.path().display()
            ),
        }
        Ok(Self { card, options, about: About::default() })
    }

    /// With what is known of the run: pictures get the aspect that they have on the sensor, which the network's
    /// input may squeeze, and the words tell who runs the network.
    #[must_use]
    pub fn about(self, facts: &Facts) -> Self {
        let seen = facts.seen.and_then(|seen| Size::new(seen.width_px, seen.height_px));
        let inference = Some(facts.ladder.inference.clone());
        Self { about: About { seen, inference }, ..self }
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Shows until the returned value is dropped.
    pub fn show(self, feed: Feed) -> Result<Showing, DisplayError> {
        let stop = StopSignal::default();
        let quality = (feed.snapshot)().source.quality;
        let state = State { latency: DisplayLatency::new(quality), shown: 0, on: None };
        let shared = Arc::new(Shared(Mutex::new(state)));
        let Self { card, options, about } = self;
        let show = show::Show::new(card, (options, about), feed, stop.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("hdmi".to_owned())
            .spawn(move || show.run())
            .map_err(|error| DisplayError::Thread(error.to_string()))?;
        Ok(Showing { stop, shared, thread: Some(thread) })
    }
}

impl Showing {
    /// What is known about the screen; cheap to clone, and good after the screen has gone.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.shared))
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.stop.raise();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the hdmi thread has panicked");
        }
    }
}

/// Looks at a screen at work.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Shared>);

impl Observer {
    /// How long frames took from mask to scan-out, for a snapshot's stages.
    #[must_use]
    pub fn stages(&self) -> Vec<StageLatency> {
        self.0.lock().latency.stages()
    }
    /// The same in buckets.
    #[must_use]
    pub fn buckets(&self) -> Vec<StageBuckets> {
        self.0.lock().latency.buckets()
    }
    /// Every count of those stages, for export.
    #[must_use]
    pub fn histograms(&self) -> Vec<StageHistogram> {
        self.0.lock().latency.histograms()
    }
    /// The frames shown last, one by one.
    #[must_use]
    pub fn on_screen(&self) -> Vec<OnScreen> {
        self.0.lock().latency.shown()
    }
    /// Frames that were shown live.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.0.lock().shown
    }
    /// Connector, mode and rung of the screen at this moment; none where there is none.
    #[must_use]
    pub fn on(&self) -> Option<String> {
        self.0.lock().on.clone()
    }
}

/// What the thread reports.
#[derive(Debug)]
struct Shared(Mutex<State>);

#[derive(Debug)]
struct State {
    latency: DisplayLatency,
    shown: u64,
    on: Option<String>,
}

impl Shared {
    /// A panic of the thread must not keep anybody from seeing how far it got.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
