//! What was done to recover the source, in figures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::pipeline::Recovery;
use crate::source::recovery::Remedy;

/// Steps of recovery and what came of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoveryFigures {
    /// How often each remedy was tried; every remedy is listed.
    pub steps: BTreeMap<&'static str, u64>,
    /// Steps that failed, or after which it was not well.
    pub failed_steps: u64,
    /// How often all was well again.
    pub recovered: u64,
    /// What is being tried now; null while all is well.
    pub trying: Option<&'static str>,
    /// Starts of the camera since the machine was started; null where that does not wear it out.
    pub camera_cycles: Option<u32>,
}

impl From<Recovery> for RecoveryFigures {
    fn from(recovery: Recovery) -> Self {
        let Recovery { counts, trying, camera_cycles } = recovery;
        Self {
            steps: Remedy::ALL.map(|remedy| (remedy.name(), counts.steps[remedy as usize])).into(),
            failed_steps: counts.failed_steps,
            recovered: counts.recovered,
            trying: trying.map(|(remedy, _)| remedy.name()),
            camera_cycles,
        }
    }
}
