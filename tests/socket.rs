//! Frames on the Unix socket: what a client gets, what a slow one does to others, whose file it is, and that both
//! example readers read a running daemon.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[allow(dead_code, reason = "its main is the example's")]
#[path = "../examples/read_frames.rs"]
mod read_frames;
#[allow(dead_code, reason = "the tests of other outputs use more of it")]
#[path = "outputs/sample.rs"]
mod sample;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use qsegment::formats::socket::{FrameHeader, Kind, PREFIX_LEN, Prefix, Request, Silent};
use qsegment::outputs::socket::{Feed, Options, Serving, Socket, SocketFigures};
use qsegment::pipeline::queue::LatestSlot;
use qsegment::pipeline::{Frame, Limits};
use qsegment::source::clock::{Clock, StopSignal, Timestamp};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than any machine needs; only a hang reaches it.
const FOR_EVER: Duration = Duration::from_secs(60);
const BOTH: Request = Request { probability: true, picture: true };

/// A socket that is fed by hand, on a virtual clock.
struct Served {
    path: PathBuf,
    slot: Arc<LatestSlot<Arc<Frame>>>,
    clock: Clock,
    serving: Option<Serving>,
    _dir: TempDir,
}

impl Served {
    fn open(pictures: bool, drop_after: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("frames.sock");
        let options = Options { path: path.clone(), mode: 0o660, pictures, drop_after };
        let slot = Arc::new(LatestSlot::new("socket"));
        let clock = Clock::simulated(StopSignal::default());
        let feed = Feed {
            slot: Arc::clone(&slot),
            facts: sample::facts(),
            source: sample::snapshot().source,
            clock: clock.clone(),
            limits: Arc::new(Limits::new(128, Duration::from_millis(500), Duration::from_secs(1))),
        };
        let serving = Some(Socket::claim(options).unwrap().serve(feed).unwrap());
        Self { path, slot, clock, serving, _dir: dir }
    }
    fn show(&self, sequence: u64) {
        self.show_over(sequence, 2);
    }
    /// A picture so many times as wide and high as the mask of 3 x 2.
    fn show_over(&self, sequence: u64, times: usize) {
        let mut frame = sample::frame_over(&[".#.", "##."], times);
        frame.sequence = sequence;
        frame.stamps.received = self.clock.now();
        self.slot.put(Arc::new(frame));
    }
    fn client(&self) -> Client {
        Client::connect(&self.path)
    }
    fn figures(&self) -> SocketFigures {
        self.serving.as_ref().unwrap().observer().figures()
    }
    /// Asks until it is so; a hang fails the test by the time limit of whoever waits for it.
    fn until(&self, is_so: impl Fn(&SocketFigures) -> bool) -> SocketFigures {
        for _ in 0..6000 {
            let figures = self.figures();
            if is_so(&figures) {
                return figures;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{:?}", self.figures());
    }
}

struct Client {
    stream: UnixStream,
    header: Vec<u8>,
    payload: Vec<u8>,
}

impl Client {
    /// Connects and takes the hello.
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        // So that a broken daemon fails the test instead of hanging it.
        stream.set_read_timeout(Some(FOR_EVER)).unwrap();
        let mut client = Self { stream, header: Vec::new(), payload: Vec::new() };
        assert_eq!(client.message(), Some(Kind::Hello));
        client
    }
    fn ask(&mut self, request: Request) {
        self.stream.write_all(&request.emit()).unwrap();
    }
    /// None at the end of the stream.
    fn message(&mut self) -> Option<Kind> {
        self.header.resize(PREFIX_LEN, 0);
        self.stream.read_exact(&mut self.header).ok()?;
        let prefix = Prefix::parse(&self.header).unwrap();
        self.header.resize(prefix.header_len, 0);
        self.stream.read_exact(&mut self.header[PREFIX_LEN..]).ok()?;
        self.payload.resize(prefix.payload_len, 0);
        self.stream.read_exact(&mut self.payload).ok()?;
        Some(prefix.kind)
    }
    /// The next frame; silence before it is passed over.
    fn frame(&mut self) -> FrameHeader {
        loop {
            match self.message().expect("the stream goes on") {
                Kind::Frame => return FrameHeader::parse(&self.header).unwrap(),
                Kind::Silent => {}
                other => panic!("{other:?}"),
            }
        }
    }
    fn is_at_the_end(&mut self) -> bool {
        loop {
            match self.message() {
                None => return true,
                Some(Kind::Silent) => {}
                Some(_) => return false,
            }
        }
    }
}

#[test]
fn client_gets_the_newest_frame_at_once_and_what_it_asked_for() {
    let served = Served::open(true, FOR_EVER);
    served.clock.wait_until(Timestamp(7_000_000));
    served.show(41);
    let mut client = served.client();
    let hello: Value = serde_json::from_slice(&client.payload).unwrap();
    assert_eq!(hello["version"], 1);
    assert_eq!(hello["disclaimer"], "Research use only. Not a medical device.");
    assert_eq!(hello["network"]["sha256"], "ab".repeat(32));
    assert_eq!((&hello["quality"], &hello["host_clock"]), (&"simulated".into(), &"virtual".into()));
    client.ask(BOTH);
    let frame = client.frame();
    let want = FrameHeader {
        sequence: 41,
        skipped: 0,
        frame_start_ns: 1_000_000_000,
        tensor_at_host_ns: 1_100_000_000,
        received_ns: 7_000_000,
        mask_ready_ns: 600_000,
        sent_ns: 7_000_000,
        exposure_ns: 12_631_720,
        live: true,
        frame_count: 38,
        lag_frames: 3,
        dnn_run_time_us: 0,
        dsp_run_time_us: 0,
        analogue_gain: 2.0,
        temperature_celsius: Some(41),
        vessel_fraction: 0.5,
        threshold: 128,
        mask_size: [3, 2],
        picture_size: [6, 4],
        probability_len: 6,
        picture_len: 72,
        window: None,
    };
    assert_eq!(frame, want);
    assert_eq!(client.payload[..6], [0, 255, 0, 255, 255, 0]);
    assert_eq!(client.payload[6..], [sample::GREY; 72]);
    // Another request holds from the next frame on, which says itself that it is old.
    client.ask(Request { probability: true, picture: false });
    client.ask(Request { probability: false, picture: false });
    // That both have been read nobody says; a client that asks again must cope with a frame as before.
    served.show(42);
    let frame = client.frame();
    assert_eq!(frame.sequence, 42);
    served.show(43);
    let frame = client.frame();
    assert_eq!((frame.sequence, frame.skipped, frame.live), (43, 0, true));
    assert_eq!(
        client.payload.len(),
        usize::try_from(frame.probability_len + frame.picture_len).unwrap()
    );
    let figures = served.figures();
    assert_eq!((figures.clients, figures.frames, figures.skipped), (1, 3, 0));
}

#[test]
fn old_frame_is_not_marked_live_and_pictures_can_be_kept_back() {
    let served = Served::open(false, FOR_EVER);
    served.show(41);
    served.clock.wait_until(Timestamp(401_000_000));
    let mut client = served.client();
    client.ask(BOTH);
    let frame = client.frame();
    // 100 ms at the sensor, 401 at the host.
    assert!(!frame.live);
    assert_eq!((frame.probability_len, frame.picture_len), (6, 0));
    assert_eq!(frame.picture_size, [6, 4]);
}

#[test]
fn silence_is_told_and_from_when_it_counts() {
    let served = Served::open(true, FOR_EVER);
    let mut client = served.client();
    client.ask(BOTH);
    assert_eq!(client.message(), Some(Kind::Silent));
    served.show(41);
    client.frame();
    served.clock.wait_until(Timestamp(5_000_000_000));
    let mut silent = Silent { silent_ns: 0 };
    // On a busy machine a second may have passed before the clock was set.
    while silent.silent_ns == 0 {
        assert_eq!(client.message(), Some(Kind::Silent));
        silent = Silent::parse(&client.header).unwrap();
    }
    assert_eq!(silent, Silent { silent_ns: 5_000_000_000 });
}

#[test]
fn slow_client_is_told_what_it_missed_and_delays_nobody() {
    let served = Served::open(true, FOR_EVER);
    let (mut slow, mut fast) = (served.client(), served.client());
    slow.ask(BOTH);
    fast.ask(BOTH);
    // 1.7 MB each: no socket holds more than a part of one.
    for sequence in 1..=20 {
        served.show_over(sequence, 300);
        assert_eq!(fast.frame().sequence, sequence);
    }
    served.until(|figures| figures.frames >= 21);
    let first = slow.frame();
    let second = slow.frame();
    assert_eq!((first.skipped, second.sequence), (0, 20));
    assert_eq!(second.skipped, 20 - first.sequence - 1);
    assert!(served.figures().skipped >= second.skipped);
}

#[test]
fn client_that_does_not_read_is_sent_away_and_the_others_stay() {
    let served = Served::open(true, Duration::from_millis(200));
    let (mut stuck, mut other) = (served.client(), served.client());
    stuck.ask(BOTH);
    served.show_over(1, 300);
    served.until(|figures| figures.dropped["too_slow"] == 1);
    assert!(stuck.is_at_the_end());
    other.ask(BOTH);
    assert_eq!(other.frame().sequence, 1);
    assert_eq!(served.figures().clients, 1);
}

#[test]
fn who_asks_for_nonsense_and_the_ninth_client_are_sent_away() {
    let served = Served::open(true, FOR_EVER);
    let mut wrong = served.client();
    wrong.stream.write_all(b"GET / HT").unwrap();
    assert!(wrong.is_at_the_end());
    served.until(|figures| figures.clients == 0);
    let eight: Vec<_> = (0..8).map(|_| served.client()).collect();
    let mut ninth = UnixStream::connect(&served.path).unwrap();
    assert_eq!(ninth.read(&mut [0; 16]).unwrap(), 0);
    let dropped = served.until(|figures| figures.dropped["too_many"] == 1).dropped;
    assert_eq!(dropped["bad_request"], 1);
    drop(eight);
    served.until(|figures| figures.clients == 0);
    let mut later = served.client();
    later.ask(BOTH);
    served.show(1);
    assert_eq!(later.frame().sequence, 1);
}

#[test]
fn end_of_the_run_ends_every_client_and_removes_the_file() {
    let mut served = Served::open(true, FOR_EVER);
    let (mut reading, mut stuck) = (served.client(), served.client());
    reading.ask(BOTH);
    stuck.ask(BOTH);
    served.show_over(1, 300);
    assert_eq!(reading.frame().sequence, 1);
    served.slot.close();
    assert!(reading.is_at_the_end());
    served.serving = None;
    assert!(!served.path.exists());
    // Its message ends in the middle.
    assert!(stuck.is_at_the_end());
}

/// `qsegment run` on a small simulated sensor.
struct Daemon {
    child: Child,
    page: String,
    dir: TempDir,
}

impl Daemon {
    fn socket_in(dir: &Path) -> PathBuf {
        dir.join("frames.sock")
    }
    fn command(dir: &Path) -> Command {
        let socket = Self::socket_in(dir);
        let config = dir.join("config.toml");
        let text = format!(
            "[source]\nkind = \"simulated\"\n[web]\nlisten = \"127.0.0.1:0\"\n[socket]\npath = {socket:?}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qsegment"));
        command.arg("--config").arg(config).args(["run", "--input-size", "64x64"]);
        command.env("QSEGMENT_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    fn start_in(dir: TempDir) -> Self {
        let mut child = Self::command(dir.path()).spawn().unwrap();
        let mut page = String::new();
        // Said when all outputs are there.
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut page).unwrap();
        assert!(page.starts_with("http://"), "{page:?}");
        Self { child, page: page.trim().to_owned(), dir }
    }
    fn socket(&self) -> PathBuf {
        Self::socket_in(self.dir.path())
    }
    fn metrics(&self) -> String {
        let address = self.page.trim_start_matches("http://").trim_end_matches('/');
        let mut page = TcpStream::connect(address).unwrap();
        page.set_read_timeout(Some(FOR_EVER)).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        page.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        page.read_to_string(&mut text).unwrap();
        text
    }
    /// Ends it, and gives back its folder.
    fn end(mut self, signal: Signal) -> TempDir {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.dir, TempDir::new().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already where the test has.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn both_example_readers_read_a_running_daemon() {
    let daemon = Daemon::start_in(TempDir::new().unwrap());
    let mut said = Vec::new();
    read_frames::read_frames(&daemon.socket(), 5, &mut said).unwrap();
    assert_said(std::str::from_utf8(&said).unwrap(), 5);
    let metrics = daemon.metrics();
    let sent = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("qsegment_socket_frames_total "));
        line.unwrap().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert!(sent(&metrics) >= 5, "{metrics}");

    let python = "python3";
    if Command::new(python).arg("--version").output().is_err() {
        println!("read_frames.py: SKIPPED, there is no {python}");
        return;
    }
    let (saved, script) = (
        daemon.dir.path().join("saved"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/examples/read_frames.py"),
    );
    let read = Command::new(python)
        .arg(script)
        .arg(daemon.socket())
        .args(["--frames", "3", "--save"])
        .arg(&saved)
        .output()
        .unwrap();
    let said = String::from_utf8(read.stdout).unwrap();
    assert!(read.status.success(), "{said}{}", String::from_utf8_lossy(&read.stderr));
    assert_said(&said, 3);
    let pictures: Vec<_> =
        fs::read_dir(&saved).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(pictures.len(), 6, "{pictures:?}");
    for path in pictures {
        let picture = image::open(&path).unwrap();
        let is_map = path.extension().is_some_and(|extension| extension == "pgm");
        assert_eq!((picture.width(), picture.height()), (64, 64), "{}", path.display());
        assert_eq!(picture.color().channel_count(), if is_map { 1 } else { 3 });
    }
}

/// A hello, and lines of frames whose numbers rise.
fn assert_said(said: &str, frames: usize) {
    let hello = said.lines().next().unwrap().strip_prefix("hello ").unwrap();
    let hello: Value = serde_json::from_str(hello).unwrap();
    assert_eq!(hello["ladder"]["camera"], "simulated");
    assert_eq!(hello["host_clock"], "CLOCK_MONOTONIC");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("frame ")).collect();
    assert_eq!(lines.len(), frames, "{said}");
    assert!(lines.iter().all(|line| line.contains("mask 64x64 vessel ")), "{said}");
    assert!(lines.iter().all(|line| line.ends_with("picture 64x64 bytes 12288")), "{said}");
    let sequences: Vec<u64> =
        lines.iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "{said}");
}

#[test]
fn file_of_a_living_daemon_is_refused_and_of_a_dead_one_replaced() {
    let daemon = Daemon::start_in(TempDir::new().unwrap());
    let mode = fs::symlink_metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let second = Daemon::command(daemon.dir.path()).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let holder = format!("frames.sock is held by qsegment (process {});", daemon.child.id());
    assert!(said.contains(&holder), "{said}");

    let dir = daemon.end(Signal::KILL);
    let socket = Daemon::socket_in(dir.path());
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    let daemon = Daemon::start_in(dir);
    read_frames::read_frames(&daemon.socket(), 1, &mut Vec::new()).unwrap();
    let _dir = daemon.end(Signal::TERM);
    assert!(!socket.exists());
}
