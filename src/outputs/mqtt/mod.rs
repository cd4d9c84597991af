//! Publishes measurements and health of this camera to an MQTT broker, where many cameras meet.
//!
//! ```text
//!                           "mqtt-frames"              "mqtt" (tokio)
//!   LatestSlot<Arc<Frame>> --reading.rs--> watch --> publishing.rs: schedule.rs says when,
//!                            the numbers of the       documents.rs and discovery.rs say what
//!                            newest frame                  | bounded, never waits     ^ up, down, birth
//!   Snapshot -------------------- asked -------------->    v                          |
//!                                                     connection.rs: one connection after another --> broker
//! ```
//!
//! A broker that is slow, wrong or gone costs messages, each counted by reason, and nothing else: the frame path knows
//! nothing of it. Topics are in `topics.rs`, their manual is docs/mqtt.md.

mod backoff;
mod connection;
mod discovery;
mod documents;
mod failure;
mod figures;
mod measure;
mod publishing;
mod reading;
#[cfg(test)]
mod sample;
mod schedule;
mod tls;
mod topics;

use std::fmt;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

use super::OutputError;
use super::figures::Facts;
use super::measure as vessels;
use crate::pipeline::queue::LatestSlot;
use crate::pipeline::{Frame, Limits, Snapshot};
use crate::source::clock::Clock;
use backoff::Backoff;
use connection::{Connection, Told};
use publishing::{Publisher, Wakes};
use topics::{OFFLINE, Topics};

pub use failure::Kind;
pub use figures::{LastFailure, MqttFigures, Observer};
pub use tls::{Authorities, Identity, Tls, TlsError};
pub use topics::{CameraName, Prefix};

/// Where and how to publish.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom to connect to.
    pub broker: Broker,
    /// Who we are; none where the broker lets everybody in.
    pub login: Option<Login>,
    /// Under which name.
    pub camera: CameraName,
    /// First levels of every topic.
    pub topic_prefix: Prefix,
    /// First levels of Home Assistant's topics; none where it is not served.
    pub discovery_prefix: Option<Prefix>,
    /// Measurements are published at most this often.
    pub period: Duration,
    /// The broker takes us for gone when it has heard nothing for one and a half times as long; whole seconds.
    pub keep_alive: Duration,
}

/// A broker.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// None without encryption.
    pub tls: Option<Tls>,
}

/// User and password.
#[derive(Clone)]
pub struct Login {
    /// As the broker knows it.
    pub user: String,
    /// Of the user.
    pub password: String,
}

/// What is published.
pub struct Feed {
    /// The newest frame.
    pub slot: Arc<LatestSlot<Arc<Frame>>>,
    /// Where the pipeline stands now; called a few times a second.
    pub snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    /// What holds for the whole run.
    pub facts: Facts,
    /// The host clock that stamped the frames.
    pub clock: Clock,
    /// When a mask is stale.
    pub limits: Arc<Limits>,
    /// What was measured of vessels, where they are.
    pub measure: Option<vessels::Observer>,
}

/// Publishing goes on until this is dropped; then the broker is told, which takes two seconds at most.
#[derive(Debug)]
pub struct Publishing {
    observer: Observer,
    /// Dropped first: the threads end when the other end is gone.
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the threads "mqtt" and "mqtt-frames". A broker that cannot be reached is no error: it is tried until it can.
///
/// # Errors
/// When the system gives no thread.
pub fn start(options: Options, feed: Feed) -> Result<Publishing, OutputError> {
    let Options { camera, topic_prefix, discovery_prefix, period, .. } = &options;
    let topics = Topics::new(topic_prefix, camera, discovery_prefix.as_ref());
    let observer = Observer::new(options.broker.to_string(), camera.to_string());
    let (to_publisher, happened) = mpsc::channel(EVENTS_LEN);
    let connection = Connection {
        options: options.for_the_client(&topics),
        broker: options.broker.to_string(),
        birth: topics.birth(),
        backoff: Backoff::new(camera.clone()),
        clock: feed.clock.clone(),
        observer: observer.clone(),
        happened: to_publisher,
        told: Told::default(),
    };
    let (readings, newest) = watch::channel(None);
    let (stop, stopped) = oneshot::channel();
    let wakes = Wakes { newest, happened, stop: stopped };
    let slot = Arc::clone(&feed.slot);
    let publisher = Publisher::new(camera.clone(), topics, *period, feed, observer.clone());
    let runtime = runtime()?;
    let mut publishing = Publishing { observer, stop: Some(stop), threads: Vec::new() };
    publishing.spawn("mqtt-frames", move || reading::read(&slot, &readings))?;
    publishing.spawn("mqtt", move || {
        runtime.block_on(async {
            let connection = tokio::spawn(connection.run());
            publisher.run(wakes, connection).await;
        });
        // A name that is being looked up may take longer than anyone wants to wait for the end.
        runtime.shutdown_background();
    })?;
    Ok(publishing)
}

fn runtime() -> Result<Runtime, OutputError> {
    runtime::Builder::new_current_thread()
        .enable_all()
        // Looks up names, one at a time.
        .max_blocking_threads(1)
        .thread_name("mqtt-lookup")
        .build()
        .map_err(|error| OutputError::MqttThread(error.to_string()))
}

impl Options {
    fn for_the_client(&self, topics: &Topics) -> MqttOptions {
        let Broker { host, port, tls } = &self.broker;
        let mut options = MqttOptions::new(self.camera.as_str(), host, *port);
        options
            .set_keep_alive(self.keep_alive)
            .set_last_will(LastWill::new(topics.state(), OFFLINE, QoS::AtLeastOnce, true))
            .set_max_packet_size(LONGEST_INCOMING, LONGEST_OUTGOING);
        if let Some(Tls(config)) = tls {
            let config = TlsConfiguration::Rustls(Arc::clone(config));
            options.set_transport(Transport::tls_with_config(config));
        }
        if let Some(Login { user, password }) = &self.login {
            options.set_credentials(user, password);
        }
        options
    }
}

impl Publishing {
    /// Says how it goes, also after the end.
    #[must_use]
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    fn spawn(
        &mut self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), OutputError> {
        let thread = Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| OutputError::MqttThread(error.to_string()))?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of MQTT has panicked; this is a bug, please report it");
            }
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls } = self;
        let scheme = if tls.is_some() { "mqtts" } else { "mqtt" };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{host}{close}:{port}")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// What the connection tells the publisher, which always listens.
const EVENTS_LEN: usize = 16;
/// Only Home Assistant's word is read.
const LONGEST_INCOMING: usize = 16 << 10;
const LONGEST_OUTGOING: usize = 256 << 10;
