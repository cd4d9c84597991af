//! `qsegment replay`: the daemon, from a recording.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::config::{BrokerUrl, DisplayOutput, Instruments, Listen, NetworkFile, Pace};
use super::out::Out;
use super::run::condition::Condition;
use super::run::recorded::Replayed;
use super::run::reload::Reread;
use super::run::{self, Origin, RunArgs};
use super::{Failure, Form};

/// Run the daemon from a recording: page, screen, report
///
/// Threshold and inference are those of the recording. With --pace max and nothing to watch, times are those of
/// the recording's own clock, and the report is the same to the last byte every time.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The recording, of `qsegment record`; one that was cut is played up to its last whole chunk
    file: PathBuf,
    /// At the pace at which it was recorded, or as fast as the CPU can
    #[arg(long, default_value = "real")]
    pace: Pace,
    /// File of the network, where the host ran one that is not in the program
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkFile>,
    /// End after this many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Leave report.json, overlay.png, mask.png, latency.hlog and trace.json in this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Exit with 1 if this holds at the end, such as stale>0; may be given more than once
    #[arg(long, value_name = "CONDITION")]
    fail_on: Vec<Condition>,
    /// Address and port of the page; port 0 takes a free one. Without it there is no page at --pace max
    #[arg(long, value_name = "ADDRESS", conflicts_with = "no_web")]
    listen: Option<Listen>,
    /// No page
    #[arg(long)]
    no_web: bool,
    /// Show on a screen at this machine, as `qsegment run` does
    #[arg(long, value_name = "CARD", num_args = 0..=1, require_equals = true, default_missing_value = "auto")]
    hdmi: Option<DisplayOutput>,
}

pub(crate) fn replay(
    args: &ReplayArgs,
    load: Reread,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let unwatched = args.pace == Pace::Max;
    let read: Reread = Box::new(move || {
        let mut config = load()?;
        // What this machine draws now is not what was drawn then; and a recording of a recording is a copy.
        config.power.source = Instruments::None;
        config.record.path = PathBuf::new();
        if unwatched {
            // What the command line asks for comes over this.
            config.web.listen = Listen::Off;
            config.hdmi.output = DisplayOutput::Off;
            config.mqtt.broker = BrokerUrl::default();
        }
        Ok(config)
    });
    let replayed =
        Replayed { file: args.file.clone(), pace: args.pace, network: args.network.clone() };
    let run = RunArgs {
        origin: Origin::Recording(replayed),
        frames: args.frames,
        report: args.report.clone(),
        fail_on: args.fail_on.clone(),
        listen: args.listen,
        no_web: args.no_web,
        hdmi: args.hdmi.clone(),
        ..RunArgs::default()
    };
    run::run(&run, read, form, out)
}
