//! What programs ask for, under `/api/v1/`: everything of the page as JSON, and mask and probability as bytes.
//!
//! ```text
//!   status          the document of /status
//!   measurements    what was measured on the vessels, and whether it still holds
//!   snapshot        one document to keep beside a picture: network, threshold, quality, values
//!   configuration   what is used, without what must stay secret
//!   events          the same, pushed (server-sent events)
//!   mask            the newest, as bytes or as PNG
//!   probability
//!   openapi.json    this list, for machines; docs/api.md, for people
//! ```
//!
//! Version 1 stays: keys may come, none goes or changes what it means. Every answer says in a header that this is
//! for research, and what is refused is refused with a [`problem`].

mod configuration;
pub(super) mod events;
mod map;
pub(super) mod measurements;
pub(super) mod problem;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::header::HeaderName;
use axum::routing::get;

use super::{Site, routes};

/// All of it; the window and the recording, which can be changed, are routed by their own files.
pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v1/status", get(routes::status))
        .route("/api/v1/measurements", get(measurements::measurements))
        .route("/api/v1/snapshot", get(snapshot::snapshot))
        .route("/api/v1/configuration", get(configuration::configuration))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/mask", get(map::mask))
        .route("/api/v1/probability", get(map::probability))
        .route(
            "/api/v1/openapi.json",
            get(|| routes::file("application/json", include_str!("openapi.json"))),
        )
}

/// Whether a program asks, which reads JSON rather than sentences.
pub(super) fn is_asked(path: &str) -> bool {
    path.starts_with("/api/")
}

/// In every answer under `/api/`, also in those that are no JSON.
pub(super) const DISCLAIMER_HEADER: HeaderName = HeaderName::from_static("x-disclaimer");

/// The wall clock so long ago, RFC 3339.
fn wall_time(ago: Duration) -> String {
    let then = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(then).to_string()
}
