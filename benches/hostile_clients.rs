//! What 200 slow and hostile clients do to the frames: the daemon on the simulated sensor in its real pace, alternately
//! left alone and attacked, and the intervals between published masks in each.
//!
//! ```text
//!   50  begin a request and send a byte a second          25  send bytes that are no request
//!   50  ask for the stream and never read                 25  ask for what costs most, over and over
//!   50  connect and go, as fast as they can
//! ```
//!
//! `cargo bench --bench hostile_clients`; about three minutes. The clients run on the same machine in the place of
//! others, so they have the lowest priority: what they themselves compute is not the daemon's to bear. Intervals are
//! those of the daemon's own trace, host clock, from the end of one mask to the end of the next. On a busy machine run
//! it again: it says how far apart two quiet rounds are.
#![expect(clippy::print_stdout, reason = "what a bench is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be taken should end loudly")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::setpriority_process;
use serde_json::Value;

fn main() {
    let daemon = Daemon::start();
    setpriority_process(None, LOWEST_PRIORITY).unwrap();
    let (mut quiet, mut attacked, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    println!(
        "{:>6}{:>16}{:>16}{:>10}{:>14}",
        "round", "quiet p99 ms", "attacked", "ratio", "connections"
    );
    for round in 1..=ROUNDS {
        sleep(SETTLE + SPAN);
        let alone = daemon.intervals();
        let (with, connections) = under_attack(&daemon);
        let (left, right) = (p99(&alone), p99(&with));
        ratios.push(right / left);
        println!("{round:>6}{left:>16.2}{right:>16.2}{:>10.3}{connections:>14}", right / left);
        quiet.push(alone);
        attacked.push(with);
    }
    let halves = [0, 1].map(|half| {
        let half: Vec<_> = quiet.iter().skip(half).step_by(2).flatten().copied().collect();
        p99(&half)
    });
    let (quiet, attacked) = (quiet.concat(), attacked.concat());
    for (name, of) in [("quiet", &quiet), ("attacked", &attacked)] {
        let (frames, most) = (of.len(), of.iter().copied().fold(0.0, f64::max));
        println!(
            "{name:10}{frames:>6} intervals, ms: p50 {:.2}, p99 {:.2}, longest {most:.2}",
            p50(of),
            p99(of)
        );
    }
    println!("p99 attacked over quiet: {:.3}", p99(&attacked) / p99(&quiet));
    println!("the same, median of the rounds: {:.3}", p50(&ratios));
    println!("p99 quiet over quiet, every other round: {:.3}", halves[1] / halves[0]);
    println!("turned away: {}", daemon.status()["http"]["refused"]);
}

/// Intervals of the last seconds of an attack, and how many connections the clients made during it.
fn under_attack(daemon: &Daemon) -> (Vec<f64>, u64) {
    let (over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let attack = Attack { address: daemon.address, over: &over, made: &made };
    std::thread::scope(|scope| {
        for (clients, behave) in MIX {
            for nth in 0..clients {
                std::thread::Builder::new()
                    .stack_size(128 << 10)
                    .spawn_scoped(scope, move || {
                        while !attack.is_over() {
                            behave(attack, nth);
                        }
                    })
                    .unwrap();
            }
        }
        sleep(SETTLE + SPAN);
        over.store(true, Ordering::Relaxed);
    });
    (daemon.intervals(), made.load(Ordering::Relaxed))
}

#[derive(Clone, Copy)]
struct Attack<'a> {
    address: SocketAddr,
    over: &'a AtomicBool,
    made: &'a AtomicU64,
}

impl Attack<'_> {
    fn is_over(self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
    fn connect(self) -> Option<TcpStream> {
        let socket = TcpStream::connect_timeout(&self.address, Duration::from_millis(500)).ok()?;
        self.made.fetch_add(1, Ordering::Relaxed);
        socket.set_read_timeout(Some(Duration::from_millis(200))).ok()?;
        socket.set_write_timeout(Some(Duration::from_millis(200))).ok()?;
        Some(socket)
    }
}

fn drips(attack: Attack<'_>, _: usize) {
    let Some(mut socket) = attack.connect() else { return };
    for byte in b"GET /status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".iter().chain([&b'y'; 500]) {
        if attack.is_over() || socket.write_all(&[*byte]).is_err() {
            return;
        }
        pause(attack, 1000);
    }
}

fn never_reads(attack: Attack<'_>, nth: usize) {
    let Some(mut socket) = attack.connect() else { return };
    // Styles of their own: each is drawn for itself.
    let request =
        format!("GET /stream.mjpg?opacity=0.{nth:02} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if socket.write_all(request.as_bytes()).is_err() {
        return;
    }
    let mut first = [0; 12];
    // Refused: there are streams enough. Try again later.
    if socket.peek(&mut first).is_ok() && !first.ends_with(b"200") {
        return pause(attack, 200);
    }
    for _ in 0..15 {
        pause(attack, 1000);
    }
}

fn connects_and_goes(attack: Attack<'_>, _: usize) {
    if attack.connect().is_none() {
        pause(attack, 5);
    }
}

fn sends_garbage(attack: Attack<'_>, nth: usize) {
    let Some(mut socket) = attack.connect() else { return };
    let garbage: Vec<u8> = (0..2000).map(|at| (at * (nth + 7) % 251).to_le_bytes()[0]).collect();
    drop(socket.write_all(&garbage));
    drop(socket.read(&mut [0; 1000]));
    pause(attack, 10);
}

fn asks_for_most(attack: Attack<'_>, nth: usize) {
    let Some(mut socket) = attack.connect() else { return };
    let path = ["/trace.json", "/snapshot.png", "/metrics", "/status"][nth % 4];
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut answer = vec![0; 64 << 10];
    while !attack.is_over() && socket.write_all(request.as_bytes()).is_ok() {
        if !matches!(socket.read(&mut answer), Ok(1..)) {
            return;
        }
    }
}

fn pause(attack: Attack<'_>, milliseconds: u64) {
    for _ in 0..milliseconds.div_ceil(50) {
        if attack.is_over() {
            return;
        }
        sleep(Duration::from_millis(milliseconds.min(50)));
    }
}

struct Daemon {
    child: Child,
    address: SocketAddr,
}

impl Daemon {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qsegment"))
            .args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
            .args(["run", "--source", "simulated", "--input-size", "64x64"])
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
        Self { child, address: address.parse().unwrap() }
    }

    /// Milliseconds between the masks of the last seconds.
    fn intervals(&self) -> Vec<f64> {
        let trace = self.get("/trace.json");
        let events = trace["traceEvents"].as_array().unwrap();
        let ready =
            events.iter().filter(|event| event["name"] == "tensor_to_mask" && event["ph"] == "e");
        let ready: Vec<f64> = ready.map(|event| event["ts"].as_f64().unwrap() / 1e3).collect();
        let since = ready.last().unwrap() - SPAN.as_secs_f64() * 1e3;
        let ready: Vec<f64> = ready.into_iter().filter(|ready| *ready > since).collect();
        ready.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    fn status(&self) -> Value {
        self.get("/status")
    }

    /// As soon as a connection is to be had.
    fn get(&self, path: &str) -> Value {
        loop {
            let mut answer = Vec::new();
            let mut socket = TcpStream::connect(self.address).unwrap();
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let whole =
                socket.write_all(request.as_bytes()).and_then(|()| socket.read_to_end(&mut answer));
            if whole.is_ok() && answer.starts_with(b"HTTP/1.1 200") {
                let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                return serde_json::from_slice(&answer[body..]).unwrap();
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn p50(of: &[f64]) -> f64 {
    percentile(of, 50)
}

fn p99(of: &[f64]) -> f64 {
    percentile(of, 99)
}

fn percentile(of: &[f64], percent: usize) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * percent / 100]
}

type Behaviour = fn(Attack<'_>, usize);
const MIX: [(usize, Behaviour); 5] = [
    (50, drips),
    (50, never_reads),
    (50, connects_and_goes),
    (25, sends_garbage),
    (25, asks_for_most),
];
/// Short ones, so that what else the machine does falls on both kinds alike.
const ROUNDS: usize = 12;
const SPAN: Duration = Duration::from_secs(5);
/// Until everybody is connected, or gone.
const SETTLE: Duration = Duration::from_secs(2);
const LOWEST_PRIORITY: i32 = 19;
