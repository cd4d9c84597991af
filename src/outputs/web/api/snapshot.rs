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
use crate::outputs::web::Site;
use crate::pipeline::Frame;

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
    /// Grade, criteria and advice; null where `reason` says why.
    quality: Value,
    /// Every value with unit, uncertainty and definition; empty where `reason` says why.
    measurements: Value,
    reason: Option<&'static str>,
    links: Value,
}

pub(super) async fn snapshot(State(site): State<Arc<Site>>) -> Json<Value> {
    let now = site.clock.now();
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let (mut vessels, reason) = newest_vessels(&site, freshness);
    let mut part = |name: &str| vessels.get_mut(name).map(Value::take);
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
        seen: *seen,
        quality: part("quality").unwrap_or_default(),
        measurements: part("measurements").unwrap_or_else(|| json!([])),
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
