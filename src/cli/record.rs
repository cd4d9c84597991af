//! `qsegment record`: a run that is recorded.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;

use super::out::Out;
use super::run::reload::Reread;
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
    load: Reread,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let output = args.output.clone();
    let read: Reread = Box::new(move || {
        let mut config = load()?;
        if let Some(output) = &output {
            config.record.path.clone_from(output);
        }
        config.record.at_start = true;
        Ok(config)
    });
    let config = read().map_err(Failure::configuration)?;
    if config.record.path.as_os_str().is_empty() {
        return Err(Failure::usage(anyhow!(
            "where to? give a folder or a file with -o, or set record.path in the configuration"
        )));
    }
    run::run(&args.run, read, form, out)
}
