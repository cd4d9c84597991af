//! `qsegment doctor`: everything that a helper would ask for, each with verdict and next step.
//!
//! ```text
//!   files of the machine (Host) ---+
//!   what only the kernel tells  ---+--> checks, by group --> outlook: what `run` would do now
//!   configuration               ---+
//! ```
//!
//! Each check is a question with what would be right, and a function from what was read to an answer; it reads under
//! the host's root, so that another machine's SD card can be looked at. Nothing is opened that a run would have to
//! share, nothing is changed, and nothing of the machine's is run but `vcgencmd`.
//!
//! ```text
//!   fail   `run` would not start: the configuration asks for it        exit code 1
//!   warn   it starts, with less than there could be                    0
//! ```
//!
//! The code is 1 and not 69 or 78, since the doctor itself has done its work: several things may fail at once, and
//! which they are stands in what it prints.

mod boot;
mod camera;
mod check;
mod configuration;
mod faults;
mod holders;
mod host;
mod machine;
mod network;
mod outlook;
mod power;
mod rights;
mod screen;
#[cfg(test)]
mod tree;
mod upkeep;

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::out::Out;
use super::{Code, Failure, Form, crate_version};
use check::{Check, Verdict};
use host::Host;
use outlook::Outlook;

/// Look for everything that a run needs, and say what is missing and what to do
///
/// Kernel, driver, boot configuration, camera, rights, who holds camera and screen, networks, power, disk and
/// clock, each with ok, warn, fail or skipped and the next step; at the end, what `qsegment run` would do now.
/// Changes nothing. As root it sees more: the kernel's log, and other users' programs.
///
/// Exit code 1 if something fails that the configuration asks for: a missing camera does only where source.kind
/// is "imx500".
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Look at the machine whose files lie in this folder, such as a mounted SD card or a copy of its /etc, /boot,
    /// /lib, /proc and /sys; what only a running machine can tell is then skipped
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub(crate) fn doctor(
    args: &DoctorArgs,
    config: Option<&Path>,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let host = match &args.root {
        None => Host::this(),
        Some(root) if root.is_dir() => Host::under(root),
        Some(root) => {
            return Err(Failure::usage(anyhow!(
                "--root {} is no folder; give the one that holds the machine's etc and boot",
                root.display()
            )));
        }
    };
    let examined = Examined::new(&host, config);
    match form {
        Form::Text => out.line(&examined)?,
        Form::Json => out.json(&examined)?,
    }
    Ok(if examined.verdict == Verdict::Fail { Code::Failed.into() } else { ExitCode::SUCCESS })
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Examined {
    /// Of this document; raised when a field changes its meaning.
    version: u32,
    qsegment: &'static str,
    checks: Vec<Placed>,
    run: Outlook,
    /// The worst of all.
    verdict: Verdict,
}

/// A check in its group.
#[derive(Debug, Serialize)]
struct Placed {
    group: &'static str,
    #[serde(flatten)]
    check: Check,
}

impl Examined {
    fn new(host: &Host, chosen: Option<&Path>) -> Self {
        let (config, file) = configuration::read(host, chosen);
        let board = machine::board(host);
        let board = board.as_deref();
        let camera = camera::look(host, &config);
        let on_a_pi = machine::is_raspberry_pi(board) || boot::is_there(host);
        let groups = [
            ("machine", machine::checks(host)),
            ("configuration", vec![file, configuration::page(host, &config.web)]),
            ("camera", camera::checks(host, &config, board, &camera)),
            ("network", network::checks(host, &config, &camera, on_a_pi)),
            ("screen", screen::checks(host, &config)),
            ("power", power::checks(host, &config)),
            ("disk and clock", upkeep::checks(host)),
        ];
        let all: Vec<Check> = groups.iter().flat_map(|(_, checks)| checks.clone()).collect();
        let worst = all.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok);
        let placed = groups.into_iter().flat_map(|(group, checks)| {
            checks.into_iter().map(move |check| Placed { group, check })
        });
        Self {
            version: 1,
            qsegment: crate_version(),
            checks: placed.collect(),
            run: Outlook::new(&config, &camera, &all),
            verdict: if worst == Verdict::Skipped { Verdict::Ok } else { worst },
        }
    }
}

impl Display for Examined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for placed in &self.checks {
            if placed.group != group {
                group = placed.group;
                writeln!(f, "{group}")?;
            }
            writeln!(f, "{}", placed.check)?;
        }
        let count = |verdict| self.checks.iter().filter(|one| one.check.verdict == verdict).count();
        writeln!(
            f,
            "{} ok, {} warn, {} fail, {} skipped",
            count(Verdict::Ok),
            count(Verdict::Warn),
            count(Verdict::Fail),
            count(Verdict::Skipped)
        )?;
        write!(f, "{}", self.run)
    }
}
