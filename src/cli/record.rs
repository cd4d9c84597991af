//! `qsegment record`: a run that is recorded.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;

use super::config::Config;
use super::out::Out;
use super::run::{self, RunArgs};
use super::{Failure, Form};

/// Run the daemon and record it: the sensor's own bytes, latency, power and results
///
/// The files are MCAP and open in Foxglove; `qsegment replay` runs the daemon from them. What is recorded
/// beside -o, and the limits on size and age, are in the configuration under [record].
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// A file (.mcap) that is not there yet, or a folder: a ring of files, of which the oldest make room.
    /// Without it, record.path of the configuration
    #[arg(short, long, value_name = "FILE|DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn record(
    args: &RecordArgs,
    mut config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    if let Some(output) = &args.output {
        config.record.path.clone_from(output);
    }
    if config.record.path.as_os_str().is_empty() {
        return Err(Failure::usage(anyhow!(
            "where to? give a folder or a file with -o, or set record.path in the configuration"
        )));
    }
    run::run(&args.run, config, form, out)
}
