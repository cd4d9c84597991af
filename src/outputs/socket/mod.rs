//! Frames for programs on the same machine, on a Unix socket.
//!
//! ```text
//!                            thread "socket-feed"          thread "socket" (tokio)
//!   LatestSlot<Arc<Frame>>   takes the newest frame  News   one task a client: copies the frame into its
//!   ---------------------->  and numbers it          ---->  own buffer, lets go of it, writes the buffer
//!                                                   watch   at the client's pace
//! ```
//!
//! A `watch` channel holds one value: a client that reads slowly skips frames, is told how many, and delays nobody. What
//! it is being sent is its own copy, so that not even eight clients that stand still hold frames that the pipeline
//! needs. Who does not read a message in time is sent away. Nothing is allocated per frame once each client's
//! buffer is there.
//!
//! Who may connect is a matter of the file's mode, of nothing else. The layout of the messages is in `formats/socket`.

mod client;
mod file;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use super::DISCLAIMER;
use super::figures::{Facts, Ladder, NetworkFacts, Seen, milliseconds};
use crate::formats::socket::emit_hello;
use crate::pipeline::queue::{LatestSlot, Taken};
use crate::pipeline::{Frame, Limits};
use crate::source::clock::{Clock, Timestamp};
use crate::source::{Quality, SourceInfo};
use file::SocketFile;

/// Where the socket is, and what it gives away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The socket's file.
    pub path: PathBuf,
    /// Its mode: who may connect.
    pub mode: u32,
    /// Whether pictures are given away, to clients that ask for them.
    pub pictures: bool,
    /// A client that has not read a message after this time is sent away.
    pub drop_after: Duration,
}

/// Why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error(
        "the socket {path} is held by {holder}; stop it, or choose another with socket.path (\"\" is none)"
    )]
    Held {
        /// The file.
        path: PathBuf,
        /// Who it is, as far as can be told.
        holder: String,
    },
    /// What is there is not ours to remove.
    #[error(
        "{path} is {what}, not a socket, and is left alone; remove it, or choose another with socket.path"
    )]
    Occupied {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It cannot be made.
    #[error(
        "cannot make the socket {path}: {cause}; is its folder there, and may this user write into it? (socket.path)"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The system gives no thread.
    #[error("cannot start the socket thread: {0}; is a limit on processes or memory reached?")]
    Thread(String),
}

/// A socket that is ours, before anything is served on it.
#[derive(Debug)]
pub struct Socket {
    options: Options,
    listener: UnixListener,
    file: SocketFile,
}

/// What a client is sent.
pub struct Feed {
    /// Frames.
    pub slot: Arc<LatestSlot<Arc<Frame>>>,
    /// What holds for the whole run.
    pub facts: Facts,
    /// Who makes the sensor's time stamps, and how far frames are apart.
    pub source: SourceInfo,
    /// The host clock that stamped the frames.
    pub clock: Clock,
    /// When a mask is stale.
    pub limits: Arc<Limits>,
}

/// What has been sent so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SocketFigures {
    /// Connected now.
    pub clients: u64,
    /// Frames sent, to all clients together.
    pub frames: u64,
    /// Bytes sent, to all clients together.
    pub bytes: u64,
    /// Frames that clients were too slow for.
    pub skipped: u64,
    /// Clients sent away, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl Socket {
    /// Makes the socket's file, so that what stands in its way is known before the camera starts. The file of a daemon
    /// that has died is replaced, nothing else is.
    ///
    /// # Errors
    /// When another program holds it, something else is there, or the system refuses.
    pub fn claim(options: Options) -> Result<Self, SocketError> {
        let (listener, file) = SocketFile::claim(&options.path, options.mode)?;
        Ok(Self { options, listener, file })
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// Serves until the returned value is dropped, which removes the file.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn serve(self, feed: Feed) -> Result<Serving, SocketError> {
        let Self { options, listener, file } = self;
        let no_thread = |error: io::Error| SocketError::Thread(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let hello = Hello::of(&feed, &options).message();
        let Feed { slot, clock, limits, .. } = feed;
        let opened = clock.now();
        let counts = Observer::default();
        let site = Arc::new(Site { options, hello, clock, limits, opened, counts: counts.clone() });
        let (newest, news) = watch::channel(None);
        let (stop_feeding, feeding_stopped) = mpsc::channel();
        let (stop_serving, serving_stopped) = oneshot::channel();
        let mut serving = Serving {
            counts,
            stop: Some((stop_feeding, stop_serving)),
            threads: Vec::new(),
            _file: file,
        };
        serving.spawn("socket-feed", move || hand_on(&slot, &newest, &feeding_stopped))?;
        serving.spawn("socket", move || {
            runtime.block_on(serve(listener, site, news, serving_stopped));
        })?;
        Ok(serving)
    }
}

/// A served socket. Dropping it ends every connection within a second, and removes the file.
#[derive(Debug)]
pub struct Serving {
    counts: Observer,
    /// Dropped first: their threads end when the other end is gone.
    stop: Option<(mpsc::Sender<()>, oneshot::Sender<()>)>,
    threads: Vec<JoinHandle<()>>,
    _file: SocketFile,
}

impl Serving {
    /// Says what was sent, also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.counts.clone()
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), SocketError> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| SocketError::Thread(error.to_string()))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the socket has panicked");
            }
        }
    }
}

/// Says what has been sent; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Observer(Arc<Mutex<Counts>>);

impl Observer {
    /// So far.
    #[must_use]
    pub fn figures(&self) -> SocketFigures {
        let Counts { clients, frames, bytes, skipped, too_slow, too_many, bad_request } =
            *self.counts();
        let dropped =
            [("too_slow", too_slow), ("too_many", too_many), ("bad_request", bad_request)].into();
        SocketFigures { clients, frames, bytes, skipped, dropped }
    }
    /// A panic elsewhere must not keep anyone from seeing how far it got.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    clients: u64,
    frames: u64,
    bytes: u64,
    skipped: u64,
    too_slow: u64,
    too_many: u64,
    bad_request: u64,
}

/// What all clients share.
struct Site {
    options: Options,
    hello: Vec<u8>,
    clock: Clock,
    limits: Arc<Limits>,
    opened: Timestamp,
    counts: Observer,
}

/// The newest frame, and how many were published until it.
#[derive(Debug, Clone)]
struct News {
    published: u64,
    frame: Arc<Frame>,
}

/// The first message of a connection, in JSON.
#[derive(Debug, Serialize)]
struct Hello<'a> {
    version: u32,
    disclaimer: &'static str,
    qsegment: &'a str,
    process: u32,
    network: &'a NetworkFacts,
    ladder: &'a Ladder,
    seen: Option<Seen>,
    /// Of the sensor's time stamps and registers.
    quality: Quality,
    frame_interval_ms: f64,
    /// What host stamps can be compared with.
    host_clock: &'static str,
    stale_after_ms: f64,
    /// Whether a picture comes to who asks for it.
    pictures: bool,
}

impl<'a> Hello<'a> {
    fn of(feed: &'a Feed, options: &Options) -> Self {
        let Feed { facts, source, clock, limits, .. } = feed;
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            qsegment: &facts.version,
            process: std::process::id(),
            network: &facts.network,
            ladder: &facts.ladder,
            seen: facts.seen,
            quality: source.quality,
            frame_interval_ms: milliseconds(source.frame_interval),
            host_clock: match clock.quality() {
                Quality::Simulated => "virtual",
                Quality::Measured | Quality::Estimated => "CLOCK_MONOTONIC",
            },
            stale_after_ms: milliseconds(limits.stale_after()),
            pictures: options.pictures,
        }
    }

    fn message(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("it holds no maps and no numbers that are none");
        let mut message = Vec::new();
        emit_hello(&json, &mut message);
        message
    }
}

/// Until the slot is closed, or `stop` is dropped. Dropping `newest` then ends the clients.
fn hand_on(
    slot: &LatestSlot<Arc<Frame>>,
    newest: &watch::Sender<Option<News>>,
    stop: &mpsc::Receiver<()>,
) {
    let mut taken = 0;
    while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
        match slot.take_counted(LOOK_UP) {
            Taken::Value((frame, replaced)) => {
                taken += 1;
                newest.send_replace(Some(News { published: taken + replaced, frame }));
            }
            Taken::TimedOut => {}
            Taken::Closed => break,
        }
    }
}

async fn serve(
    listener: UnixListener,
    site: Arc<Site>,
    news: watch::Receiver<Option<News>>,
    mut stop: oneshot::Receiver<()>,
) {
    let listener =
        listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the socket cannot be served");
            return;
        }
    };
    let free = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Those that have ended are forgotten.
            Some(_) = clients.join_next() => continue,
            _ = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&free).try_acquire_owned() {
                Ok(permit) => {
                    let (site, news) = (Arc::clone(&site), news.clone());
                    clients.spawn(async move {
                        client::converse(stream, &site, news).await;
                        drop(permit);
                    });
                }
                Err(_) => {
                    site.counts.counts().too_many += 1;
                    tracing::info!("the socket has {MAX_CLIENTS} clients; another was sent away");
                }
            },
            Err(error) => {
                // Out of descriptors, usually: waiting lets some be closed, retrying at once would spin.
                tracing::warn!(%error, "a client of the socket was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // The feed ends, too, and with it every client that reads; the others are given up.
    let all = async { while clients.join_next().await.is_some() {} };
    drop(tokio::time::timeout(GRACE, all).await);
}

/// Each may hold a copy of a frame, 1.6 MB with the network `accurate`.
const MAX_CLIENTS: usize = 8;
/// How often the feed looks whether it should end while no frame comes.
const LOOK_UP: Duration = Duration::from_millis(500);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_millis(500);
