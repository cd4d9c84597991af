//! `/metrics`: OpenMetrics text made from one snapshot.
//!
//! The pipeline counts, this only words it: names are `qsegment_` plus the name in the report,
//! counters end in `_total`, units are in the names.

use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::figures::power::{PowerFigures, UncertainFigure};
use super::figures::{COUNTERS, Facts, SensorRates, definition};
use crate::pipeline::{Recovery, Snapshot};
use crate::source::recovery::Remedy;

/// Media type of what [`encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics. `newest_mask_age` is none before the first mask.
#[must_use]
pub fn encode(snapshot: &Snapshot, facts: &Facts, newest_mask_age: Option<Duration>) -> String {
    let mut registry = Registry::with_prefix("qsegment");
    registry.register_collector(Box::new(Scrape {
        snapshot: snapshot.clone(),
        facts: facts.clone(),
        newest_mask_age,
    }));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).expect("a String takes everything that is written");
    encoded
}

#[derive(Debug)]
struct Scrape {
    snapshot: Snapshot,
    facts: Facts,
    newest_mask_age: Option<Duration>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.build(&mut encoder)?;
        for counter in COUNTERS {
            let value = ConstCounter::new((counter.value)(&self.snapshot.counters));
            let metric =
                encoder.encode_descriptor(counter.name, counter.help, None, MetricType::Counter)?;
            value.encode(metric)?;
        }
        let faults = &self.snapshot.injected_faults;
        counts(
            &mut encoder,
            "injected_faults",
            "Faults that the simulated sensor injected",
            "fault",
            faults,
        )?;
        counts(
            &mut encoder,
            "device_events",
            "What went wrong between camera and host",
            "event",
            &self.snapshot.device_events,
        )?;
        self.recovery(&mut encoder)?;
        let drops = &self.snapshot.queue_drops;
        counts(
            &mut encoder,
            "queue_drops",
            "Frames refused or replaced by a queue",
            "queue",
            drops,
        )?;
        self.stages(&mut encoder)?;
        self.rates(&mut encoder)?;
        self.power(&mut encoder)
    }
}

impl Scrape {
    fn build(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let network = &self.facts.network;
        let info = Info::new(vec![
            ("version", self.facts.version.clone()),
            ("network", network.name.clone()),
            ("network_sha256", network.sha256.clone()),
            ("camera", self.facts.ladder.camera.clone()),
            ("inference", self.facts.ladder.inference.clone()),
        ]);
        let help =
            "This program, its network, and where on the camera and inference ladders it stands";
        info.encode(encoder.encode_descriptor("build", help, None, MetricType::Info)?)
    }

    fn recovery(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Recovery { counts: of, trying, camera_cycles } = self.snapshot.recovery;
        let steps = Remedy::ALL.map(|remedy| (remedy.name(), of.steps[remedy as usize]));
        let help = "Steps of recovery that were tried";
        counts(encoder, "recovery_steps", help, "remedy", &steps)?;
        for (name, help, count) in [
            (
                "recovery_failed_steps",
                "Steps of recovery that failed, or after which it was not well",
                of.failed_steps,
            ),
            (
                "recoveries",
                "How often the source was well again after steps of recovery",
                of.recovered,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(metric)?;
        }
        let help = "1 while the source is being recovered";
        let metric = encoder.encode_descriptor("recovering", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(trying.is_some())).encode(metric)?;
        if let Some(cycles) = camera_cycles {
            let help =
                "Starts of the camera since the machine was started; it wears out after 20 to 25";
            let metric =
                encoder.encode_descriptor("camera_cycles", help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::from(cycles)).encode(metric)?;
        }
        Ok(())
    }

    fn stages(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Latency of a stage so far, by quantile (1 is the longest)";
        let mut family = encoder.encode_descriptor(
            "stage_latency",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for stage in &self.snapshot.stages {
            let quantiles =
                [("0.5", stage.p50), ("0.95", stage.p95), ("0.99", stage.p99), ("1", stage.max)];
            for (quantile, latency) in quantiles {
                let labels = [
                    ("stage", definition(stage.stage).name),
                    ("quality", stage.quality.name()),
                    ("quantile", quantile),
                ];
                ConstGauge::new(latency.as_secs_f64()).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Frames that passed a stage";
        let mut family =
            encoder.encode_descriptor("stage_frames", help, None, MetricType::Counter)?;
        for stage in &self.snapshot.stages {
            let labels = [("stage", definition(stage.stage).name)];
            ConstCounter::new(stage.count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn rates(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let rates = SensorRates::from(&self.snapshot);
        for (name, help, figure) in [
            ("frame_rate", "Buffers a second of sensor time since the start", rates.frames),
            (
                "tensor_rate",
                "Valid output tensors a second of sensor time since the start",
                rates.tensors,
            ),
        ] {
            if let Some(value) = figure.value {
                let unit = Unit::Other("hertz".to_owned());
                let metric =
                    encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        if let Some(age) = self.newest_mask_age {
            let help = "Age of the picture that the newest mask was made from";
            let unit = Some(&Unit::Seconds);
            let metric =
                encoder.encode_descriptor("newest_mask_age", help, unit, MetricType::Gauge)?;
            ConstGauge::new(age.as_secs_f64()).encode(metric)?;
        }
        Ok(())
    }
}

impl Scrape {
    /// One sample an instrument; nothing of those that have no value, so that a silent one leaves no old number.
    fn power(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let figures: Vec<_> = self.snapshot.power.iter().map(PowerFigures::from).collect();
        if figures.is_empty() {
            return Ok(());
        }
        for (name, unit, help, figure) in GAUGES {
            let unit = Unit::Other(unit.to_owned());
            let mut family =
                encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
            for of in &figures {
                if let Some(value) = figure(of).figure.value {
                    ConstGauge::new(value).encode(family.encode_family(&labels(of))?)?;
                }
            }
        }
        let help =
            "Energy over the covered time of the run; scopes contain one another, never add them";
        let unit = Some(&Unit::Joules);
        let mut family = encoder.encode_descriptor("energy", help, unit, MetricType::Counter)?;
        for of in &figures {
            let joules = of.energy.figure.value.unwrap_or_default();
            ConstCounter::new(joules).encode(family.encode_family(&labels(of))?)?;
        }
        let help = "Time of the run over which no energy was integrated";
        let unit = Some(&Unit::Seconds);
        let mut family =
            encoder.encode_descriptor("power_uncovered", help, unit, MetricType::Gauge)?;
        for of in &figures {
            let seconds = of.uncovered.value.unwrap_or_default();
            ConstGauge::new(seconds).encode(family.encode_family(&labels(of))?)?;
        }
        let help = "Readings of an instrument for power that failed";
        let mut family =
            encoder.encode_descriptor("power_failures", help, None, MetricType::Counter)?;
        for of in &figures {
            for (reason, times) in &of.failures {
                let [scope, source, _] = labels(of);
                let labels = [scope, source, ("reason", reason)];
                ConstCounter::new(*times).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

type Gauge = (&'static str, &'static str, &'static str, fn(&PowerFigures) -> &UncertainFigure);

const GAUGES: [Gauge; 3] = [
    ("power", "watts", "Power of a scope now; scopes contain one another, never add them", |of| {
        &of.power
    }),
    ("idle_power", "watts", "Power of a scope before the source was opened", |of| &of.idle_power),
    (
        "energy_per_frame",
        "joules",
        "Energy of a scope over the sensor frames since the start",
        |of| &of.energy_per_frame,
    ),
];

fn labels(of: &PowerFigures) -> [(&'static str, &'static str); 3] {
    [("scope", of.scope.name()), ("source", of.source.name()), ("quality", of.quality.name())]
}

fn counts(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    counts: &[(&'static str, u64)],
) -> Result<(), std::fmt::Error> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        ConstCounter::new(*count).encode(family.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}
