//! Prepares the newest frame once for every view that somebody watches: drawn in a style, or as layers that a browser
//! draws itself.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::watch;

use super::layers::{Encoder, jpeg};
use super::{NOT_POISONED, Site};
use crate::outputs::overlay::{Freshness, Overlay, Picture, Style};
use crate::pipeline::Frame;
use crate::pipeline::queue::{LatestSlot, Taken};

/// Until `stopped`'s other end is dropped; then every stream ends.
pub(super) fn draw(site: &Site, slot: &LatestSlot<Arc<Frame>>, stopped: &Receiver<()>) {
    let mut overlay = Overlay::default();
    let mut encoder = Encoder::default();
    loop {
        let running = match slot.take(HEARTBEAT) {
            Taken::Value(frame) => {
                *site.newest.lock().expect(NOT_POISONED) = Some(frame);
                stopped.try_recv() == Err(TryRecvError::Empty)
            }
            Taken::TimedOut => stopped.try_recv() == Err(TryRecvError::Empty),
            // Nothing will come any more, but the last picture must still go stale before people's
            // eyes.
            Taken::Closed => stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout),
        };
        if !running {
            site.events.close();
            return site.views.close();
        }
        sample_rates(site);
        let newest = site.newest();
        let freshness = site.freshness(newest.as_deref());
        site.events.tell(newest.as_deref(), freshness);
        for (view, parts) in site.views.watched() {
            let shown = Shown::of(newest.as_deref(), freshness);
            let kept = parts.borrow().bytes.clone();
            let same = parts.borrow().shown == Some(shown);
            let bytes = match view {
                // It says its age, which is another one each time.
                View::Layers => encoder.message(newest.as_deref(), freshness, site.clock.now()),
                View::Drawn(_) if same => kept,
                View::Drawn(style) => {
                    part(overlay.draw(newest.as_deref(), style, freshness), shown)
                }
            };
            parts.send_replace(Part { shown: Some(shown), bytes });
        }
    }
}

fn sample_rates(site: &Site) {
    let now = site.clock.now();
    let due = site.recent.lock().expect(NOT_POISONED).is_due(now);
    if due {
        let counters = site.snapshot().counters;
        site.recent.lock().expect(NOT_POISONED).push(now, counters);
    }
}

/// How a frame is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// A JPEG with everything in it.
    Drawn(Style),
    /// Picture and probability apart (layers.rs).
    Layers,
}

/// The views that are being watched.
#[derive(Debug, Default)]
pub(super) struct Views(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    views: Vec<(View, watch::Sender<Part>)>,
    closed: bool,
}

impl Views {
    /// The newest part of this view, from the next frame or heartbeat on, or at once if somebody
    /// watches it already. None when drawing has ended.
    pub(super) fn watch(&self, view: View) -> Option<watch::Receiver<Part>> {
        let mut watched = self.0.lock().expect(NOT_POISONED);
        if watched.closed {
            return None;
        }
        if let Some((_, parts)) = watched.views.iter().find(|(other, _)| *other == view) {
            let mut receiver = parts.subscribe();
            if parts.borrow().shown.is_some() {
                receiver.mark_changed();
            }
            return Some(receiver);
        }
        let (parts, receiver) = watch::channel(Part::default());
        watched.views.push((view, parts));
        Some(receiver)
    }
    /// Forgets the views that nobody watches any more.
    fn watched(&self) -> Vec<(View, watch::Sender<Part>)> {
        let mut watched = self.0.lock().expect(NOT_POISONED);
        watched.views.retain(|(_, parts)| parts.receiver_count() > 0);
        watched.views.clone()
    }
    fn close(&self) {
        let mut watched = self.0.lock().expect(NOT_POISONED);
        watched.closed = true;
        watched.views.clear();
    }
}

/// One part of the multipart stream, or one message: shared by all who watch the same view.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    shown: Option<Shown>,
    pub(super) bytes: Bytes,
}

/// What a part shows; equal values look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Live { sequence: u64 },
    Stale { sequence: u64, tenths: u128 },
    NoSignal,
}

impl Shown {
    fn of(newest: Option<&Frame>, freshness: Freshness) -> Self {
        match (newest.map(|frame| frame.sequence), freshness) {
            (Some(sequence), Freshness::Live) => Self::Live { sequence },
            (Some(sequence), Freshness::Stale { age }) => {
                Self::Stale { sequence, tenths: age.as_millis() / 100 }
            }
            _ => Self::NoSignal,
        }
    }
    fn headers(self) -> String {
        match self {
            Self::Live { sequence } => format!("X-State: live\r\nX-Sequence: {sequence}\r\n"),
            Self::Stale { sequence, .. } => format!("X-State: stale\r\nX-Sequence: {sequence}\r\n"),
            Self::NoSignal => "X-State: no_signal\r\n".to_owned(),
        }
    }
}

/// Headers, JPEG and the boundary after it: browsers show a part when they see the next boundary,
/// so sending it at once saves them one frame of delay.
fn part(picture: Picture<'_>, shown: Shown) -> Bytes {
    let mut encoded = Vec::new();
    jpeg(&mut encoded, picture, JPEG_QUALITY);
    let mut bytes = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n{}\r\n",
        encoded.len(),
        shown.headers()
    )
    .into_bytes();
    bytes.extend_from_slice(&encoded);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(BOUNDARY_LINE);
    bytes.into()
}

/// Opens the body, and ends every part.
pub(super) const BOUNDARY_LINE: &[u8] = b"--frame\r\n";
pub(super) const STREAM_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";
/// Contours of one pixel survive it; half the bytes of 95.
const JPEG_QUALITY: u8 = 85;
/// How long a stall can stay unseen beyond the stale limit.
const HEARTBEAT: Duration = Duration::from_millis(250);
