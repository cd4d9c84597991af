//! What was done to bring back a source that had stopped.

use std::fmt::Error;

use super::family::{Families, Family};
use crate::pipeline::Recovery;
use crate::source::recovery::Remedy;

pub(super) fn figures(families: &mut Families<'_, '_>, recovery: &Recovery) -> Result<(), Error> {
    let Recovery { counts, trying, camera_cycles } = recovery;
    let steps =
        Remedy::ALL.map(|remedy| (vec![("remedy", remedy.name())], counts.steps[remedy as usize]));
    families.counters(STEPS, steps)?;
    families.counter(FAILED_STEPS, counts.failed_steps)?;
    families.counter(RECOVERIES, counts.recovered)?;
    families.gauge(RECOVERING, f64::from(u8::from(trying.is_some())))?;
    families.gauge(CAMERA_CYCLES, camera_cycles.map(f64::from))
}

const STEPS: Family =
    Family::new("recovery_steps", "", "Steps that were tried to recover the source");
const FAILED_STEPS: Family = Family::new(
    "recovery_failed_steps",
    "",
    "Steps of recovery that failed, or after which it was not well",
);
const RECOVERIES: Family =
    Family::new("recoveries", "", "How often the source was well again after steps of recovery");
const RECOVERING: Family = Family::new("recovering", "", "1 while the source is being recovered");
const CAMERA_CYCLES: Family = Family::new(
    "camera_cycles",
    "",
    "Starts of the camera since the machine was started; its bridge chip dies after 20 to 25",
);
