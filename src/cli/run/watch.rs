//! What can be read of a run, while it goes and after it: pipeline, screen and instruments in one.
//!
//! The pipeline knows neither what was shown nor what was spent; those who do know are asked here.

use qsegment::outputs::metrics::Counted;
use qsegment::outputs::{hdmi, measure, mqtt, record, socket};
use qsegment::pipeline::latency::StageHistogram;
use qsegment::pipeline::metering::Meters;
use qsegment::pipeline::trace::Trace;
use qsegment::pipeline::{Observer, Snapshot};

#[derive(Clone)]
pub(super) struct Watch {
    pub(super) pipeline: Observer,
    pub(super) meters: Meters,
    /// None without a screen.
    pub(super) screen: Option<hdmi::Observer>,
    /// None where nothing is recorded.
    pub(super) recording: Option<record::Observer>,
    /// None where no socket is served.
    pub(super) socket: Option<socket::Observer>,
    /// None where nothing is published.
    pub(super) mqtt: Option<mqtt::Observer>,
    /// None where nothing is measured.
    pub(super) measure: Option<measure::Observer>,
}

impl Watch {
    /// Figures so far.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { power: self.meters.metered(), ..self.pipeline.snapshot() };
        if let Some(screen) = &self.screen {
            snapshot.stages.extend(screen.stages());
            snapshot.buckets.extend(screen.buckets());
            snapshot.screen = screen.on();
        }
        if let Some(recording) = &self.recording {
            snapshot.queue_drops.extend(recording.dropped());
        }
        if let Some(mqtt) = &self.mqtt {
            snapshot.queue_drops.extend(mqtt.dropped());
        }
        snapshot
    }
    /// What a scrape needs; decode hardly waits for it.
    pub(super) fn counted(&self) -> Counted {
        let mut snapshot = Snapshot { power: self.meters.metered(), ..self.pipeline.counts() };
        if let Some(screen) = &self.screen {
            snapshot.buckets.extend(screen.buckets());
        }
        Counted {
            snapshot,
            recording: self.recording.as_ref().map(record::Observer::figures),
            socket: self.socket.as_ref().map(socket::Observer::figures),
            vessels: self.measure.as_ref().and_then(measure::Observer::figures),
        }
    }
    /// Every count so far.
    pub(super) fn histograms(&self) -> Vec<StageHistogram> {
        let mut histograms = self.pipeline.histograms();
        histograms.extend(self.screen.iter().flat_map(hdmi::Observer::histograms));
        histograms
    }
    /// The last frames.
    pub(super) fn trace(&self) -> Trace {
        let on_screen = self.screen.as_ref().map(hdmi::Observer::on_screen).unwrap_or_default();
        Trace { passed: self.pipeline.passed(), on_screen }
    }
}
