//! Who listens to everything at the broker, also after it was gone.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use crate::PATIENCE;

#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retained: bool,
}

impl Heard {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
    pub(crate) fn is(&self, topic: &str, payload: &str) -> bool {
        self.topic == topic && self.payload == payload.as_bytes()
    }
}

pub(crate) struct Subscriber {
    client: Client,
    heard: Receiver<Heard>,
}

impl Subscriber {
    /// Returns when it listens.
    pub(crate) fn new(port: u16) -> Self {
        Self::with_login(port, None)
    }

    pub(crate) fn with_login(port: u16, login: Option<(&str, &str)>) -> Self {
        let mut options = MqttOptions::new("subscriber", "127.0.0.1", port);
        options.set_max_packet_size(1 << 20, 1 << 20).set_keep_alive(Duration::from_secs(60));
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        let (client, connection) = Client::new(options, 16);
        let (message, heard) = channel();
        let (listens, listening) = channel();
        let subscribing = client.clone();
        thread::spawn(move || listen(connection, &subscribing, &message, &listens));
        listening.recv_timeout(PATIENCE).expect("the broker lets it listen");
        Self { client, heard }
    }

    pub(crate) fn publish(&self, topic: &str, payload: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).unwrap();
    }

    /// The next message.
    pub(crate) fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("something comes")
    }

    /// Waits for a message that `found` makes something of.
    pub(crate) fn wait<T>(&self, what: &str, mut found: impl FnMut(&Heard) -> Option<T>) -> T {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let heard = self.next();
            if let Some(found) = found(&heard) {
                return found;
            }
        }
        panic!("{what} did not come");
    }

    pub(crate) fn wait_for(&self, topic: &str, payload: &str) -> Heard {
        self.wait(&format!("{topic} {payload}"), |heard| {
            heard.is(topic, payload).then(|| heard.clone())
        })
    }

    /// Waits for a document on `topic` of which `wanted` holds.
    pub(crate) fn wait_document(&self, topic: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(topic, |heard| {
            let document = (heard.topic == topic).then(|| heard.json())?;
            wanted(&document).then_some(document)
        })
    }
}

fn listen(
    mut connection: Connection,
    client: &Client,
    message: &Sender<Heard>,
    listens: &Sender<()>,
) {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                client.try_subscribe("#", QoS::AtLeastOnce).unwrap();
            }
            // After the first nobody waits for it any more.
            Ok(Event::Incoming(Packet::SubAck(_))) => drop(listens.send(())),
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let heard = Heard {
                    topic: publish.topic.clone(),
                    payload: publish.payload.to_vec(),
                    retained: publish.retain,
                };
                if message.send(heard).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
