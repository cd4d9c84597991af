//! The page: live picture, status, metrics.
//!
//! ```text
//!                            thread "web-draw"                 thread "web" (tokio)
//!   LatestSlot<Arc<Frame>>   takes the newest frame,   Part    one task a connection:
//!   ---------------------->  draws it once for every   ----->  /stream.mjpg      newest part, when
//!                            style somebody watches    watch                     the last is taken
//!                            (also when nothing came:          /live             the same as layers (live.rs)
//!                            a stall must be seen)             /status, /metrics from a Snapshot
//!                                                              /snapshot.png     drawn on its own
//!                                                              /api/v1/          for programs (api/mod.rs)
//! ```
//!
//! A `watch` channel holds one value: a client that reads slowly skips frames and delays nobody.
//! Two things can be changed here, `window` and `recording`, and `change` says how.
//! Who may look is `guard`'s to say, how much one client may take `connections`' and `visitors`'; SECURITY.md has the
//! whole of it. Nothing here opens a file that a request names: what is served is compiled in, or drawn.

mod api;
mod change;
mod connections;
mod guard;
mod layers;
mod lead;
mod live;
mod login;
mod page;
mod patience;
mod recording;
mod refusal;
mod routes;
mod status;
mod token;
mod views;
mod visitors;
mod window;

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::body::Bytes;
use rustix::process::setpriority_process;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::OutputError;
use super::exposure;
use super::figures::Facts;
use super::measure;
use super::metrics::Counted;
use super::mqtt;
use super::overlay::{Freshness, Overlay};
use super::recent::Recent;
use super::record::Switch;
use super::trace;
use crate::pipeline::queue::LatestSlot;
use crate::pipeline::trace::Trace;
use crate::pipeline::{Frame, Limits, Snapshot};
use crate::source::aim::Aim;
use crate::source::clock::{Clock, Timestamp};
use api::events::Events;
use change::Turnstile;
use connections::Peer;
use guard::Guard;
use refusal::Refusal;
use views::Views;
pub use visitors::VisitorFigures;
use visitors::Visitors;

pub use guard::{Access, HostName};
pub use token::{Token, TokenError};

/// A port that is ours, before anything is served on it.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

/// What the page shows.
pub struct Feed {
    /// Frames to draw.
    pub slot: Arc<LatestSlot<Arc<Frame>>>,
    /// Where the pipeline stands now; called up to a few times a second.
    pub snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// What `/metrics` is made of; called for every scrape.
    pub counted: Arc<dyn Fn() -> Counted + Send + Sync>,
    /// The last frames, one by one; called when somebody asks.
    pub trace: Arc<dyn Fn() -> Trace + Send + Sync>,
    /// What holds for the whole run.
    pub facts: Facts,
    /// The host clock that stamped the frames.
    pub clock: Clock,
    /// When a mask is stale.
    pub limits: Arc<Limits>,
    /// What exposure and white balance are doing, where there is a camera.
    pub exposure: Option<exposure::Observer>,
    /// Where the connection to the broker stands, where there is one.
    pub mqtt: Option<mqtt::Observer>,
    /// The configuration that is used, without secrets; called when somebody asks.
    pub configuration: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// What was measured of vessels, where they are.
    pub measure: Option<measure::Observer>,
    /// What of the sensor the network sees; none where the source has no window.
    pub aim: Option<Aim>,
    /// Begins and ends recordings.
    pub recording: Switch,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// A served page. Dropping it ends every connection within a second.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    /// Dropped first: their threads end when the other end is gone.
    stop: Option<(mpsc::Sender<()>, oneshot::Sender<()>)>,
    threads: Vec<JoinHandle<()>>,
}

impl Web {
    /// Refuses an address that other machines could reach without a token to keep them out.
    pub fn check(address: SocketAddr, access: &Access) -> Result<(), OutputError> {
        if address.ip().is_loopback() || access.token.is_some() {
            Ok(())
        } else {
            Err(OutputError::NoToken(address))
        }
    }

    /// Takes the port, so that one in use is found before the camera starts. Port 0 takes a free
    /// one.
    pub fn bind(address: SocketAddr, access: Access) -> Result<Self, OutputError> {
        Self::check(address, &access)?;
        // On Unix, std sets SO_REUSEADDR: a port of a daemon that has just ended is free at once,
        // and one that somebody listens on is still refused.
        let refused = |error: Error| match error.kind() {
            ErrorKind::AddrInUse => OutputError::AddressInUse(address),
            _ => OutputError::Listen { address, cause: error.to_string() },
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, access })
    }

    /// The address with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the returned value is dropped.
    pub fn serve(self, feed: Feed) -> Result<Serving, OutputError> {
        let Self { listener, address, access } = self;
        let no_thread = |error: Error| OutputError::Thread(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(SNAPSHOT_THREADS)
            .build()
            .map_err(no_thread)?;
        let Feed { slot, snapshot, counted, trace, facts, clock, limits, .. } = feed;
        let Feed { exposure, mqtt, measure, aim, recording, configuration, .. } = feed;
        let site = Arc::new(Site {
            snapshot,
            counted,
            trace,
            facts,
            clock,
            limits,
            exposure,
            mqtt,
            configuration,
            events: Events::default(),
            measure,
            aim,
            recording,
            changes: Turnstile::default(),
            newest: Mutex::default(),
            recent: Mutex::default(),
            views: Views::default(),
            asked: Kept::default(),
            traced: Kept::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            drawing: Arc::new(Semaphore::new(SNAPSHOT_THREADS)),
            guard: Guard::new(access, address),
            visitors: Arc::default(),
            snapshot_overlay: Mutex::default(),
        });
        let (stop_drawing, drawing_stopped) = mpsc::channel();
        let (stop_serving, serving_stopped) = oneshot::channel();
        let mut serving =
            Serving { address, stop: Some((stop_drawing, stop_serving)), threads: Vec::new() };
        let drawn = Arc::clone(&site);
        serving.spawn("web-draw", move || views::draw(&drawn, &slot, &drawing_stopped))?;
        serving.spawn("web", move || {
            let visitors = Arc::clone(&site.visitors);
            let router = routes::router(site);
            runtime.block_on(connections::serve(listener, router, visitors, serving_stopped));
        })?;
        Ok(serving)
    }
}

impl Serving {
    /// Where the page is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OutputError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Of this thread and those it starts. Where it fails the page is served all the same.
                let _ = setpriority_process(None, BEHIND_THE_FRAMES);
                run();
            })
            .map_err(|error| OutputError::Thread(error.to_string()))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the page has panicked");
            }
        }
    }
}

/// What both threads know.
struct Site {
    snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    counted: Arc<dyn Fn() -> Counted + Send + Sync>,
    trace: Arc<dyn Fn() -> Trace + Send + Sync>,
    facts: Facts,
    clock: Clock,
    limits: Arc<Limits>,
    exposure: Option<exposure::Observer>,
    mqtt: Option<mqtt::Observer>,
    configuration: Arc<dyn Fn() -> serde_json::Value + Send + Sync>,
    events: Events,
    measure: Option<measure::Observer>,
    aim: Option<Aim>,
    recording: Switch,
    changes: Turnstile,
    newest: Mutex<Option<Arc<Frame>>>,
    recent: Mutex<Recent>,
    views: Views,
    asked: Kept<Snapshot>,
    traced: Kept<Bytes>,
    streams: Arc<Semaphore>,
    drawing: Arc<Semaphore>,
    guard: Guard,
    visitors: Arc<Visitors>,
    snapshot_overlay: Mutex<Overlay>,
}

impl Site {
    fn newest(&self) -> Option<Arc<Frame>> {
        self.newest.lock().expect(NOT_POISONED).clone()
    }
    fn freshness(&self, newest: Option<&Frame>) -> Freshness {
        Freshness::of(newest, self.clock.now(), self.limits.stale_after())
    }
    /// A new one ten times a second at most, however many ask: taking one stops the decode thread for a moment, and
    /// where the processor is scarce this thread may itself be stopped while it does.
    fn snapshot(&self) -> Snapshot {
        self.asked.get(self.clock.now(), SNAPSHOT_EVERY, || (self.snapshot)())
    }
    /// As [`Self::snapshot`], the last ten seconds as a document.
    fn trace_json(&self) -> Bytes {
        self.traced.get(self.clock.now(), TRACE_EVERY, || {
            let last = (self.trace)().last(trace::SPAN);
            trace::chrome(&last, &self.facts, &self.snapshot()).to_string().into()
        })
    }
    /// Waits here and not in the queue of the drawing thread, which would draw for clients that have gone. None when
    /// the page is closed.
    async fn turn_to_draw(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.drawing).acquire_owned().await.ok()
    }
    /// Counts a wrong token, and lets whoever gave it wait: at most as many guesses a second as there are connections.
    async fn turn_down_wrong_token(&self, peer: Option<Peer>) {
        let times = self.visitors.refuse(Refusal::WrongToken);
        // The first, the second, the fourth, ...: somebody who guesses all night must not fill the journal.
        if times.is_power_of_two() {
            let peer = peer.map(|peer| peer.0.to_string()).unwrap_or_default();
            tracing::warn!("a wrong token came from {peer}; {times} since the start");
        }
        tokio::time::sleep(WRONG_TOKEN_TIME).await;
    }
}

/// An answer that is given again for a while.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<(Timestamp, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, now: Timestamp, every: Duration, make: impl FnOnce() -> T) -> T {
        let mut kept = self.0.lock().expect(NOT_POISONED);
        match &*kept {
            Some((made, value)) if now.since(*made) < every => value.clone(),
            _ => kept.insert((now, make())).1.clone(),
        }
    }
}

const SNAPSHOT_EVERY: Duration = Duration::from_millis(100);
const TRACE_EVERY: Duration = Duration::from_millis(500);
/// Watching the picture costs drawing and encoding, at worst once per stream (each in its own
/// style).
const MAX_STREAMS: usize = 8;
/// Pictures asked for one by one are drawn here, beside the streams; more would only wait for the
/// processor.
const SNAPSHOT_THREADS: usize = 1;
/// Niceness: where the processor is scarce, frames go first, by about ten to one.
const BEHIND_THE_FRAMES: i32 = 10;
/// A person who has mistyped does not mind; whoever tries them all does.
const WRONG_TOKEN_TIME: Duration = Duration::from_secs(1);
const NOT_POISONED: &str = "no code panics while it holds this lock";
