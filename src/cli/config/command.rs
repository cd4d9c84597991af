//! `qsegment config`: is a file right, what would be used, where does it come from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Config, default_path};
use crate::cli::out::Out;
use crate::cli::{Failure, Form};

/// Check, show or find the configuration
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say whether a configuration file is right
    Check {
        /// The file; without it, the one that would be used
        file: Option<PathBuf>,
    },
    /// Print every key with the value that would be used
    Show,
    /// Print which file would be used
    Path,
}

pub(crate) fn config(
    args: &ConfigArgs,
    chosen: Option<&Path>,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let used = chosen.map(Path::to_owned).or_else(default_path);
    let shown = |file: Option<&Path>| file.map(|file| file.display().to_string());
    match &args.command {
        ConfigCommand::Check { file } => {
            let file = file.as_deref().or(used.as_deref());
            let config = Config::of_file(file).map_err(Failure::configuration)?;
            let name = file.map_or("built-in defaults".into(), |file| file.display().to_string());
            config.web.access().with_context(|| name.clone()).map_err(Failure::configuration)?;
            match form {
                Form::Text => out.line(format_args!("{name}: every key and value is right"))?,
                Form::Json => out.json(&Checked { version: 1, file: shown(file), right: true })?,
            }
        }
        ConfigCommand::Show => {
            let config = Config::load(used.as_deref()).map_err(Failure::configuration)?;
            match form {
                Form::Text => out.line(toml::to_string(&config)?.trim_end())?,
                Form::Json => {
                    out.json(&Shown { version: 1, file: shown(used.as_deref()), config })?
                }
            }
        }
        ConfigCommand::Path => match (form, &used) {
            (Form::Json, _) => out.json(&Found { version: 1, file: shown(used.as_deref()) })?,
            (Form::Text, Some(file)) => out.line(file.display())?,
            (Form::Text, None) => out.line(format_args!(
                "no file: built-in defaults are used; {} would be read if it were there",
                super::SYSTEM_PATH
            ))?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Checked {
    version: u32,
    file: Option<String>,
    right: bool,
}

#[derive(Serialize)]
struct Shown {
    version: u32,
    file: Option<String>,
    config: Config,
}

#[derive(Serialize)]
struct Found {
    version: u32,
    file: Option<String>,
}
