//! `qsegment bench system`: runs the daemon's own pipeline, times the emulator, and writes the report.
//!
//! ```text
//!   folder tried -> emulator's network loaded -> run to the end -> emulator timed -> system.md, .json, .html
//! ```
//!
//! The emulator is timed after the run, so that neither is in the other's figures.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qsegment::outputs::figures::{StageFigures, definition};
use qsegment::outputs::system_report::{
    Basis, Compared, ModelInputs, Subject, SystemReport, SystemReportFolder,
};
use qsegment::pipeline::latency::Stage;
use qsegment::source::clock::{Clock, StopSignal};

use super::{emulator, machine};
use crate::cli::config::{BrokerUrl, Config, DisplayOutput};
use crate::cli::out::Out;
use crate::cli::run::{self, RunArgs, SourceArgs};
use crate::cli::{Failure, Form, network};

/// Run the daemon's pipeline and report latency, power and energy beside the published figures
///
/// Runs on the camera if there is one, else on the simulated sensor, and leaves system.md, system.json and
/// system.html (one file, no network needed) in a folder. Every figure has unit, definition, source and quality:
/// published, measured, estimated or simulated.
#[derive(Debug, Args)]
pub(crate) struct SystemArgs {
    /// Run for this many sensor frames (30 a second)
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    frames: u64,
    /// Leave the report in this folder; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "system-report")]
    report: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Show on a screen at this machine, too, which times the way to scan-out: on whichever card has one (auto), or
    /// on this one
    #[arg(long, value_name = "CARD", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    hdmi: Option<DisplayOutput>,
}

pub(crate) fn system(
    args: SystemArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let folder = SystemReportFolder::prepare(&args.report)?;
    let input_size = args.source.input_size();
    let run = RunArgs::unwatched(args.frames, args.source, args.hdmi);
    let mut config = run.over(config);
    // Whoever listens there waits for a camera, not for a benchmark.
    config.mqtt.broker = BrokerUrl::default();
    let chosen = network::load(&config.network, input_size)?;
    let network = &chosen.network;

    let typed = std::env::args_os().skip(1);
    let again = command(typed.map(|argument| argument.to_string_lossy().into_owned()));
    let load_average = machine::load_average(Path::new("/"));
    let ended = run::to_the_end(&run, &config, None, form, out)?;
    // Whatever ended the run early: the report is of what was seen until then.
    let failure = ended.failure;
    let clock = Clock::monotonic(StopSignal::default());
    let power = &config.power;
    let report = SystemReport::new(Subject {
        screen_missing: screen_missing(&config, &ended.report.timing.stages),
        run: ended.report,
        load_average,
        emulator: emulator::time(network, &clock),
        network,
        network_facts: chosen.facts(),
        model: ModelInputs {
            mode: config.source.mode.into(),
            full_milliwatts: power.simulated_full_mw.get(),
            binned_milliwatts: power.simulated_binned_mw.get(),
            tera_operations_per_joule: power.simulated_tops_per_watt.get(),
        },
        machine: machine::read(Path::new("/")),
        command: again,
    });
    let files = folder.write(&report)?;
    match form {
        Form::Text => out.line(Summary { report: &report, files: &files })?,
        Form::Json => out.json(&report)?,
    }
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Why no frame was timed on its way to a screen.
fn screen_missing(config: &Config, stages: &[StageFigures]) -> Option<&'static str> {
    let shown = stages
        .iter()
        .any(|stage| stage.definition == definition(Stage::CommitToFlip) && stage.count > 0);
    match (&config.hdmi.output, shown) {
        (_, true) => None,
        (DisplayOutput::Off, _) => Some("no screen; connect one and run with --hdmi"),
        _ => Some("no frame was shown: there was no screen"),
    }
}

/// As somebody would type it again.
fn command(arguments: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    arguments.fold("qsegment".to_owned(), |mut command, argument| {
        command.push(' ');
        if !argument.is_empty() && argument.chars().all(plain) {
            command.push_str(&argument);
        } else {
            // What a terminal would obey is not worth its place in a report.
            let shown: String = argument.chars().filter(|c| !c.is_control()).collect();
            command.push_str(&format!("'{}'", shown.replace('\'', "'\\''")));
        }
        command
    })
}

/// What a person wants to know at once.
struct Summary<'a> {
    report: &'a SystemReport,
    files: &'a [PathBuf; 3],
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = &self.report.run.counters;
        let count = |name| counters.get(name).copied().unwrap_or_default();
        writeln!(
            f,
            "{} frames, {} tensors, {} lost, {} unpaired, {} stale\n",
            count("buffers"),
            count("outputs"),
            count("lost_buffers"),
            count("unpaired"),
            count("stale"),
        )?;
        let width = 40;
        writeln!(f, "{:<width$}{:>12}{:>14}{:>12}", "", "latency ms", "power mW", "mJ")?;
        let lines = self.report.published.iter().chain(&self.report.timing.ours);
        for Compared { platform, latency, power, energy, latency_quality, power_quality, .. } in
            lines
        {
            let [latency, power, energy] = [latency, power, energy]
                .map(|value| value.number().unwrap_or_else(|| "-".to_owned()));
            let qualities = match (latency_quality, power_quality) {
                (latency, Basis::NotMeasured) => latency.name().to_owned(),
                (latency, power) if latency == power => latency.name().to_owned(),
                (latency, power) => format!("{}, power {}", latency.name(), power.name()),
            };
            writeln!(f, "{platform:<width$}{latency:>12}{power:>14}{energy:>12}   {qualities}")?;
        }
        writeln!(f, "\nDefinitions and sources of all figures are in the report:")?;
        for file in self.files {
            writeln!(f, "  {}", file.display())?;
        }
        write!(f, "{}", self.report.disclaimer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let words = ["bench", "system", "--scene", "my picture.png", "it's", "", "a\u{1b}b"];
        assert_eq!(
            command(words.into_iter().map(ToOwned::to_owned)),
            "qsegment bench system --scene 'my picture.png' 'it'\\''s' '' 'ab'"
        );
    }
}
