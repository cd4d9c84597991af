//! The daemon and a real broker: mosquitto of Debian's packages. Without it these tests say SKIPPED.
//!
//! Nothing here looks at how long something takes; what must come is waited for, generously.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod broker;
mod camera;
mod configuration;
mod connection;
mod encrypted;
mod fleet;
mod home_assistant;
mod published;
mod slow_recording;
mod subscriber;

use std::net::TcpListener;
use std::time::Duration;

/// What has not come after this will not.
const PATIENCE: Duration = Duration::from_secs(120);

/// One that nobody listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
