//! The energy counters of x86 processors (RAPL), for measuring the emulator on hosts and in CI.
//!
//! ```text
//!   /sys/class/powercap/intel-rapl:0/name                  package-0
//!                                    energy_uj             wraps, after 44 minutes at 100 W
//!                                    max_energy_range_uj   where
//!   /sys/class/powercap/intel-rapl:0:0/...                 a part of it: not added
//! ```
//!
//! It is the processor's own estimate of the package, which has no image sensor in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::counter::{Advance, EnergyCounter};
use super::error::{AbsentError, ReadError};
use super::{Instrument, InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy, attribute};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// All packages of the machine, each with a counter of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Rapl {
    packages: Vec<Package>,
    /// When the counters had last moved.
    moved_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct Package {
    energy_file: PathBuf,
    counter: EnergyCounter,
}

impl Rapl {
    /// Finds the packages under `root`/sys/class/powercap.
    ///
    /// # Errors
    /// When there is none, or only root may read it.
    pub fn find(root: &Path) -> Result<Self, AbsentError> {
        let folder = root.join("sys/class/powercap");
        let mut zones: Vec<_> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| is_package(path))
            .collect();
        zones.sort();
        if zones.is_empty() {
            return Err(AbsentError::NoPackage(folder));
        }
        let packages = zones.iter().map(|zone| Package::at(zone)).collect::<Result<_, _>>()?;
        Ok(Self { packages, moved_at: None })
    }
}

impl Instrument for Rapl {
    fn info(&self) -> InstrumentInfo {
        InstrumentInfo {
            source: PowerSource::Rapl,
            name: match self.packages.len() {
                1 => "rapl package".to_owned(),
                packages => format!("rapl, {packages} packages"),
            },
            scope: Scope::Cpu,
            quality: Quality::Estimated,
            timed_by: TimedBy::Host,
            definition: "CPU package, not sensor: the processor's own energy counter (RAPL), mean between two readings",
            uncertainty: "one step of the counter (61 uJ) and the energy of 1 ms, how often it moves, at either end; \
                          how good the processor's estimate is, is not in it",
        }
    }

    fn read(&mut self, at: Timestamp) -> Result<Option<PowerSample>, ReadError> {
        let elapsed = self.moved_at.map_or(Duration::ZERO, |moved| at.since(moved));
        let name = self.info().name;
        let mut by_microjoules = 0;
        let mut first = false;
        let mut failed = None;
        // All are read even when one fails, so that they stay together in time.
        for package in &mut self.packages {
            let raw = attribute::number(&package.energy_file)?;
            match package.counter.advance(raw, elapsed) {
                Advance::First => first = true,
                Advance::By { microjoules } => by_microjoules += microjoules,
                Advance::Absurd { watts } => {
                    failed.get_or_insert(ReadError::Absurd {
                        name: name.clone(),
                        watts,
                        scope: Scope::Cpu.name(),
                        most_watts: Scope::Cpu.most_watts(),
                    });
                }
                Advance::Restarted => {
                    self.moved_at = Some(at);
                    failed = Some(ReadError::Restarted { name: name.clone() });
                }
            }
        }
        if let Some(failed) = failed {
            return Err(failed);
        }
        if first {
            self.moved_at = Some(at);
            return Ok(None);
        }
        if by_microjoules == 0 {
            // Between two of its steps, unless it lasts.
            return if elapsed < STUCK_AFTER {
                Ok(None)
            } else {
                Err(ReadError::Stuck { name, silent: elapsed })
            };
        }
        self.moved_at = Some(at);
        let seconds = elapsed.as_secs_f64();
        let watts = by_microjoules as f64 / 1e6 / seconds;
        let packages = self.packages.len() as f64;
        Ok(Some(PowerSample {
            at,
            source: PowerSource::Rapl,
            scope: Scope::Cpu,
            watts,
            uncertainty_watts: 2.0 * (packages * STEP_JOULES + watts * UPDATE_SECONDS) / seconds,
            quality: Quality::Estimated,
            joules: Some(self.packages.iter().map(|package| package.counter.total_joules()).sum()),
        }))
    }
}

impl Package {
    fn at(zone: &Path) -> Result<Self, AbsentError> {
        let energy_file = zone.join("energy_uj");
        match fs::File::open(&energy_file) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(AbsentError::RootOnly(energy_file));
            }
            // Other failures come with the first reading.
            _ => {}
        }
        let range = attribute::number(&zone.join("max_energy_range_uj"))?;
        let counter = EnergyCounter::new(Some(range), Scope::Cpu.most_watts());
        Ok(Self { energy_file, counter })
    }
}

/// `intel-rapl:0`, but none of its parts (`intel-rapl:0:1`), nor the same once more by another way
/// (`intel-rapl-mmio:0`).
fn is_package(zone: &Path) -> bool {
    let name = zone.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.strip_prefix("intel-rapl:").unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && attribute::text(&zone.join("name")).is_ok_and(|name| name.starts_with("package-"))
}

/// 2^-14 J, the energy unit of most processors (Intel SDM volume 3, MSR_RAPL_POWER_UNIT).
const STEP_JOULES: f64 = 61e-6;
/// The counters move about once in this time (the same).
const UPDATE_SECONDS: f64 = 1e-3;
/// No processor draws nothing for so long.
const STUCK_AFTER: Duration = Duration::from_secs(2);
