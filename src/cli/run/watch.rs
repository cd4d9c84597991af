//! What can be read of a run, while it goes and after it: pipeline, screen and instruments in one.
//!
//! The pipeline knows neither what was shown nor what was spent; those who do know are asked here.

use qsegment::outputs::{hdmi, record};
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
}

impl Watch {
    /// Figures so far.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot { power: self.meters.metered(), ..self.pipeline.snapshot() };
        if let Some(screen) = &self.screen {
            snapshot.stages.extend(screen.stages());
            snapshot.screen = screen.on();
        }
        if let Some(recording) = &self.recording {
            snapshot.queue_drops.extend(recording.dropped());
        }
        snapshot
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
