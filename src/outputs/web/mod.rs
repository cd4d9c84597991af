//! The page on 127.0.0.1: live picture, status, metrics.
//!
//! ```text
//!                            thread "web-draw"                 thread "web" (tokio)
//!   LatestSlot<Arc<Frame>>   takes the newest frame,   Part    one task a connection:
//!   ---------------------->  draws it once for every   ----->  /stream.mjpg      newest part, when
//!                            style somebody watches    watch                     the last is taken
//!                            (also when nothing came:          /status, /metrics from a Snapshot
//!                            a stall must be seen)             /snapshot.png     drawn on its own
//! ```
//!
//! A `watch` channel holds one value: a client that reads slowly skips frames and delays nobody.
//! Only loopback addresses are served, and only under loopback names: a page of another site that
//! points its own name at 127.0.0.1 (DNS rebinding) is refused by its Host header.

mod connections;
mod routes;
mod status;
mod views;

use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{Semaphore, oneshot};

use super::OutputError;
use super::exposure;
use super::figures::Facts;
use super::metrics::Counted;
use super::overlay::{Freshness, Overlay};
use super::recent::Recent;
use crate::pipeline::queue::LatestSlot;
use crate::pipeline::trace::Trace;
use crate::pipeline::{Frame, Limits, Snapshot};
use crate::source::clock::Clock;
use views::Views;

/// A port that is ours, before anything is served on it.
#[derive(Debug)]
pub struct Web {
    listener: TcpListener,
    address: SocketAddr,
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
    /// Refuses an address that other machines could reach: there is no token yet to keep them out.
    pub fn check(address: SocketAddr) -> Result<(), OutputError> {
        if address.ip().is_loopback() { Ok(()) } else { Err(OutputError::NotLoopback(address)) }
    }

    /// Takes the port, so that one in use is found before the camera starts. Port 0 takes a free
    /// one.
    pub fn bind(address: SocketAddr) -> Result<Self, OutputError> {
        Self::check(address)?;
        // On Unix, std sets SO_REUSEADDR: a port of a daemon that has just ended is free at once,
        // and one that somebody listens on is still refused.
        let refused = |error: Error| match error.kind() {
            ErrorKind::AddrInUse => OutputError::AddressInUse(address),
            _ => OutputError::Listen { address, cause: error.to_string() },
        };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// The address with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the returned value is dropped.
    pub fn serve(self, feed: Feed) -> Result<Serving, OutputError> {
        let Self { listener, address } = self;
        let no_thread = |error: Error| OutputError::Thread(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(SNAPSHOT_THREADS)
            .build()
            .map_err(no_thread)?;
        let Feed { slot, snapshot, counted, trace, facts, clock, limits, exposure } = feed;
        let site = Arc::new(Site {
            snapshot,
            counted,
            trace,
            facts,
            clock,
            limits,
            exposure,
            newest: Mutex::default(),
            recent: Mutex::default(),
            views: Views::default(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            snapshot_overlay: Mutex::default(),
        });
        let (stop_drawing, drawing_stopped) = mpsc::channel();
        let (stop_serving, serving_stopped) = oneshot::channel();
        let mut serving =
            Serving { address, stop: Some((stop_drawing, stop_serving)), threads: Vec::new() };
        let drawn = Arc::clone(&site);
        serving.spawn("web-draw", move || views::draw(&drawn, &slot, &drawing_stopped))?;
        serving.spawn("web", move || {
            runtime.block_on(connections::serve(listener, routes::router(site), serving_stopped));
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
            .spawn(run)
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
    newest: Mutex<Option<Arc<Frame>>>,
    recent: Mutex<Recent>,
    views: Views,
    streams: Arc<Semaphore>,
    snapshot_overlay: Mutex<Overlay>,
}

impl Site {
    fn newest(&self) -> Option<Arc<Frame>> {
        self.newest.lock().expect(NOT_POISONED).clone()
    }
    fn freshness(&self, newest: Option<&Frame>) -> Freshness {
        Freshness::of(newest, self.clock.now(), self.limits.stale_after())
    }
}

/// Watching the picture costs drawing and encoding, at worst once per stream (each in its own
/// style).
const MAX_STREAMS: usize = 8;
/// Pictures asked for one by one are drawn here, beside the streams; more would only wait for the
/// processor.
const SNAPSHOT_THREADS: usize = 1;
const NOT_POISONED: &str = "no code panics while it holds this lock";
