//! `/metrics`: text for Prometheus, made of one reading.
//!
//! ```text
//!   Snapshot, newest frame, others' figures, /proc --> Reading --> families --> OpenMetrics text
//!                                                                     |              |
//!                                                      pipeline.rs, power.rs,    format.rs: the older text, for
//!                                                      outputs.rs, process.rs, ...    whoever does not ask for this one
//! ```
//!
//! The pipeline counts, this only words it. Names are `qsegment_`, the name in the report, and the unit; counters end
//! in `_total`; what a figure is worth stands in the label `quality`. What is not known has no sample: an old number that
//! nobody reads off an instrument any more must not look like a new one. `docs/metrics.md` lists every family, and
//! a test keeps it so.

mod family;
mod format;
mod outputs;
mod pipeline;
mod power;
mod process;
mod recovery;
mod vessels;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::figures::Facts;
use super::measure::VesselFigures;
use super::overlay::Freshness;
use super::record::RecordingFigures;
use super::socket::SocketFigures;
use super::web::VisitorFigures;
use crate::pipeline::{Frame, Snapshot};
use crate::source::clock::Timestamp;
use family::Families;
pub use format::Format;
pub use process::ProcessFigures;

/// What has been counted so far, by the pipeline and by outputs that count for themselves.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Its `stages` are not looked at: `buckets` say more and cost less.
    pub snapshot: Snapshot,
    /// None where nothing is recorded.
    pub recording: Option<RecordingFigures>,
    /// None where no socket is served.
    pub socket: Option<SocketFigures>,
    /// None where nothing is measured, and before the first measurement.
    pub vessels: Option<VesselFigures>,
}

/// Everything that a scrape is made of, at one moment.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Counts.
    pub counted: Counted,
    /// None before the first mask.
    pub newest: Option<Arc<Frame>>,
    /// Whether that mask is live.
    pub freshness: Freshness,
    /// From which age on it is not.
    pub stale_after: Duration,
    /// Host clock.
    pub now: Timestamp,
    /// What the kernel says of this process.
    pub process: ProcessFigures,
    /// Connections to the page, and what was turned away.
    pub visitors: VisitorFigures,
}

/// All metrics.
#[must_use]
pub fn encode(reading: &Reading, facts: &Facts, format: Format) -> String {
    let mut registry = Registry::default();
    let (scraped, of) = (reading.clone(), facts.clone());
    registry
        .sub_registry_with_prefix("qsegment")
        .register_collector(Box::new(Scrape { reading: scraped, facts: of }));
    registry.register_collector(Box::new(reading.process));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry).expect("a String takes everything that is written");
    format.of_openmetrics(encoded)
}

#[derive(Debug)]
struct Scrape {
    reading: Reading,
    facts: Facts,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut families = Families(&mut encoder);
        let Self { reading, facts } = self;
        let Counted { snapshot, recording, socket, .. } = &reading.counted;
        pipeline::facts(&mut families, facts)?;
        pipeline::state(&mut families, reading)?;
        pipeline::counters(&mut families, snapshot)?;
        pipeline::stages(&mut families, snapshot)?;
        recovery::figures(&mut families, &snapshot.recovery)?;
        pipeline::sensor(&mut families, reading)?;
        vessels::figures(&mut families, reading)?;
        power::figures(&mut families, snapshot)?;
        outputs::recording(&mut families, recording.as_ref())?;
        outputs::socket(&mut families, socket.as_ref())?;
        outputs::page(&mut families, &reading.visitors)
    }
}
