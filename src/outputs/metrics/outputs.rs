//! What outputs count for themselves.

use std::fmt::Error;

use super::family::{Families, Family};
use crate::outputs::record::RecordingFigures;
use crate::outputs::socket::SocketFigures;
use crate::outputs::web::VisitorFigures;

pub(super) fn recording(
    families: &mut Families<'_, '_>,
    recording: Option<&RecordingFigures>,
) -> Result<(), Error> {
    let Some(figures) = recording else { return Ok(()) };
    for (family, count) in [
        (RECORDED_FRAMES, figures.frames),
        (RECORDED_BYTES, figures.bytes),
        (RECORDING_FILES, figures.files),
        (RECORDING_FILES_REMOVED, figures.files_removed),
    ] {
        families.counter(family, count)?;
    }
    let lost = figures.dropped.iter().map(|(reason, count)| (vec![("reason", *reason)], *count));
    families.counters(RECORDING_DROPS, lost)
}

pub(super) fn socket(
    families: &mut Families<'_, '_>,
    socket: Option<&SocketFigures>,
) -> Result<(), Error> {
    let Some(figures) = socket else { return Ok(()) };
    families.gauge(SOCKET_CLIENTS, figures.clients as f64)?;
    for (family, count) in [
        (SOCKET_FRAMES, figures.frames),
        (SOCKET_BYTES, figures.bytes),
        (SOCKET_SKIPPED, figures.skipped),
    ] {
        families.counter(family, count)?;
    }
    let lost = figures.dropped.iter().map(|(reason, count)| (vec![("reason", *reason)], *count));
    families.counters(SOCKET_DROPS, lost)
}

pub(super) fn page(families: &mut Families<'_, '_>, figures: &VisitorFigures) -> Result<(), Error> {
    families.gauge(HTTP_CONNECTIONS, figures.connections as f64)?;
    let refused = figures.refused.iter().map(|(reason, count)| (vec![("reason", *reason)], *count));
    families.counters(HTTP_REFUSED, refused)
}

const HTTP_CONNECTIONS: Family = Family::new("http_connections", "", "Connections to the page now");
const HTTP_REFUSED: Family = Family::new(
    "http_refused",
    "",
    "Connections and requests to the page that were turned away, by reason",
);
const RECORDED_FRAMES: Family =
    Family::new("recorded_frames", "", "Frames of the recording that are safely on the disk");
const RECORDED_BYTES: Family = Family::new("recorded", "bytes", "Bytes of the recording on disk");
const RECORDING_FILES: Family = Family::new("recording_files", "", "Files of the recording begun");
const RECORDING_FILES_REMOVED: Family =
    Family::new("recording_files_removed", "", "Recordings that made room for newer ones");
const RECORDING_DROPS: Family =
    Family::new("recording_drops", "", "Frames that are not in the recording, by reason");
const SOCKET_CLIENTS: Family =
    Family::new("socket_clients", "", "Programs that are connected to the Unix socket");
const SOCKET_FRAMES: Family =
    Family::new("socket_frames", "", "Frames sent on the Unix socket, to all clients together");
const SOCKET_BYTES: Family =
    Family::new("socket_sent", "bytes", "Bytes sent on the Unix socket, to all clients together");
const SOCKET_SKIPPED: Family = Family::new(
    "socket_skipped_frames",
    "",
    "Frames that a client of the Unix socket was too slow for, of all clients together",
);
const SOCKET_DROPS: Family =
    Family::new("socket_drops", "", "Clients of the Unix socket sent away, by reason");
