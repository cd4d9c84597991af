//! `GET /api/v1/snapshot`: what one must know to read a picture again in a year.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use serde::Serialize;
use serde_json::{Value, json};

use super::measurements::newest_vessels;
use super::wall_time;
use crate::outputs::DISCLAIMER;
use crate::outputs::figures::{Facts, Ladder, NetworkFacts, Seen};
use crate::outputs::measure::VesselFigure;
use crate::outputs::web::Site;
use crate::pipeline::Frame;
use crate::pipeline::quality::Verdict;

/// The answer, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot<'a> {
    version: u32,
    disclaimer: &'static str,
    qsegment: &'a str,
    /// "live", "stale" or "no_signal".
    state: &'static str,
    /// Wall clock when the newest picture began; null before the first.
    time: Option<String>,
    sequence: Option<u64>,
    age_ms: Option<f64>,
    /// The mask is `probability >= threshold`.
    threshold: Option<f64>,
    network: &'a NetworkFacts,
    ladder: &'a Ladder,
    scene: Option<&'a str>,
    seen: Option<Seen>,
    /// Of the frame that was measured, which may be a little older; null where `reason` says why.
    measured_sequence: Option<u64>,
    /// Grade, criteria and advice; null where `reason` says why.
    quality: Option<Verdict>,
    /// Every value with unit, uncertainty and definition; empty where `reason` says why.
    measurements: Vec<VesselFigure>,
    reason: Option<&'static str>,
    links: Value,
}

pub(super) async fn snapshot(State(site): State<Arc<Site>>) -> Json<Value> {
    let now = site.clock.now();
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let vessels = newest_vessels(&site, freshness);
    let reason = vessels.as_ref().err().copied();
    let vessels = vessels.ok();
    let Facts { version, network, ladder, scene, seen, .. } = &site.facts;
    let frame = newest.as_deref();
    let age = |frame: &Frame| frame.stamps.age_at(now);
    let snapshot = Snapshot {
        version: 1,
        disclaimer: DISCLAIMER,
        qsegment: version,
        state: freshness.name(),
        time: frame.map(|frame| wall_time(age(frame))),
        sequence: frame.map(|frame| frame.sequence),
        age_ms: frame.map(|frame| age(frame).as_secs_f64() * 1e3),
        threshold: frame.map(|frame| f64::from(frame.threshold) / 256.0),
        network,
        ladder,
        scene: scene.as_deref(),
        seen: frame.map_or(*seen, |frame| frame.window.map(Seen::from)),
        measured_sequence: vessels.as_ref().map(|vessels| vessels.sequence),
        quality: vessels.as_ref().map(|vessels| vessels.quality),
        measurements: vessels.map(|vessels| vessels.measurements).unwrap_or_default(),
        reason,
        links: json!({
            "picture": "/snapshot.png?style=off",
            "overlay": "/snapshot.png",
            "mask": "/api/v1/mask?format=png",
            "probability": "/api/v1/probability?format=png",
        }),
    };
    Json(serde_json::to_value(snapshot).expect("words and numbers are JSON"))
}
