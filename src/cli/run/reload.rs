//! SIGHUP: the configuration is read again, and what can change while frames flow does.
//!
//! Nothing is dropped or opened anew. Keys that would need that are named in the log with the values that wait for a
//! restart; a configuration that is wrong is refused as a whole. On a terminal the signal means that the terminal is
//! gone and ends the run, as it does by default.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::{io, thread};

use qsegment::pipeline::Limits;
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use toml::Table;

use super::service::Service;
use crate::cli::config::Config;
use crate::cli::out::tell;

/// Reads the configuration as the start did.
pub(crate) type Reread = Box<dyn Fn() -> anyhow::Result<Config> + Send>;

/// A signal that comes before [`obey`](Self::obey) waits for it.
pub(crate) struct Reload {
    reread: Reread,
    runtime: Runtime,
    hangup: Signal,
}

impl Reload {
    /// Catches the signal from now on; nothing on a terminal.
    pub(crate) fn prepare(reread: Reread) -> io::Result<Option<Self>> {
        if io::stderr().is_terminal() {
            return Ok(None);
        }
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let hangup = {
            let _inside = runtime.enter();
            signal(SignalKind::hangup())?
        };
        Ok(Some(Self { reread, runtime, hangup }))
    }

    /// Starts the "reload" thread, which lives as long as the process. `used` is what the run began with, and from
    /// then on what holds.
    pub(super) fn obey(
        self,
        used: Arc<Mutex<Config>>,
        limits: Arc<Limits>,
        service: Service,
    ) -> io::Result<()> {
        let Self { reread, runtime, mut hangup } = self;
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            runtime.block_on(async {
                while hangup.recv().await.is_some() {
                    let reloading = service.reloading();
                    match reread() {
                        Ok(read) => {
                            adopt(&mut used.lock().expect(NOT_POISONED), &read, &limits);
                        }
                        Err(error) => tracing::error!(
                            "reload: the configuration is wrong, the old one holds: {error:#}"
                        ),
                    }
                    drop(reloading);
                }
            });
        })?;
        Ok(())
    }
}

fn adopt(used: &mut Config, read: &Config, limits: &Limits) {
    let changes = changes(used, read);
    if changes.is_empty() {
        tell("reload: nothing has changed");
    }
    for Change { key, from, to } in changes {
        if LIVE.contains(&key.as_str()) {
            tell(format_args!("reload: {key} is {to}, was {from}"));
        } else {
            tracing::warn!("reload: {key} stays {from}; {to} needs a restart");
        }
    }
    used.pipeline = crate::cli::config::Pipeline {
        inference: used.pipeline.inference,
        ..read.pipeline.clone()
    };
    let pipeline = &used.pipeline;
    limits.set(pipeline.threshold_byte(), pipeline.stale_after(), pipeline.stall_after());
}

pub(super) const NOT_POISONED: &str = "no code panics while it holds this lock";
/// Keys that hold from the next frame on.
const LIVE: [&str; 3] =
    ["pipeline.threshold", "pipeline.stale_after_ms", "pipeline.stall_after_ms"];

#[derive(Debug, PartialEq)]
struct Change {
    /// As `section.key`.
    key: String,
    from: String,
    to: String,
}

fn changes(used: &Config, read: &Config) -> Vec<Change> {
    let table = |config| Table::try_from(config).expect("every value of a configuration is TOML");
    let (used, read): (Table, Table) = (table(used), table(read));
    let mut changes = Vec::new();
    for (section, keys) in used.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
        for (key, from) in keys {
            let to = &read[section][key];
            if from != to {
                let key = format!("{section}.{key}");
                changes.push(Change { key, from: from.to_string(), to: to.to_string() });
            }
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn names_each_key_that_changed() {
        let used = config("[pipeline]\nthreshold = 0.5\n");
        let read = config("[pipeline]\nthreshold = 0.25\n[network]\nfile = \"fast\"\n");
        let change = |key: &str, from: &str, to: &str| Change {
            key: key.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        assert_eq!(
            changes(&used, &read),
            [
                change("network.file", "\"accurate\"", "\"fast\""),
                change("pipeline.threshold", "0.5", "0.25"),
            ]
        );
    }

    #[test]
    fn live_keys_hold_at_once_and_others_wait() {
        let limits = Limits::new(128, Duration::from_millis(500), Duration::from_secs(1));
        let mut used = Config::default();
        let read = config(
            "[pipeline]\nthreshold = 0.25\nstale_after_ms = 80\nstall_after_ms = 90\n\
             inference = \"host\"\n[source]\nseed = 9\n",
        );
        adopt(&mut used, &read, &limits);
        let (stale, stall) = (limits.stale_after().as_millis(), limits.stall_after().as_millis());
        assert_eq!((limits.threshold(), stale, stall), (64, 80, 90));
        // What waits for a restart is said again at the next signal.
        assert_eq!(changes(&used, &read).len(), 2);
    }

    #[test]
    fn live_keys_are_keys() {
        let changed =
            config("[pipeline]\nthreshold = 0.1\nstale_after_ms = 1\nstall_after_ms = 1\n");
        let changes = changes(&Config::default(), &changed);
        let mut keys: Vec<_> = changes.iter().map(|change| change.key.as_str()).collect();
        keys.sort_unstable();
        let mut live = LIVE;
        live.sort_unstable();
        assert_eq!(keys, live);
    }
}
