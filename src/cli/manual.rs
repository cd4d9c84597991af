//! `qsegment completions` and `qsegment man`: what shells and `man` know of the commands, made from their definition,
//! so that it cannot differ from the help texts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;

use super::Failure;
use super::out::Out;

/// Print the completions of a shell
///
/// For bash: `qsegment completions bash | sudo tee /usr/share/bash-completion/completions/qsegment`. The Debian
/// package brings those of bash, zsh and fish.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub(crate) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, NAME, &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Write the man pages, one a command, into a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; made if it is not there
    folder: PathBuf,
}

pub(crate) fn man(args: &ManArgs, command: Command) -> Result<ExitCode, Failure> {
    let cannot = || format!("cannot write man pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(cannot)?;
    let command = command.disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.folder).with_context(cannot)?;
    Ok(ExitCode::SUCCESS)
}

const NAME: &str = "qsegment";
