//! Keeps a connection to the broker: one after another, with pauses that grow.
//!
//! ```text
//!            +--------------------- pause <----------------------+
//!            v                                                   |
//!   connect, subscribe --Up(client)--> packets both ways --> failure, told once
//!                                        |
//!                                        +-- Disconnect sent --> end
//! ```
//!
//! Every connection begins with a client of its own, so that nothing of a broken one is left over. What is told of a
//! failure is told again only when it is another, or after a connection that held.

use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, MqttOptions, Outgoing, Packet, QoS, Request, SubAck, SubscribeReasonCode,
};
use tokio::sync::mpsc;

use super::backoff::Backoff;
use super::failure::Failure;
use super::figures::Observer;
use crate::source::clock::{Clock, Timestamp};

/// What the publisher has to know.
pub(super) enum Happened {
    /// Connected; this is whom to give messages to.
    Up(AsyncClient),
    /// The connection is gone.
    Down,
    /// Home Assistant has started.
    Birth,
}

pub(super) struct Connection {
    pub(super) options: MqttOptions,
    /// As configured, for people.
    pub(super) broker: String,
    /// Where Home Assistant says that it has started.
    pub(super) birth: Option<String>,
    pub(super) backoff: Backoff,
    pub(super) clock: Clock,
    pub(super) observer: Observer,
    pub(super) happened: mpsc::Sender<Happened>,
    pub(super) told: Told,
}

/// What the log has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    failure: Option<Failure>,
    /// That it is over.
    mended: bool,
}

impl Connection {
    /// Until a client has disconnected, or nobody listens any more.
    pub(super) async fn run(mut self) {
        while let Err(failure) = self.run_once().await {
            self.tell(failure);
            if self.happened.send(Happened::Down).await.is_err() {
                return;
            }
            tokio::time::sleep(self.backoff.next()).await;
        }
    }

    /// One connection. `Ok` is an end that was wanted.
    async fn run_once(&mut self) -> Result<(), Failure> {
        let (client, mut packets) = AsyncClient::new(self.options.clone(), QUEUE_LEN);
        packets.network_options.set_tcp_nodelay(true);
        let mut up_since = None;
        loop {
            match packets.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    up_since = Some(self.clock.now());
                    self.connected(&client).await;
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let is_birth = self.birth.as_ref() == Some(&message.topic);
                    if is_birth && message.payload.as_ref() == b"online" {
                        // Several in a row are as good as one.
                        let _ = self.happened.try_send(Happened::Birth);
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => self.check(&answer),
                Ok(Event::Outgoing(Outgoing::Publish(_))) => self.observer.published(),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    let failure = Failure::of(&error);
                    let is_message = |request: &&Request| matches!(request, Request::Publish(_));
                    let lost = packets.pending.iter().filter(is_message).count();
                    self.observer.failed(&failure, lost as u64);
                    self.forgive(up_since);
                    return Err(failure);
                }
            }
        }
    }

    async fn connected(&mut self, client: &AsyncClient) {
        self.observer.connected();
        if self.told.failure.is_some() && !self.told.mended {
            self.told.mended = true;
            tracing::warn!("mqtt: connected to {} after all", self.broker);
        }
        if let Some(birth) = &self.birth {
            client
                .try_subscribe(birth, QoS::AtLeastOnce)
                .expect("the queue is empty, and the topic was checked");
        }
        // Nobody listens any more: then the client that disconnects has been handed out before.
        let _ = self.happened.send(Happened::Up(client.clone())).await;
    }

    fn check(&self, answer: &SubAck) {
        if let Some(birth) = &self.birth
            && answer.return_codes.contains(&SubscribeReasonCode::Failure)
        {
            tracing::warn!(
                "mqtt: the broker does not let this client read {birth}; discovery is not sent again when Home \
                 Assistant starts"
            );
        }
    }

    /// What was a failure before a connection that held is news again.
    fn forgive(&mut self, up_since: Option<Timestamp>) {
        if up_since.is_some_and(|since| self.clock.now().since(since) >= HAS_HELD) {
            self.backoff.reset();
            self.told = Told::default();
        }
    }

    fn tell(&mut self, failure: Failure) {
        if self.told.failure.as_ref() != Some(&failure) {
            tracing::warn!(
                "mqtt: no connection to {}, tried again until there is one: {failure}",
                self.broker
            );
            self.told = Told { failure: Some(failure), mended: false };
        }
    }
}

/// Messages that may wait for the network: everything that is sent on connecting, and some.
const QUEUE_LEN: usize = 64;

/// A connection of this age held.
const HAS_HELD: Duration = Duration::from_secs(30);
