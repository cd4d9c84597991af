//! `GET /api/v1/measurements`: the newest numbers, or in words why there are none.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Json;
use serde::Serialize;

use super::wall_time;
use crate::outputs::DISCLAIMER;
use crate::outputs::measure::{self, VesselFigures};
use crate::outputs::overlay::Freshness;
use crate::outputs::web::Site;

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
    vessels: Option<VesselFigures>,
    reason: Option<&'static str>,
}

pub(super) async fn measurements(State(site): State<Arc<Site>>) -> Json<Measurements> {
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let vessels = newest_vessels(&site, freshness);
    let reason = vessels.as_ref().err().copied();
    Json(Measurements {
        version: 1,
        disclaimer: DISCLAIMER,
        state: freshness.name(),
        time: wall_time(Duration::ZERO),
        newest_sequence: newest.map(|frame| frame.sequence),
        vessels: vessels.ok(),
        reason,
    })
}

/// What was measured last, while it is true; else why not.
pub(in crate::outputs::web) fn newest_vessels(
    site: &Site,
    freshness: Freshness,
) -> Result<VesselFigures, &'static str> {
    match freshness {
        Freshness::Live => {
            site.measure.as_ref().and_then(measure::Observer::figures).ok_or(NOT_MEASURED)
        }
        Freshness::Stale { .. } => Err(STALE),
        Freshness::NoSignal => Err(NO_SIGNAL),
    }
}

const STALE: &str = "The newest mask is stale: what was measured on it no longer holds.";
const NO_SIGNAL: &str = "No mask has come, or none for a long time.";
const NOT_MEASURED: &str = "No mask has been measured yet, or measuring is off.";
