//! mosquitto with a configuration of the test's, on ports of its own.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::free_port;

/// None, and a word about it, where there is no mosquitto.
#[expect(clippy::print_stderr, reason = "what is skipped must be seen")]
pub(crate) fn mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    // Where Debian has it, which is not in everybody's PATH.
    folders.push("/usr/sbin".into());
    let found =
        folders.into_iter().map(|folder| folder.join("mosquitto")).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no mosquitto here; apt-get install mosquitto");
    }
    found
}

pub(crate) struct Broker {
    program: PathBuf,
    pub(crate) dir: TempDir,
    /// Of the listener without encryption.
    pub(crate) port: u16,
    process: Option<Child>,
}

impl Broker {
    /// One that lets everybody in.
    pub(crate) fn open(program: PathBuf) -> Self {
        let mut broker = Self::prepare(program, "allow_anonymous true\n");
        broker.start();
        broker
    }

    /// Not started yet. `more` is configuration.
    pub(crate) fn prepare(program: PathBuf, more: &str) -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        // As root it would become another user, who cannot read the test's folder.
        let text = format!("user root\nlistener {port} 127.0.0.1\n{more}");
        fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        Self { program, dir, port, process: None }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut broker = Command::new(&self.program)
            .arg("-c")
            .arg(self.path("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = broker.try_wait().unwrap();
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(ended.is_none(), "mosquitto does not start: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(broker);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn process_folder(&self) -> PathBuf {
        Path::new("/proc").join(self.process.as_ref().unwrap().id().to_string())
    }

    pub(crate) fn address(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}
