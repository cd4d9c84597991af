//! The daemon, told by its environment where to publish.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::PATIENCE;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_qsegment");
pub(crate) const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml");

pub(crate) struct Camera {
    pub(crate) process: Child,
    said: Receiver<String>,
    pub(crate) heard: Vec<String>,
}

/// The daemon on the simulated sensor, with a small network; `keys` are keys of [mqtt].
pub(crate) fn daemon(keys: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["--config", CONFIG, "run", "--no-web", "--input-size", "64x64"]);
    command.env("QSEGMENT_SOURCE_KIND", "simulated").env("QSEGMENT_POWER_SOURCE", "simulated");
    for (key, value) in keys {
        command.env(format!("QSEGMENT_MQTT_{}", key.to_ascii_uppercase()), value);
    }
    command
}

impl Camera {
    pub(crate) fn run(keys: &[(&str, &str)]) -> Self {
        Self::start(daemon(keys))
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (line, said) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|said| line.send(said)));
        Self { process, said, heard: Vec::new() }
    }

    /// Waits until the log says so.
    pub(crate) fn says(&mut self, words: &str) -> String {
        loop {
            let line = self
                .said
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("nothing of {words:?} in {:#?}", self.heard));
            self.heard.push(line.clone());
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Ends it as a service manager does; all that it has said.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        let status = self.process.wait().unwrap();
        let mut heard = std::mem::take(&mut self.heard);
        heard.extend(self.said.iter());
        assert!(status.success(), "{status}: {heard:#?}");
        heard
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
