//! Where log records go, and in what form.
//!
//! ```text
//!   --log-format  auto ------> journal, where standard error is the journal's own stream ($JOURNAL_STREAM)
//!                    \-------> plain, everywhere else
//!
//!   plain         lines of text; in colour on a terminal            what is told stays as it is
//!   json          an object a line, with the time                   what is told is a record, too
//!   journal       records with fields, as journald keeps them       what is told is a record, too
//! ```
//!
//! What is told (out.rs) is for whoever runs the command, and comes whatever the filter: progress, the reason for an
//! end. Where records have a structure, it is one of them, of the target [`TOLD`], so that every line of a JSON log is
//! JSON and the journal knows an error from a word on the side.

use std::io;
use std::os::unix::fs::MetadataExt;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::out;

/// The form of log records, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// The journal under systemd, plain elsewhere
    #[default]
    Auto,
    /// Text on standard error
    Plain,
    /// An object a line on standard error
    Json,
    /// To journald, with fields
    Journal,
}

/// Target of the records that are told whatever the filter.
pub(crate) const TOLD: &str = "qsegment::told";

/// Starts the log. `QSEGMENT_LOG` takes tracing's filter syntax, and wins over `verbose`.
pub(crate) fn start(format: LogFormat, verbose: u8) {
    match format {
        LogFormat::Auto if standard_error_is_the_journal() => to_journal(verbose),
        LogFormat::Auto | LogFormat::Plain => to_text(verbose),
        LogFormat::Json => to_json(verbose),
        LogFormat::Journal => to_journal(verbose),
    }
}

/// Without time, which whoever keeps the lines adds.
fn to_text(verbose: u8) {
    tracing_subscriber::fmt()
        .with_env_filter(filter(QUIET, verbose))
        .with_writer(io::stderr)
        .with_ansi(out::is_watched())
        .without_time()
        .init();
}

fn to_json(verbose: u8) {
    out::tell_in_records();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter(QUIET, verbose).add_directive(told()))
        .with_writer(io::stderr)
        .init();
    record_panics();
}

/// The journal filters by priority when it is read, so it is given more.
fn to_journal(verbose: u8) {
    let journal = match tracing_journald::layer() {
        Ok(journal) => journal,
        Err(error) => {
            to_text(verbose);
            tracing::warn!("the journal cannot be reached, the log is text: {error}");
            return;
        }
    };
    out::tell_in_records();
    let journal = journal
        .with_field_prefix(Some("QSEGMENT".to_owned()))
        .with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        })
        .with_syslog_identifier("qsegment".to_owned());
    let filter = filter("qsegment=info,warn", verbose).add_directive(told());
    tracing_subscriber::registry().with(filter).with(journal).init();
    record_panics();
}

const QUIET: &str = "warn";

fn filter(quiet: &str, verbose: u8) -> EnvFilter {
    let level = match verbose {
        0 => quiet,
        1 => "qsegment=debug,warn",
        _ => "trace",
    };
    EnvFilter::try_from_env("QSEGMENT_LOG").unwrap_or_else(|_| EnvFilter::new(level))
}

fn told() -> tracing_subscriber::filter::Directive {
    let directive = format!("{TOLD}={}", LevelFilter::INFO);
    directive.parse().expect("a target and a level are a directive")
}

/// `$JOURNAL_STREAM` is inherited by whatever a service starts, also where its standard error leads elsewhere; so it
/// names device and inode, to be compared.
fn standard_error_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let standard_error = std::fs::metadata("/proc/self/fd/2");
    standard_error.is_ok_and(|file| is_stream(&stream, file.dev(), file.ino()))
}

fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').and_then(|(d, i)| Some((d.parse().ok()?, i.parse().ok()?)))
        == Some((device, inode))
}

/// A panic is a record as well.
fn record_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(target: TOLD, thread, "{panic}; this is a bug, please report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_the_journals_only_if_device_and_inode_are() {
        assert!(is_stream("8:4242", 8, 4242));
        for other in ["8:4243", "9:4242", "8", "", ":", "eight:4242"] {
            assert!(!is_stream(other, 8, 4242), "{other:?}");
        }
    }

    #[test]
    fn what_is_told_passes_every_filter() {
        let filter = EnvFilter::new("off").add_directive(told());
        assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
    }
}
