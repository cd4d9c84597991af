//! The Raspberry Pi 5's power management chip, through `vcgencmd pmic_read_adc`.
//!
//! ```text
//!      3V3_SYS_A current(1)=0.05562224A      rails have both
//!      3V3_SYS_V volt(9)=3.31140600V
//!       EXT5V_V volt(24)=5.13912000V         no current: not a rail
//! ```
//!
//! The twelve rails are not all that the board draws. The board's power is estimated from their sum by a line that
//! others have fitted against a meter (pi-top's documentation of the power tab): `sum * 1.1451 + 0.5879 W`. Its
//! residual is not published, so what the fit adds to the sum is taken as its uncertainty.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::error::{AbsentError, ReadError};
use super::{Instrument, InstrumentInfo, PowerSample, PowerSource, Scope, TimedBy};
use crate::source::Quality;
use crate::source::clock::Timestamp;

/// The chip, read through a program.
#[derive(Debug)]
pub struct Pmic {
    program: PathBuf,
    /// One that was stopped and had not ended yet.
    left: Option<Child>,
}

impl Pmic {
    /// Finds `vcgencmd` under `root` and asks it once.
    ///
    /// # Errors
    /// When there is no such program, or it knows no such chip.
    pub fn find(root: &Path) -> Result<Self, AbsentError> {
        let folder = root.join("usr/bin");
        let program = folder.join("vcgencmd");
        if !program.is_file() {
            return Err(AbsentError::NoVcgencmd(folder));
        }
        let mut pmic = Self { program, left: None };
        pmic.rails_watts().map_err(AbsentError::NoPmic)?;
        Ok(pmic)
    }

    fn rails_watts(&mut self) -> Result<f64, ReadError> {
        let said = self.ask()?;
        rails_watts(&said).map_err(|got| ReadError::Malformed {
            path: self.program.clone(),
            got,
            want: "lines like `3V3_SYS_A current(1)=0.06A` and `3V3_SYS_V volt(9)=3.31V` for every rail",
        })
    }

    fn ask(&mut self) -> Result<String, ReadError> {
        let failed = |program: &Path, cause: String| ReadError::Program {
            program: program.to_owned(),
            cause,
        };
        if let Some(child) = &mut self.left
            && !matches!(child.try_wait(), Ok(Some(_)))
        {
            return Err(failed(
                &self.program,
                "of an earlier reading has not ended yet".to_owned(),
            ));
        }
        self.left = None;
        let mut child = Command::new(&self.program)
            .arg("pmic_read_adc")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(&self.program, format!("cannot be run: {error}")))?;
        // It says less than a pipe holds, so it ends without being read; one that says more runs into the limit.
        match has_ended(&child, LIMIT) {
            Ok(true) => {}
            ended => {
                // Already ended is as good.
                drop(child.kill());
                self.left = Some(child);
                return Err(match ended {
                    Err(error) => failed(&self.program, format!("cannot be waited for: {error}")),
                    Ok(_) => ReadError::TimedOut { program: self.program.clone(), limit: LIMIT },
                });
            }
        }
        let mut said = Vec::new();
        let read =
            child.stdout.take().expect("it was asked for").take(MOST_BYTES).read_to_end(&mut said);
        let status = child.wait().and_then(|status| read.map(|_| status));
        let status =
            status.map_err(|error| failed(&self.program, format!("cannot be read: {error}")))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if !status.success() {
            return Err(failed(
                &self.program,
                format!("ended with {status}: {}", beginning(&said)),
            ));
        }
        Ok(said)
    }
}

impl Instrument for Pmic {
    fn info(&self) -> InstrumentInfo {
        InstrumentInfo {
            source: PowerSource::Pmic,
            name: "Raspberry Pi 5 PMIC".to_owned(),
            scope: Scope::Board,
            quality: Quality::Estimated,
            timed_by: TimedBy::Host,
            definition: "whole board, not sensor: volts times amperes of the power chip's rails, summed, times 1.1451 \
                         plus 0.5879 W",
            uncertainty: "what that fit adds to the rails' sum, since its residual is not published",
        }
    }

    fn read(&mut self, at: Timestamp) -> Result<Option<PowerSample>, ReadError> {
        let rails = self.rails_watts()?;
        let watts = rails * FIT_SLOPE + FIT_OFFSET_WATTS;
        let most_watts = Scope::Board.most_watts();
        if watts > most_watts {
            let scope = Scope::Board.name();
            return Err(ReadError::Absurd { name: self.info().name, watts, scope, most_watts });
        }
        Ok(Some(PowerSample {
            at,
            source: PowerSource::Pmic,
            scope: Scope::Board,
            watts,
            uncertainty_watts: watts - rails,
            quality: Quality::Estimated,
            joules: None,
        }))
    }
}

/// Sum over the rails that have both. Otherwise, what could not be read.
fn rails_watts(said: &str) -> Result<f64, String> {
    let mut amperes = BTreeMap::new();
    let mut volts = BTreeMap::new();
    for line in said.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (rail, unit, value) = reading(line).ok_or_else(|| beginning(line))?;
        match unit {
            'A' => amperes.insert(rail, value),
            _ => volts.insert(rail, value),
        };
    }
    if amperes.is_empty() {
        return Err(beginning(said));
    }
    let watts = |(rail, amperes): (&&str, &f64)| Some(volts.get(rail)? * amperes);
    let sum: Option<f64> = amperes.iter().map(watts).sum();
    sum.ok_or_else(|| "a current without its voltage".to_owned())
}

/// `3V3_SYS_A current(1)=0.05562224A` is rail `3V3_SYS`, unit A, value.
fn reading(line: &str) -> Option<(&str, char, f64)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (_, value) = rest.split_once('=')?;
    let unit = value.chars().last().filter(|unit| matches!(unit, 'A' | 'V'))?;
    let rail = name.strip_suffix(unit)?.strip_suffix('_')?;
    let value: f64 = value.strip_suffix(unit)?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((rail, unit, value))
}

/// Whether it ends within the limit; a descriptor of the process is readable when it has.
fn has_ended(child: &Child, limit: Duration) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let process = pidfd_open(pid.ok_or(io::ErrorKind::InvalidInput)?, PidfdFlags::empty())?;
    let limit = Timespec::try_from(limit).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut waited_for = [PollFd::new(&process, PollFlags::IN)];
    Ok(poll(&mut waited_for, Some(&limit))? > 0)
}

fn beginning(said: &str) -> String {
    said.trim().chars().take(SHOWN_CHARACTERS).collect()
}

const FIT_SLOPE: f64 = 1.1451;
const FIT_OFFSET_WATTS: f64 = 0.5879;
/// A reading takes about 10 ms; the mailbox waits for others that use it.
const LIMIT: Duration = Duration::from_millis(500);
/// 26 lines of 40 bytes are 1 KiB.
const MOST_BYTES: u64 = 16 << 10;
const SHOWN_CHARACTERS: usize = 60;
