//! Which instruments are used, and why others are not.

use std::path::Path;

use super::error::AbsentError;
use super::hwmon::{ChipScope, Hwmon};
use super::pmic::Pmic;
use super::rapl::Rapl;
use super::{Instrument, Scope};

/// What the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Which kinds.
    pub wanted: Wanted,
    /// How one learns what a power monitor measures.
    pub chip_scope: ChipScope,
    /// The power monitor's place on I2C, such as `1-0040`; none is any.
    pub chip: Option<String>,
}

/// Kinds of instruments that read hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is there.
    Any,
    /// Power monitors on I2C.
    Hwmon,
    /// The Raspberry Pi 5's power chip.
    Pmic,
    /// Energy counters of x86 processors.
    Rapl,
}

/// What is there.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that can be read.
    pub instruments: Vec<Box<dyn Instrument>>,
    /// Why others cannot.
    pub absent: Vec<AbsentError>,
}

impl Found {
    /// Whether one of them is for `scope`.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.instruments.iter().any(|instrument| instrument.info().scope == scope)
    }

    fn take<I: Instrument + 'static>(&mut self, found: Result<Vec<I>, AbsentError>) {
        match found {
            Ok(found) => {
                let boxed = found.into_iter().map(|one| Box::new(one) as Box<dyn Instrument>);
                self.instruments.extend(boxed);
            }
            Err(absent) => self.absent.push(absent),
        }
    }
}

/// Looks for them under `root`, which is `/` but for tests.
#[must_use]
pub fn find(root: &Path, choice: &Choice) -> Found {
    let wants = |kind| choice.wanted == Wanted::Any || choice.wanted == kind;
    let mut found = Found::default();
    if wants(Wanted::Hwmon) {
        found.take(Hwmon::find(root, choice.chip_scope, choice.chip.as_deref()));
    }
    if wants(Wanted::Pmic) {
        found.take(Pmic::find(root).map(|pmic| vec![pmic]));
    }
    if wants(Wanted::Rapl) {
        found.take(Rapl::find(root).map(|rapl| vec![rapl]));
    }
    found
}
