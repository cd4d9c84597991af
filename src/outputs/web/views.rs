//! Draws the newest frame once for every style that somebody watches.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use tokio::sync::watch;

use super::{NOT_POISONED, Site};
use crate::outputs::overlay::{Freshness, Overlay, Picture, Style};
use crate::pipeline::Frame;
use crate::pipeline::queue::{LatestSlot, Taken};

/// Until `stopped`'s other end is dropped; then every stream ends.
pub(super) fn draw(site: &Site, slot: &LatestSlot<Arc<Frame>>, stopped: &Receiver<()>) {
    let mut overlay = Overlay::default();
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
            return site.views.close();
        }
        sample_rates(site);
        let newest = site.newest();
        let freshness = site.freshness(newest.as_deref());
        for (style, parts) in site.views.watched() {
            let shown = Shown::of(newest.as_deref(), freshness);
            let kept = parts.borrow().bytes.clone();
            let same = parts.borrow().shown == Some(shown);
            let bytes = if same {
                kept
            } else {
                part(overlay.draw(newest.as_deref(), style, freshness), shown)
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

/// The styles that are being watched.
#[derive(Debug, Default)]
pub(super) struct Views(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    views: Vec<(Style, watch::Sender<Part>)>,
    closed: bool,
}

impl Views {
    /// The newest part in this style, from the next frame or heartbeat on, or at once if somebody
    /// watches it already. None when drawing has ended.
    pub(super) fn watch(&self, style: Style) -> Option<watch::Receiver<Part>> {
        let mut watched = self.0.lock().expect(NOT_POISONED);
        if watched.closed {
            return None;
        }
        if let Some((_, parts)) = watched.views.iter().find(|(other, _)| *other == style) {
            let mut receiver = parts.subscribe();
            if parts.borrow().shown.is_some() {
                receiver.mark_changed();
            }
            return Some(receiver);
        }
        let (parts, receiver) = watch::channel(Part::default());
        watched.views.push((style, parts));
        Some(receiver)
    }
    /// Forgets the styles that nobody watches any more.
    fn watched(&self) -> Vec<(Style, watch::Sender<Part>)> {
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

/// One part of the multipart stream, shared by all who watch the same style.
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
    let jpeg = jpeg(picture);
    let mut bytes = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n{}\r\n",
        jpeg.len(),
        shown.headers()
    )
    .into_bytes();
    bytes.extend_from_slice(&jpeg);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(BOUNDARY_LINE);
    bytes.into()
}

fn jpeg(picture: Picture<'_>) -> Vec<u8> {
    let side = |side| u32::try_from(side).expect("a picture's side is at most 2 x 1280 pixels");
    let mut encoded = Vec::new();
    JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY)
        .encode(
            picture.rgb,
            side(picture.size.width()),
            side(picture.size.height()),
            ExtendedColorType::Rgb8,
        )
        .expect("a Vec takes everything, and a JPEG may have 65535 pixels a side");
    encoded
}

/// Opens the body, and ends every part.
pub(super) const BOUNDARY_LINE: &[u8] = b"--frame\r\n";
pub(super) const STREAM_TYPE: &str = "multipart/x-mixed-replace; boundary=frame";
/// Contours of one pixel survive it; half the bytes of 95.
const JPEG_QUALITY: u8 = 85;
/// How long a stall can stay unseen beyond the stale limit.
const HEARTBEAT: Duration = Duration::from_millis(250);
