//! Decides what is published when, and says goodbye.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use rumqttc::{AsyncClient, QoS};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::Feed;
use super::connection::Happened;
use super::discovery;
use super::documents::{Health, Measurements, Now, State, Vessels};
use super::figures::Observer;
use super::reading::{Reading, freshness};
use super::schedule::Schedule;
use super::topics::{CameraName, OFFLINE, ONLINE, Topics};
use crate::outputs::figures::milliseconds;
use crate::outputs::measure;
use crate::outputs::recent::Recent;
use crate::pipeline::Snapshot;
use crate::source::clock::Timestamp;

pub(super) struct Publisher {
    camera: CameraName,
    topics: Topics,
    feed: Feed,
    observer: Observer,
    schedule: Schedule,
    /// None without a connection.
    client: Option<AsyncClient>,
    newest: Option<Reading>,
    recent: Recent,
    /// Of the newest measurements.
    number: u64,
    /// When Home Assistant is told again what there is.
    announce_at: Option<Timestamp>,
}

/// What wakes the publisher.
pub(super) struct Wakes {
    pub(super) newest: watch::Receiver<Option<Reading>>,
    pub(super) happened: mpsc::Receiver<Happened>,
    /// Its other end is dropped.
    pub(super) stop: oneshot::Receiver<()>,
}

impl Publisher {
    pub(super) fn new(
        camera: CameraName,
        topics: Topics,
        period: Duration,
        feed: Feed,
        observer: Observer,
    ) -> Self {
        Self {
            camera,
            topics,
            feed,
            observer,
            schedule: Schedule::new(period),
            client: None,
            newest: None,
            recent: Recent::default(),
            number: 0,
            announce_at: None,
        }
    }

    /// Until it is stopped; then the broker is told so.
    pub(super) async fn run(mut self, wakes: Wakes, connection: JoinHandle<()>) {
        let Wakes { mut newest, mut happened, stop } = wakes;
        let mut stop = pin!(stop);
        let mut frames_come = true;
        loop {
            let rest = self.rest();
            tokio::select! {
                _ = &mut stop => break,
                Some(happened) = happened.recv() => self.take(happened),
                changed = newest.changed(), if frames_come => frames_come = changed.is_ok(),
                () = tokio::time::sleep(rest) => {}
            }
            self.newest = *newest.borrow_and_update();
            self.send_what_is_due();
        }
        self.leave(connection).await;
    }

    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Up(client) => {
                self.client = Some(client);
                self.announce();
                // After what explains it, so that nobody sees a camera that is online and has no health.
                self.schedule.start_over();
                self.send_what_is_due();
                self.offer(self.topics.state(), QoS::AtLeastOnce, true, ONLINE);
            }
            Happened::Down => self.client = None,
            Happened::Birth => {
                let at = self.feed.clock.now().plus(discovery::delay(&self.camera));
                self.announce_at.get_or_insert(at);
            }
        }
    }

    fn announce(&mut self) {
        self.announce_at = None;
        let snapshot = (self.feed.snapshot)();
        let measures = self.feed.measure.is_some();
        let Self { topics, camera, feed, .. } = &*self;
        let all = discovery::announcements(topics, camera, &feed.facts, &snapshot, measures);
        for announcement in all {
            self.offer(announcement.topic, QoS::AtLeastOnce, true, announcement.payload);
        }
    }

    fn send_what_is_due(&mut self) {
        let now = self.feed.clock.now();
        if self.recent.is_due(now) {
            self.recent.push(now, (self.feed.snapshot)().counters);
        }
        if self.announce_at.is_some_and(|at| now >= at) {
            self.announce();
            // Home Assistant has seen none that are not retained.
            self.schedule.start_over();
        }
        let state = self.state(now);
        let due = self.schedule.take(now, state.name(), self.live(now));
        if !due.measurements && !due.health {
            return;
        }
        if self.client.is_none() {
            for _ in [due.measurements, due.health].into_iter().filter(|due| *due) {
                self.observer.drop_not_connected();
            }
            return;
        }
        let snapshot = (self.feed.snapshot)();
        if due.measurements {
            self.number += 1;
            let measured = self.feed.measure.as_ref().map(measure::Observer::figures);
            let vessels = match &measured {
                Some(figures) => Vessels::Measured(figures.as_ref()),
                None => Vessels::NotMeasured,
            };
            let of = Now { vessels, ..self.at(now, state, &snapshot) };
            let document = Measurements::new(of, self.number);
            let document = json(&document);
            // One that comes late is not wanted: without acknowledgement.
            self.offer(self.topics.measurements(), QoS::AtMostOnce, false, document);
        }
        if due.health {
            let document = self.health(now, state, &snapshot);
            self.offer(self.topics.health(), QoS::AtLeastOnce, true, document);
        }
    }

    fn health(&self, now: Timestamp, state: State, snapshot: &Snapshot) -> Vec<u8> {
        let stale_after_ms = milliseconds(self.feed.limits.stale_after());
        let (recent, figures) = (self.recent.rates(), self.observer.figures());
        json(&Health::new(self.at(now, state, snapshot), stale_after_ms, recent, figures))
    }

    fn at<'a>(&'a self, now: Timestamp, state: State, snapshot: &'a Snapshot) -> Now<'a> {
        Now {
            camera: self.camera.as_str(),
            facts: &self.feed.facts,
            snapshot,
            newest: self.newest.as_ref(),
            vessels: Vessels::NotMeasured,
            state,
            now,
            wall: SystemTime::now(),
        }
    }

    fn state(&self, now: Timestamp) -> State {
        freshness(self.newest.as_ref(), now, self.feed.limits.stale_after()).into()
    }

    /// Number of the newest frame where it is live.
    fn live(&self, now: Timestamp) -> Option<u64> {
        let live = self.state(now) == State::Live;
        self.newest.filter(|_| live).map(|reading| reading.sequence)
    }

    fn rest(&self) -> Duration {
        let now = self.feed.clock.now();
        let rest = self.schedule.rest(now, self.live(now));
        self.announce_at.map_or(rest, |at| rest.min(at.since(now)))
    }

    /// Never waits: what finds no room is dropped and counted.
    fn offer(&self, topic: String, qos: QoS, retain: bool, payload: impl Into<Vec<u8>>) {
        let Some(client) = &self.client else { return self.observer.drop_not_connected() };
        if client.try_publish(topic, qos, retain, payload).is_err() {
            self.observer.drop_queue_full();
        }
    }

    /// Says that nothing will come any more, if somebody is there to hear it, and for no longer than [`GOODBYE`].
    async fn leave(mut self, connection: JoinHandle<()>) {
        let stopped = connection.abort_handle();
        if let Some(client) = self.client.take() {
            let snapshot = (self.feed.snapshot)();
            let health = self.health(self.feed.clock.now(), State::Offline, &snapshot);
            let (on_health, on_state) = (self.topics.health(), self.topics.state());
            let goodbye = async {
                client.publish(on_health, QoS::AtLeastOnce, true, health).await?;
                client.publish(on_state, QoS::AtLeastOnce, true, OFFLINE).await?;
                client.disconnect().await?;
                // It ends when the last of these has left the machine.
                drop(connection.await);
                Ok::<_, rumqttc::ClientError>(())
            };
            if !matches!(tokio::time::timeout(GOODBYE, goodbye).await, Ok(Ok(()))) {
                tracing::debug!(
                    "mqtt: the broker was not told that this is the end; its last will says so"
                );
            }
        }
        stopped.abort();
        self.observer.left();
    }
}

/// How long the end of a run waits for the broker.
const GOODBYE: Duration = Duration::from_secs(2);

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("keys are strings")
}
