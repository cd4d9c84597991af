//! What the daemon takes beside the emulator: time to its first tensor, and processor while it runs in real time.
//!
//! `cargo bench --bench daemon`; two minutes, on an otherwise idle machine. The program runs as a user starts it,
//! on the simulated sensor, and is watched from outside, by the kernel's account of its threads.
//!
//! ```text
//!   emulator   the network that would run in the sensor     } the simulated sensor: with a camera
//!   capture    scene, optics and bytes of the sensor        } there is none of it
//!   all others                                                the daemon's own
//! ```
#![expect(clippy::print_stdout, reason = "what a bench is for")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn main() {
    for network in ["accurate", "fast"] {
        let mut starts: Vec<f64> = (0..STARTS).map(|_| start(network)).collect();
        starts.sort_by(f64::total_cmp);
        let (least, median, most) = (starts[0], starts[STARTS / 2], starts[STARTS - 1]);
        println!(
            "start to first mask, {network}: median {median:.0} ms, {least:.0} to {most:.0} in {STARTS} starts"
        );
    }
    let daemon = Daemon::start();
    thread::sleep(SETTLES);
    println!("\nnobody watches the page, {} s", WATCHED.as_secs());
    daemon.watch();
    let mut stream = TcpStream::connect(&daemon.host).expect("the page is served");
    write!(stream, "GET /stream.mjpg HTTP/1.1\r\nHost: {}\r\n\r\n", daemon.host).expect("it reads");
    // Ends with the daemon.
    let viewer = thread::spawn(move || {
        let mut buffer = [0; 1 << 16];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    thread::sleep(SETTLES);
    println!("\none browser watches the live picture, {} s", WATCHED.as_secs());
    daemon.watch();
    drop(daemon);
    viewer.join().expect("it only reads");
}

/// Milliseconds from the start of the process to its first mask, as it reports them.
fn start(network: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a folder to run in");
    let mut run = command(folder.path());
    let output = run.args(["--network", network, "--frames", "6"]).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("it reports");
    report["timing"]["start_to_first_mask"]["value"].as_f64().expect("six frames bring a mask")
}

fn command(folder: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qsegment"));
    command.current_dir(folder);
    command.args(["run", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")]);
    command.args(["--source", "simulated", "--listen", "127.0.0.1:0", "--json"]);
    command
}

/// Killed when it is dropped.
struct Daemon {
    child: Child,
    host: String,
    _folder: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder to run in");
        let mut command = command(folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let host = said.find_map(|line| {
            let line = line.expect("it is text");
            Some(line.strip_prefix("http://")?.strip_suffix('/')?.to_owned())
        });
        // Its later lines must have somewhere to go.
        thread::spawn(move || said.for_each(drop));
        Self { child, host: host.expect("it says its address"), _folder: folder }
    }

    /// Prints what each thread takes.
    fn watch(&self) {
        let before = self.threads();
        thread::sleep(WATCHED);
        let mut own = 0.0;
        for (thread, (name, after)) in self.threads() {
            let spent = after - before.get(&thread).map_or(Duration::ZERO, |(_, before)| *before);
            let percent = 100.0 * spent.as_secs_f64() / WATCHED.as_secs_f64();
            println!("  {name:12} {percent:7.3} % of a core");
            if !SENSOR.contains(&name.as_str()) {
                own += percent;
            }
        }
        println!("  the daemon's own, all but {}: {own:.2} % of a core", SENSOR.join(" and "));
    }

    /// Name and time on a processor, by thread (Linux, "schedstats" of its kernel's documentation).
    fn threads(&self) -> BTreeMap<u32, (String, Duration)> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).expect("it still runs");
        let read = |task: fs::DirEntry| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let spent = Duration::from_nanos(stat.split(' ').next()?.parse().ok()?);
            Some((task.file_name().to_str()?.parse().ok()?, (name.trim().to_owned(), spent)))
        };
        tasks.filter_map(|task| read(task.ok()?)).collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Threads that are the simulated sensor.
const SENSOR: [&str; 2] = ["emulator", "capture"];
const STARTS: usize = 15;
const SETTLES: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_secs(30);
