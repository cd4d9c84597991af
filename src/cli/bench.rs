//! `qsegment bench`: figures with their definition, source and quality, and what they mean.

mod emulator;
mod engine;
pub(crate) mod machine;
mod peers;
mod system;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::config::Config;
use super::out::Out;
use super::{Failure, Form};

/// Measure, and put what was measured beside what is published
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    Engine(engine::EngineArgs),
    System(system::SystemArgs),
}

pub(crate) fn bench(
    args: BenchArgs,
    config: Config,
    form: Form,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    match args.command {
        BenchCommand::Engine(args) => engine::engine(&args, config, form, out),
        BenchCommand::System(args) => system::system(args, config, form, out),
    }
}
