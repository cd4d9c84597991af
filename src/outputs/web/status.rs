//! `/status`: everything the page shows, and what a script would ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::visitors::VisitorFigures;
use super::window::WindowFigures;
use crate::outputs::DISCLAIMER;
use crate::outputs::exposure::ExposureFigures;
use crate::outputs::figures::model_card::trained_on;
use crate::outputs::figures::power::PowerFigures;
use crate::outputs::figures::recovery::RecoveryFigures;
use crate::outputs::figures::{
    COUNTERS, Facts, Ladder, NetworkFacts, Part, Seen, SensorFigures, SensorRates, StageFigures,
    milliseconds,
};
use crate::outputs::measure::VesselFigures;
use crate::outputs::mqtt::MqttFigures;
use crate::outputs::overlay::Freshness;
use crate::outputs::recent::RecentRates;
use crate::outputs::record::SwitchFigures;
use crate::pipeline::{Frame, Snapshot};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// The answer, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    version: u32,
    disclaimer: &'static str,
    qsegment: &'a str,
    /// "live", "stale" or "no_signal".
    state: &'static str,
    stale_after_ms: f64,
    ladder: &'a Ladder,
    network: &'a NetworkFacts,
    /// What the network was trained on; null for one that is not our own.
    model_card: Option<&'static str>,
    /// Of the newest mask. Null before the first where the simulated sensor looks at its whole scene, and while a moved
    /// window settles.
    seen: Option<Seen>,
    source: Source<'a>,
    newest_mask: Option<NewestMask>,
    /// Null where nothing is measured, before the first measurement, and unless the mask is live.
    vessels: Option<VesselFigures>,
    /// Null without a camera: the simulated sensor has no exposure.
    exposure: Option<ExposureFigures>,
    /// Over the last seconds, host clock.
    recent: Option<RecentRates>,
    /// Since the start, sensor clock.
    rates: SensorRates,
    stages: Vec<StageFigures>,
    counters: BTreeMap<&'static str, u64>,
    injected_faults: BTreeMap<&'static str, u64>,
    device_events: BTreeMap<&'static str, u64>,
    recovery: RecoveryFigures,
    queue_drops: BTreeMap<&'static str, u64>,
    /// One entry an instrument; never added.
    power: Vec<PowerFigures>,
    /// Connector, mode and how picture and mask get there; null where there is no screen.
    screen: Option<&'a str>,
    /// Null where there is no broker.
    mqtt: Option<MqttFigures>,
    last_error: Option<&'a str>,
    /// What of the sensor the network sees; null where the source has none.
    window: Option<WindowFigures>,
    /// Whether what comes is recorded.
    recording: SwitchFigures,
    /// Who is connected to the page, and how many were turned away, by reason.
    http: VisitorFigures,
}

#[derive(Debug, Serialize)]
struct Source<'a> {
    quality: Quality,
    frame_interval_ms: f64,
    scene: Option<&'a str>,
    seed: Option<u64>,
    pace: Option<&'a str>,
    /// "none", "horizontal", "vertical" or "both": which way pictures are turned (`camera.flip`).
    flip: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct NewestMask {
    sequence: u64,
    frame_count: u8,
    lag_frames: u32,
    age_ms: f64,
    width: usize,
    height: usize,
    threshold: f64,
    /// Null unless the mask is live: a number that is no longer true is not shown.
    vessel_fraction: Option<f32>,
    /// What of the sensor it shows; null while a moved window settles.
    window: Option<Part>,
    /// Null where the host runs the network: the sensor has run another one, or none.
    dnn_runtime_ms: Option<f64>,
    sensor: SensorFigures,
}

/// What it is made of, all at one moment.
pub(super) struct Moment<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) facts: &'a Facts,
    /// With the moment itself, host clock.
    pub(super) newest: Option<(&'a Frame, Timestamp)>,
    pub(super) freshness: Freshness,
    pub(super) stale_after: Duration,
    pub(super) vessels: Option<VesselFigures>,
    pub(super) exposure: Option<ExposureFigures>,
    pub(super) recent: Option<RecentRates>,
    pub(super) mqtt: Option<MqttFigures>,
    pub(super) window: Option<WindowFigures>,
    pub(super) recording: SwitchFigures,
    pub(super) http: VisitorFigures,
}

impl<'a> From<Moment<'a>> for Status<'a> {
    fn from(of: Moment<'a>) -> Self {
        let Moment { snapshot, facts, newest, freshness, .. } = of;
        Self {
            version: 1,
            disclaimer: DISCLAIMER,
            qsegment: &facts.version,
            state: freshness.name(),
            stale_after_ms: milliseconds(of.stale_after),
            ladder: &facts.ladder,
            network: &facts.network,
            model_card: trained_on(&facts.network.sha256),
            seen: match newest {
                Some((frame, _)) => frame.window.map(Seen::from),
                None => facts.seen,
            },
            source: Source {
                quality: snapshot.source.quality,
                frame_interval_ms: milliseconds(snapshot.source.frame_interval),
                scene: facts.scene.as_deref(),
                seed: facts.seed,
                pace: facts.pace.as_deref(),
                flip: facts.flips.name(),
            },
            newest_mask: newest.map(|(frame, now)| NewestMask::new(frame, now, freshness)),
            vessels: of.vessels,
            exposure: of.exposure,
            recent: of.recent,
            rates: SensorRates::from(snapshot),
            stages: snapshot.stages.iter().map(StageFigures::from).collect(),
            counters: COUNTERS.map(|c| (c.name, (c.value)(&snapshot.counters))).into(),
            injected_faults: snapshot.injected_faults.iter().copied().collect(),
            device_events: snapshot.device_events.iter().copied().collect(),
            recovery: snapshot.recovery.into(),
            queue_drops: snapshot.queue_drops.iter().copied().collect(),
            power: snapshot.power.iter().map(PowerFigures::from).collect(),
            screen: snapshot.screen.as_deref(),
            mqtt: of.mqtt,
            last_error: snapshot.last_error.as_deref(),
            window: of.window,
            recording: of.recording,
            http: of.http,
        }
    }
}

impl NewestMask {
    pub(super) fn new(frame: &Frame, now: Timestamp, freshness: Freshness) -> Self {
        Self {
            sequence: frame.sequence,
            frame_count: frame.frame_count,
            lag_frames: frame.lag_frames,
            age_ms: milliseconds(frame.stamps.age_at(now)),
            width: frame.mask_width,
            height: frame.mask_height,
            threshold: f64::from(frame.threshold) / 256.0,
            vessel_fraction: (freshness == Freshness::Live).then_some(frame.vessel_fraction),
            window: frame.window.map(Part::from),
            dnn_runtime_ms: frame.kpi.map(|kpi| f64::from(kpi.dnn_runtime_us) / 1000.0),
            sensor: SensorFigures::from(&frame.sensor),
        }
    }
}
