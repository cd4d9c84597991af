//! Words the operator types, sentences the operator reads, exit codes.
//!
//! ```text
//!   arguments -> Cli -> Config (file, then command line over it) -> one command -> Out, exit code
//! ```
//!
//! Everything that can be known to be wrong is found before anything starts. An error is one line,
//! `qsegment: what: cause`, and ends with what to do.

mod bench;
mod builtin;
mod config;
mod doctor;
mod eval;
mod feed;
mod inspect;
mod kind;
mod log;
mod manual;
mod network;
mod out;
mod pack;
mod progress;
mod read;
mod record;
mod replay;
mod run;
mod segment;
mod token;
mod verify;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use qsegment::source::SourceError;

use builtin::BuiltIn;
use config::Config;
use log::LogFormat;
use out::{Out, OutError, complain};
use run::reload::Reread;

/// Runs the command that the arguments name.
pub(crate) fn main() -> ExitCode {
    let parsed = Cli::command()
        .version(short_version())
        .long_version(long_version())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(stop) => {
            // Help and version go to standard output, refusals to standard error; a closed pipe
            // is nothing to complain about.
            let _ = stop.print();
            return if stop.use_stderr() { Code::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    log::start(cli.log_format, cli.verbose);
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) if failure.reader_gone() => ExitCode::SUCCESS,
        Err(failure) => {
            complain(format_args!("{:#}", failure.error));
            failure.code.into()
        }
    }
}

/// A vessel camera: int8 segmentation inside the IMX500 image sensor, or in its simulation.
///
/// Without a command it runs the daemon on the simulated sensor with the built-in network and
/// picture. Research use only. Not a medical device.
#[derive(Debug, Parser)]
#[command(name = "qsegment", after_help = EXIT_CODES)]
struct Cli {
    /// Read this configuration instead of /etc/qsegment/config.toml
    #[arg(long, global = true, display_order = 900, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON document with a version field instead of text
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    /// Log more to standard error; twice for everything
    #[arg(short, long, global = true, display_order = 900, action = ArgAction::Count)]
    verbose: u8,
    /// Form of the log; the environment variable QSEGMENT_LOG_FORMAT does the same
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_name = "FORMAT",
        default_value = "auto",
        hide_default_value = true,
        env = "QSEGMENT_LOG_FORMAT",
        hide_env = true
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Record(record::RecordArgs),
    Replay(replay::ReplayArgs),
    Segment(segment::SegmentArgs),
    Pack(pack::PackArgs),
    Inspect(inspect::InspectArgs),
    Eval(eval::EvalArgs),
    Verify(verify::VerifyArgs),
    Bench(bench::BenchArgs),
    Doctor(doctor::DoctorArgs),
    Feed(feed::FeedArgs),
    Token(token::TokenArgs),
    Config(config::command::ConfigArgs),
    Completions(manual::CompletionsArgs),
    #[command(hide = true)]
    Man(manual::ManArgs),
}

const EXIT_CODES: &str = "\
Exit codes: 0 fine, 1 failed, 2 wrong usage, 69 device unavailable until somebody does something, 75 device
unavailable for now, 78 wrong configuration.";

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let mut out = Out::new();
    let form = if cli.json { Form::Json } else { Form::Text };
    let config = || Config::load(cli.config.as_deref()).map_err(Failure::configuration);
    match cli.command.unwrap_or_else(|| Command::Run(run::RunArgs::default())) {
        Command::Run(args) => run::run(&args, reread(&cli.config), form, &mut out),
        Command::Record(args) => record::record(&args, reread(&cli.config), form, &mut out),
        Command::Replay(args) => replay::replay(&args, reread(&cli.config), form, &mut out),
        Command::Segment(args) => segment::segment(&args, config()?, form, &mut out),
        Command::Pack(args) => pack::pack(&args, form, &mut out),
        Command::Inspect(args) => inspect::inspect(&args, cli.verbose > 0, form, &mut out),
        Command::Completions(args) => manual::completions(&args, Cli::command(), &mut out),
        Command::Man(args) => manual::man(&args, Cli::command()),
        Command::Feed(args) => feed::feed(&args, config()?, form, &mut out),
        Command::Token(args) => token::token(&args, form, &mut out),
        Command::Verify(args) => verify::verify(&args, config()?, form, &mut out),
        Command::Eval(args) => eval::eval(&args, config()?, form, &mut out),
        Command::Bench(args) => bench::bench(args, config()?, form, &mut out),
        // A configuration that is wrong is one of its findings.
        Command::Doctor(args) => doctor::doctor(&args, cli.config.as_deref(), form, &mut out),
        Command::Config(args) => {
            config::command::config(&args, cli.config.as_deref(), form, &mut out)
        }
    }
}

/// Reads the configuration as often as it is asked for.
fn reread(file: &Option<PathBuf>) -> Reread {
    let file = file.clone();
    Box::new(move || Config::load(file.as_deref()))
}

/// Why a command ends without having done its work.
#[derive(Debug)]
struct Failure {
    code: Code,
    error: anyhow::Error,
}

/// Exit codes beside 0. From 69 on they are those of sysexits.h. A service manager must not restart after 69 and 78,
/// since the same start would fail again; after 75 it may go well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Failed = 1,
    Usage = 2,
    Unavailable = 69,
    UnavailableForNow = 75,
    Configuration = 78,
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Usage, error: error.into() }
    }
    fn unavailable(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Unavailable, error: error.into() }
    }
    /// A source that cannot be used, now or until somebody does something.
    fn source(error: impl Into<SourceError>) -> Self {
        let error = error.into();
        let code = if error.may_pass() { Code::UnavailableForNow } else { Code::Unavailable };
        Self { code, error: error.into() }
    }
    fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self { code: Code::Configuration, error: error.into() }
    }
    /// The same, with what led to what was tried.
    fn after(self, reason: &str) -> Self {
        let context = format!("{reason}; and the camera does not start without a network either");
        Self { code: self.code, error: self.error.context(context) }
    }
    fn reader_gone(&self) -> bool {
        matches!(self.error.downcast_ref(), Some(OutError::ReaderGone))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: Code::Failed, error: error.into() }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

fn short_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let networks =
            BuiltIn::ALL.map(|network| format!("{} {}", network.name(), &network.sha256()[..12]));
        format!("{} (networks {})", crate_version(), networks.join(", "))
    });
    &VERSION
}

fn long_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let networks = BuiltIn::ALL
            .map(|network| format!("\nnetwork {:8}  sha256 {}", network.name(), network.sha256()));
        format!("{}{}", crate_version(), networks.concat())
    });
    &VERSION
}

fn crate_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
