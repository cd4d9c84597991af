//! Why there is no instrument, or no reading of one.

use std::path::PathBuf;
use std::time::Duration;

/// Why an instrument is not used: what was looked for, what was found, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AbsentError {
    /// No chip of the ina2xx and ina238 drivers.
    #[error(
        "no power monitor (ina2xx, ina238) under {0}; is one wired, and named by a dtoverlay or by \
         /sys/bus/i2c/devices/i2c-*/new_device?"
    )]
    NoChip(PathBuf),
    /// The chip that was asked for is not there.
    #[error("no power monitor {wanted}; there is {}; set power.chip", .present.join(", "))]
    NotThatChip {
        /// What was asked for.
        wanted: String,
        /// Their names.
        present: Vec<String>,
    },
    /// Nobody says what the chips measure.
    #[error(
        "what {} measures is not known, because it has no label `sensor` or `board`: set power.scope",
        .chips.join(" or ")
    )]
    NoScope {
        /// Their names.
        chips: Vec<String>,
    },
    /// Several chips for one scope, which may be one behind the other.
    #[error("{} all measure the {scope}: name one with power.chip", .chips.join(", "))]
    SeveralChips {
        /// "sensor" or "board".
        scope: &'static str,
        /// Their names.
        chips: Vec<String>,
    },
    /// There is no vcgencmd.
    #[error("no vcgencmd in {}; it is part of Raspberry Pi OS (sudo apt install raspi-utils)", .0.display())]
    NoVcgencmd(PathBuf),
    /// It cannot tell the power.
    #[error(
        "vcgencmd pmic_read_adc does not tell the power: {0}; only a Raspberry Pi 5 has that chip, and the \
         user must be in the group video"
    )]
    NoPmic(ReadError),
    /// No RAPL package.
    #[error(
        "no CPU package among the energy counters under {0}; they are of x86 processors (modprobe \
         intel_rapl_msr) and hidden from most virtual machines"
    )]
    NoPackage(PathBuf),
    /// RAPL may be read by root only.
    #[error(
        "{0} may be read by root only, since it lets a program guess what others compute (CVE-2020-8694); run \
         as root, or on a machine that you alone use: sudo chmod a+r {0}"
    )]
    RootOnly(PathBuf),
    /// A file of the instrument cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// Why an instrument says nothing, or nothing that can be believed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be opened or read.
    #[error("{path}: {cause}; is the chip still wired and its driver bound?")]
    Gone {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A file does not hold what it should.
    #[error("{path}: got {got:?}, want {want}; is it the file of a driver of Linux?")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// The beginning of what it holds.
        got: String,
        /// In words.
        want: &'static str,
    },
    /// More than anything of the scope can draw.
    #[error(
        "{name} says {watts:.3} W, and a {scope} draws no more than {most_watts} W; is its shunt_resistor right?"
    )]
    Absurd {
        /// Of the instrument.
        name: String,
        /// What it says.
        watts: f64,
        /// "sensor", "board" or "cpu".
        scope: &'static str,
        /// The limit.
        most_watts: f64,
    },
    /// An energy counter has begun anew.
    #[error("the energy counter of {name} has begun anew; what was drawn meanwhile is not known")]
    Restarted {
        /// Of the instrument.
        name: String,
    },
    /// An energy counter no longer counts.
    #[error(
        "the energy counter of {name} has not moved for {silent:?}; do other programs see it move?"
    )]
    Stuck {
        /// Of the instrument.
        name: String,
        /// For how long.
        silent: Duration,
    },
    /// A program cannot be run, has failed, or said what cannot be read.
    #[error("{program} {cause}")]
    Program {
        /// Which.
        program: PathBuf,
        /// What happened.
        cause: String,
    },
    /// A program did not end.
    #[error(
        "{program} did not end within {limit:?} and was stopped; is the firmware's mailbox busy?"
    )]
    TimedOut {
        /// Which.
        program: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
}

impl ReadError {
    /// One word for counting.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "gone",
            Self::Malformed { .. } => "malformed",
            Self::Absurd { .. } => "absurd",
            Self::Restarted { .. } => "restarted",
            Self::Stuck { .. } => "stuck",
            Self::Program { .. } => "program",
            Self::TimedOut { .. } => "timed_out",
        }
    }
}
