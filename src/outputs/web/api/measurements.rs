//! `GET /api/v1/measurements`: the newest numbers, or in words why there are none.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use serde::Serialize;
use serde_json::Value;

use super::wall_time;
use crate::outputs::DISCLAIMER;
use crate::outputs::overlay::Freshness;
use crate::outputs::web::{Site, routes};

/// The answer, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Measurements {
    version: u32,
    disclaimer: &'static str,
    /// "live", "stale" or "no_signal".
    state: &'static str,
    /// Wall clock of this answer, RFC 3339.
    time: String,
    /// Of the newest mask, which may be younger than the one that was measured.
    newest_sequence: Option<u64>,
    /// As under `vessels` in /status; null where `reason` says why.
    vessels: Value,
    reason: Option<&'static str>,
}

pub(super) async fn measurements(State(site): State<Arc<Site>>) -> Json<Measurements> {
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let (vessels, reason) = newest_vessels(&site, freshness);
    Json(Measurements {
        version: 1,
        disclaimer: DISCLAIMER,
        state: freshness.name(),
        time: wall_time(Duration::ZERO),
        newest_sequence: newest.map(|frame| frame.sequence),
        vessels,
        reason,
    })
}

/// What was measured last, while it is true; else null, and why.
pub(super) fn newest_vessels(site: &Site, freshness: Freshness) -> (Value, Option<&'static str>) {
    match freshness {
        Freshness::Live => {}
        Freshness::Stale { .. } => return (Value::Null, Some(STALE)),
        Freshness::NoSignal => return (Value::Null, Some(NO_SIGNAL)),
    }
    match routes::with_status(site, |status| serde_json::to_value(status)) {
        Ok(mut status) => match status.get_mut("vessels").map(Value::take) {
            None | Some(Value::Null) => (Value::Null, Some(NOT_MEASURED)),
            Some(vessels) => (vessels, None),
        },
        Err(error) => {
            tracing::error!(%error, "the status is no JSON");
            (Value::Null, Some(NOT_MEASURED))
        }
    }
}

const STALE: &str = "The newest mask is stale: what was measured on it no longer holds.";
const NO_SIGNAL: &str = "No mask has come, or none for a long time.";
const NOT_MEASURED: &str = "No mask has been measured yet, or measuring is off.";
