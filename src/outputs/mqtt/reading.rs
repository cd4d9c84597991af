//! What is published of a frame, and the "mqtt-frames" thread that reads it off.
//!
//! ```text
//!   LatestSlot<Arc<Frame>> --> Reading --watch: newest wins--> publishing
//! ```
//!
//! The frame itself goes back at once: its pictures are not published, and a broker that is slow must not keep
//! them from the other outputs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::formats::embedded::SensorState;
use crate::outputs::overlay::Freshness;
use crate::pipeline::queue::{LatestSlot, Taken};
use crate::pipeline::{Frame, Stamps};
use crate::source::clock::Timestamp;

/// The numbers of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) sequence: u64,
    pub(super) vessel_fraction: f32,
    pub(super) sensor: SensorState,
    pub(super) stamps: Stamps,
}

impl From<&Frame> for Reading {
    fn from(frame: &Frame) -> Self {
        Self {
            sequence: frame.sequence,
            vessel_fraction: frame.vessel_fraction,
            sensor: frame.sensor,
            stamps: frame.stamps,
        }
    }
}

impl Reading {
    /// Age of the picture at `now` on the host clock.
    pub(super) fn age_at(&self, now: Timestamp) -> Duration {
        self.stamps.age_at(now)
    }
}

/// Of the newest reading, as the page has it.
pub(super) fn freshness(
    newest: Option<&Reading>,
    now: Timestamp,
    stale_after: Duration,
) -> Freshness {
    Freshness::at_age(newest.map(|reading| reading.age_at(now)), stale_after)
}

/// Until the slot is closed or nobody reads any more.
pub(super) fn read(slot: &LatestSlot<Arc<Frame>>, newest: &watch::Sender<Option<Reading>>) {
    while !newest.is_closed() {
        match slot.take(LOOK_AGAIN) {
            Taken::Value(frame) => {
                newest.send_replace(Some(Reading::from(&*frame)));
            }
            Taken::TimedOut => {}
            Taken::Closed => break,
        }
    }
}

/// How soon the thread sees that nobody reads any more.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
