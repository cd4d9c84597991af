//! Ctrl-C and SIGTERM: the first ends the run with its report, the second ends it at once.

use std::{io, process, thread};

use qsegment::source::clock::StopSignal;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::service;
use crate::cli::Code;
use crate::cli::out::complain;

/// Catches both signals from now on. The "signals" thread lives as long as the process.
pub(crate) fn obey_signals(stop: StopSignal) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            service::stopping();
            stop.raise();
            signals.next().await;
            complain("ended at once by a second signal, without a report");
            process::exit(Code::Failed as i32);
        });
    })?;
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
