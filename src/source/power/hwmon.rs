//! Power monitors of Texas Instruments (INA219, INA226, INA228 and their kin) through the kernel's ina2xx and
//! ina238 drivers. In the camera's 3.3 V line one of them is the right instrument.
//!
//! ```text
//!   /sys/class/hwmon/hwmon3/name             ina226
//!                           device           -> ../../../1-0040     bus 1, address 0x40
//!                           label            sensor                 where the device tree has one
//!                           shunt_resistor   100000                 micro-ohms
//!                           in1_input        3300                   bus, mV
//!                           power1_input     71875                  uW, in steps of 625 here
//!                           energy1_input                           uJ, where the chip counts (INA228)
//! ```
//!
//! Power is taken from `power1_input`: `curr1_input` is in whole milliamperes, which is 3 mW at 3.3 V. The numbers
//! of hwmon folders change when a driver is bound again, so a chip is known by its place on I2C.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::counter::{Advance, EnergyCounter};
use super::error::{AbsentError, ReadError};
use super::{Instrument, InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy, attribute};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// How one learns what a chip measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChipScope {
    /// By its label, "sensor" or "board", that the device tree gives.
    Label,
    /// Told.
    Told(Scope),
}

/// One chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Hwmon {
    root: PathBuf,
    chip: Chip,
    scope: Scope,
    counter: EnergyCounter,
    /// Of the last reading of the energy counter.
    counted_at: Timestamp,
}

/// A chip where it is now.
#[derive(Debug, Clone, PartialEq)]
struct Chip {
    folder: PathBuf,
    model: Model,
    /// Bus and address, such as `1-0040`.
    place: String,
    label: Option<String>,
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.model.name, self.place)
    }
}

impl Hwmon {
    /// Finds the chips under `root`/sys/class/hwmon: one for each scope. `wanted` is the place of the only one
    /// that counts.
    ///
    /// # Errors
    /// When there is none, nobody says what it measures, or one scope has several.
    pub fn find(
        root: &Path,
        scope: ChipScope,
        wanted: Option<&str>,
    ) -> Result<Vec<Self>, AbsentError> {
        let mut chips = chips(root);
        if chips.is_empty() {
            return Err(AbsentError::NoChip(hwmon_folder(root)));
        }
        if let Some(wanted) = wanted {
            let present = names(&chips);
            chips.retain(|chip| chip.place == wanted);
            if chips.is_empty() {
                return Err(AbsentError::NotThatChip { wanted: wanted.to_owned(), present });
            }
        }
        let known: Vec<(Scope, Chip)> =
            chips.iter().filter_map(|chip| Some((chip.scope(scope)?, chip.clone()))).collect();
        if known.is_empty() {
            return Err(AbsentError::NoScope { chips: names(&chips) });
        }
        for (scope, _) in &known {
            let same: Vec<_> = known
                .iter()
                .filter(|(other, _)| other == scope)
                .map(|(_, chip)| chip.clone())
                .collect();
            if same.len() > 1 {
                return Err(AbsentError::SeveralChips { scope: scope.name(), chips: names(&same) });
            }
        }
        Ok(known.into_iter().map(|(scope, chip)| Self::new(root, chip, scope)).collect())
    }

    fn new(root: &Path, chip: Chip, scope: Scope) -> Self {
        // INA228: 40 bits of 16 power steps each, 176 MJ with a step of 10 uW. It wraps after years.
        let counter = EnergyCounter::new(None, scope.most_watts());
        Self { root: root.to_owned(), chip, scope, counter, counted_at: Timestamp::default() }
    }

    fn sample(&mut self, at: Timestamp) -> Result<Option<PowerSample>, ReadError> {
        let file = |name: &str| self.chip.folder.join(name);
        let watts = attribute::number(&file("power1_input"))? as f64 / 1e6;
        let bus_volts = attribute::number(&file("in1_input"))? as f64 / 1e3;
        let shunt = match attribute::optional_text(&file("shunt_resistor"))? {
            Some(_) => attribute::number(&file("shunt_resistor"))?,
            None => self.chip.model.shunt_microohms,
        };
        let counted = match attribute::optional_text(&file("energy1_input"))? {
            Some(_) => Some(attribute::number(&file("energy1_input"))?),
            None => None,
        };
        let name = self.chip.to_string();
        let most_watts = self.scope.most_watts();
        let absurd = |watts| ReadError::Absurd {
            name: name.clone(),
            watts,
            scope: self.scope.name(),
            most_watts,
        };
        if watts > most_watts {
            return Err(absurd(watts));
        }
        if let Some(raw) = counted {
            match self.counter.advance(raw, at.since(self.counted_at)) {
                Advance::First | Advance::By { .. } => self.counted_at = at,
                Advance::Absurd { watts } => return Err(absurd(watts)),
                Advance::Restarted => {
                    self.counted_at = at;
                    return Err(ReadError::Restarted { name });
                }
            }
        }
        Ok(Some(PowerSample {
            at,
            source: PowerSource::Hwmon,
            scope: self.scope,
            watts,
            uncertainty_watts: self.chip.model.uncertainty_watts(shunt, bus_volts),
            quality: Quality::Measured,
            joules: counted.map(|_| self.counter.total_joules()),
        }))
    }
}

impl Instrument for Hwmon {
    fn info(&self) -> InstrumentInfo {
        InstrumentInfo {
            source: PowerSource::Hwmon,
            name: self.chip.to_string(),
            scope: self.scope,
            quality: Quality::Measured,
            timed_by: TimedBy::Host,
            definition: "power through the shunt of a monitor on I2C (power1_input of the kernel's driver)",
            uncertainty: "one step of the chip's power register and one of its current register at the bus voltage, \
                          by shunt_resistor; tolerance of the shunt and offset of the chip are not in it",
        }
    }

    fn read(&mut self, at: Timestamp) -> Result<Option<PowerSample>, ReadError> {
        // A driver bound again may have another number, and another chip may have got this one's.
        if !self.chip.is_bound() {
            let again = chips(&self.root).into_iter().find(|chip| chip.place == self.chip.place);
            self.chip = again.ok_or_else(|| self.chip.gone())?;
        }
        let sample = self.sample(at);
        // The link to the device goes before the values do: what was read meanwhile was no reading.
        if self.chip.is_bound() { sample } else { Err(self.chip.gone()) }
    }
}

impl Chip {
    fn at(folder: PathBuf) -> Option<Self> {
        let model = Model::named(&attribute::text(&folder.join("name")).ok()?)?;
        let place = place(&folder)?;
        let label = attribute::text(&folder.join("label")).ok();
        Some(Self { folder, model, place, label })
    }

    /// Whether its folder is still this chip's.
    fn is_bound(&self) -> bool {
        place(&self.folder).as_deref() == Some(&self.place)
    }

    fn gone(&self) -> ReadError {
        ReadError::Gone { path: self.folder.clone(), cause: format!("{self} is no longer there") }
    }

    fn scope(&self, scope: ChipScope) -> Option<Scope> {
        match scope {
            ChipScope::Told(scope) => Some(scope),
            ChipScope::Label => match self.label.as_deref() {
                Some("sensor") => Some(Scope::Sensor),
                Some("board") => Some(Scope::Board),
                _ => None,
            },
        }
    }
}

/// Bus and address, which the link to the device ends with.
fn place(folder: &Path) -> Option<String> {
    let device = fs::read_link(folder.join("device")).ok()?;
    Some(device.file_name()?.to_string_lossy().into_owned())
}

/// In the order of their places, whatever their folders' numbers.
fn chips(root: &Path) -> Vec<Chip> {
    let Ok(entries) = fs::read_dir(hwmon_folder(root)) else { return Vec::new() };
    let mut chips: Vec<_> = entries.flatten().filter_map(|entry| Chip::at(entry.path())).collect();
    chips.sort_by(|one, other| one.place.cmp(&other.place));
    chips
}

fn names(chips: &[Chip]) -> Vec<String> {
    chips.iter().map(Chip::to_string).collect()
}

fn hwmon_folder(root: &Path) -> PathBuf {
    root.join("sys/class/hwmon")
}

/// How a driver scales a chip's registers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Model {
    name: &'static str,
    /// One step of the current register, in the shunt's microvolts.
    current_step_microvolts: f64,
    /// One step of the power register, in steps of the current register times one volt.
    power_step_volts: f64,
    /// Where the driver does not tell it: what it assumes, or the chip's own.
    shunt_microohms: u64,
}

impl Model {
    fn named(name: &str) -> Option<Self> {
        MODELS.into_iter().find(|model| model.name == name)
    }

    fn uncertainty_watts(self, shunt_microohms: u64, bus_volts: f64) -> f64 {
        let current_step = self.current_step_microvolts / shunt_microohms.max(1) as f64;
        current_step * (self.power_step_volts + bus_volts)
    }
}

/// Steps as the data sheets and `ina2xx.c`, `ina238.c` of Linux 6.12 have them. An INA238 whose driver was told
/// the finer of its two ranges has steps of a quarter of this.
const MODELS: [Model; 9] = [
    model("ina219", 10.0, 20.0),
    model("ina220", 10.0, 20.0),
    model("ina226", 2.5, 25.0),
    model("ina230", 2.5, 25.0),
    model("ina231", 2.5, 25.0),
    // Its shunt is inside: 1.25 mA and 10 mW a step.
    Model { shunt_microohms: 2_000, ..model("ina260", 2.5, 8.0) },
    // 20 bits where the INA238 has 16, and the same steps of power.
    model("ina228", 1.25, 3.2),
    model("ina237", 20.0, 0.2),
    model("ina238", 20.0, 0.2),
];

const fn model(name: &'static str, current_step_microvolts: f64, power_step_volts: f64) -> Model {
    Model { name, current_step_microvolts, power_step_volts, shunt_microohms: 10_000 }
}
