//! What became of the connection and of the messages, for whoever looks at the camera and not at the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::failure::{Failure, Kind};

/// Where the connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MqttFigures {
    /// As configured, without user and password.
    pub broker: String,
    /// The name under which the camera is known there.
    pub camera: String,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Connections made so far.
    pub connections: u64,
    /// Attempts that failed, and connections that broke.
    pub failures: u64,
    /// Why there is no connection, or was none the last time.
    pub last_failure: Option<LastFailure>,
    /// Messages given to the network.
    pub published: u64,
    /// Messages that were not, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastFailure {
    /// What kind of thing is wrong.
    pub kind: Kind,
    /// Cause and next step.
    pub cause: String,
}

/// Says how it goes; cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer {
    broker: String,
    camera: String,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    connected: bool,
    connections: u64,
    failures: u64,
    last_failure: Option<LastFailure>,
    published: u64,
    not_connected: u64,
    queue_full: u64,
    connection_lost: u64,
}

impl Observer {
    pub(super) fn new(broker: String, camera: String) -> Self {
        Self { broker, camera, counts: Arc::default() }
    }

    /// Where it stands.
    #[must_use]
    pub fn figures(&self) -> MqttFigures {
        let counts = self.counts();
        MqttFigures {
            broker: self.broker.clone(),
            camera: self.camera.clone(),
            connected: counts.connected,
            connections: counts.connections,
            failures: counts.failures,
            last_failure: counts.last_failure.clone(),
            published: counts.published,
            dropped: counts.dropped().into(),
        }
    }

    /// Messages that were not published, by reason.
    #[must_use]
    pub fn dropped(&self) -> [(&'static str, u64); 3] {
        self.counts().dropped()
    }

    pub(super) fn connected(&self) {
        let mut counts = self.counts();
        counts.connected = true;
        counts.connections += 1;
    }
    /// `lost` messages were under way.
    pub(super) fn failed(&self, failure: &Failure, lost: u64) {
        let mut counts = self.counts();
        counts.connected = false;
        counts.failures += 1;
        counts.connection_lost += lost;
        let cause = failure.words.clone();
        counts.last_failure = Some(LastFailure { kind: failure.kind, cause });
    }
    pub(super) fn left(&self) {
        self.counts().connected = false;
    }
    pub(super) fn published(&self) {
        self.counts().published += 1;
    }
    pub(super) fn drop_not_connected(&self) {
        self.counts().not_connected += 1;
    }
    pub(super) fn drop_queue_full(&self) {
        self.counts().queue_full += 1;
    }

    /// A panic elsewhere must not keep anyone from seeing how it went.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn dropped(&self) -> [(&'static str, u64); 3] {
        [
            ("mqtt_not_connected", self.not_connected),
            ("mqtt_queue_full", self.queue_full),
            ("mqtt_connection_lost", self.connection_lost),
        ]
    }
}
