//! `[recovery]`: how long a camera that fails is tried again, and how often it may be started.

use std::time::Duration;

use anyhow::ensure;
use qsegment::pipeline::recovery::Bounds;
use serde::{Deserialize, Serialize};

/// What is done when the camera stops giving tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recovery {
    /// Steps in a row: restart the stream, set the network again, reopen the camera. Default 6; 0 ends the run at
    /// the first failure.
    pub(crate) steps: u32,
    /// Pictures without a tensor for longer than this make the network be set again, 100 to 600000. Default 3000.
    pub(crate) tensor_patience_ms: u32,
    /// Wait before the second step in a row, which doubles from step to step up to 30 s, 0 to 30000. Default 1000.
    pub(crate) back_off_ms: u32,
    /// How often the camera may be started while the machine is on. Default 20; 0 is no limit.
    pub(crate) max_camera_cycles: u32,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { steps: 6, tensor_patience_ms: 3000, back_off_ms: 1000, max_camera_cycles: 20 }
    }
}

impl Recovery {
    /// Refuses what makes no sense.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (key, value, least, most) in [
            ("tensor_patience_ms", self.tensor_patience_ms, 100, 600_000),
            ("back_off_ms", self.back_off_ms, 0, 30_000),
        ] {
            ensure!(
                (least..=most).contains(&value),
                "recovery.{key}: {value} is not between {least} and {most}"
            );
        }
        Ok(())
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            steps: self.steps,
            tensor_patience: Duration::from_millis(self.tensor_patience_ms.into()),
            back_off: Duration::from_millis(self.back_off_ms.into()),
            ..Bounds::default()
        }
    }

    pub(crate) fn most_cycles(&self) -> Option<u32> {
        Some(self.max_camera_cycles).filter(|most| *most > 0)
    }
}
