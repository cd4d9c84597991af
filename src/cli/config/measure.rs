//! `[measure]`: whether vessels are measured while frames come, and on what scale.

use std::time::Duration;

use anyhow::ensure;
use qsegment::outputs::figures::Seen;
use qsegment::outputs::measure::Options;
use serde::{Deserialize, Serialize};

/// Quality and vessel measurements of live frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Measure {
    /// Whether live frames are judged and measured, where somebody could read it: a page, a
    /// broker or a recording. Default true.
    pub(crate) enabled: bool,
    /// A frame is measured at most this often, milliseconds, 0 to 60000; 0 is every frame. Default 100.
    pub(crate) period_ms: u32,
    /// Stable frames over which the spread of a figure is taken, 5 to 1000. Default 25.
    pub(crate) stable_frames: u16,
    /// Micrometres at the object that a pixel of the mask stands for, under the configured view; then lengths and widths
    /// are given in micrometres, too, where pixels are square. Default 0.0, not known.
    pub(crate) pixel_size_um: f64,
}

impl Default for Measure {
    fn default() -> Self {
        Self { enabled: true, period_ms: 100, stable_frames: 25, pixel_size_um: 0.0 }
    }
}

impl Measure {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.period_ms <= 60_000,
            "measure.period_ms: {} is not between 0 and 60000",
            self.period_ms
        );
        ensure!(
            (5..=1000).contains(&self.stable_frames),
            "measure.stable_frames: {} is not between 5 and 1000",
            self.stable_frames
        );
        ensure!(
            (0.0..=1000.0).contains(&self.pixel_size_um),
            "measure.pixel_size_um: {} is not between 0 and 1000",
            self.pixel_size_um
        );
        Ok(())
    }

    /// None where nothing is measured.
    pub(crate) fn options(&self, seen: Option<Seen>) -> Option<Options> {
        self.enabled.then(|| Options {
            period: Duration::from_millis(self.period_ms.into()),
            stable_frames: self.stable_frames.into(),
            pixel_size_um: Some(self.pixel_size_um).filter(|size| *size > 0.0),
            seen,
        })
    }
}
