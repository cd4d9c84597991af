//! Real HTTP over a loopback socket. The clock is virtual, so staleness comes when the test says
//! so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use qsegment::outputs::measure::{self, Live, Observer};
use qsegment::outputs::record::Switch;
use qsegment::outputs::web::{Access, Feed, Serving, Web};
use qsegment::pipeline::queue::LatestSlot;
use qsegment::pipeline::{Frame, Limits};
use qsegment::source::aim::Aim;
use qsegment::source::clock::{Clock, StopSignal, Timestamp};
use qsegment::source::simulated::isp::InferenceWindow;
use serde_json::{Value, json};

use crate::sample::{aim, facts, frame_over, reading, snapshot, trace};

pub(crate) struct Page {
    pub(crate) serving: Serving,
    slot: Arc<LatestSlot<Arc<Frame>>>,
    clock: Clock,
    pub(crate) aim: Aim,
}

impl Page {
    pub(crate) fn open() -> Self {
        Self::open_at("127.0.0.1:0", Access::default())
    }
    pub(crate) fn open_at(address: &str, access: Access) -> Self {
        let slot = Arc::new(LatestSlot::new("web"));
        let clock = Clock::simulated(StopSignal::default());
        let web = Web::bind(address.parse().unwrap(), access).unwrap();
        let aim = aim();
        let limits = Arc::new(Limits::new(128, Duration::from_millis(500), Duration::from_secs(1)));
        let measure = Some(measured(&clock, &limits));
        let feed = Feed {
            slot: Arc::clone(&slot),
            snapshot: Arc::new(snapshot),
            counted: Arc::new(|| reading().counted),
            trace: Arc::new(trace),
            facts: facts(),
            clock: clock.clone(),
            limits,
            exposure: None,
            mqtt: None,
            configuration: Arc::new(|| json!({ "web": { "token_file": "(not shown)" } })),
            measure,
            aim: Some(aim.clone()),
            recording: Switch::none("no folder is configured"),
        };
        Self { serving: web.serve(feed).unwrap(), slot, clock, aim }
    }
    /// Shows a frame that is received now.
    pub(crate) fn show(&self, sequence: u64) {
        self.show_under(sequence, None);
    }
    /// The same, of this part of the sensor.
    pub(crate) fn show_under(&self, sequence: u64, window: Option<InferenceWindow>) {
        let mut frame = frame_over(&["....", ".##.", "...."], 30);
        frame.window = window;
        frame.sequence = sequence;
        self.put(frame);
    }
    /// As if it had been received now.
    pub(crate) fn put(&self, mut frame: Frame) {
        frame.stamps.received = self.clock.now();
        self.slot.put(Arc::new(frame));
    }
    /// And is then what every answer is about.
    pub(crate) fn show_and_wait(&self, sequence: u64) {
        self.show(sequence);
        let shown = || self.get("/status").json()["newest_mask"]["sequence"] == sequence;
        while !shown() {
            std::thread::yield_now();
        }
    }
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.wait_until(self.clock.now().plus(time));
    }
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, "")
    }
    /// `headers` are whole lines.
    pub(crate) fn get_with(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"))
    }
    pub(crate) fn ask(&self, request: &str) -> Answer {
        ask(self.serving.address(), request)
    }
    /// A head up to its last line, and what comes after it.
    pub(crate) fn ask_with_body(&self, head: &str, body: &str) -> Answer {
        ask_with(self.serving.address(), head, body)
    }
    fn watch(&self, path: &str) -> Stream {
        Stream::open(self.serving.address(), path)
    }
}

/// One frame that is measured and not worth it: every criterion is there, and no number.
fn measured(clock: &Clock, limits: &Arc<Limits>) -> Observer {
    let slot = Arc::new(LatestSlot::new("measure"));
    let options = measure::Options { stable_frames: 5, ..measure::Options::default() };
    let live = Live::start(Arc::clone(&slot), options, clock.clone(), Arc::clone(limits)).unwrap();
    slot.put(Arc::new(frame_over(&["....", ".##.", "...."], 30)));
    let observer = live.observer();
    while observer.figures().is_none() {
        std::thread::yield_now();
    }
    slot.close();
    observer
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
    /// In lower case, name and value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(named, _)| *named == name).map(|(_, value)| value)
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    // So that a broken server fails the test instead of hanging it.
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn ask(address: SocketAddr, request: &str) -> Answer {
    ask_with(address, request, "")
}

fn ask_with(address: SocketAddr, head: &str, body: &str) -> Answer {
    let mut socket = connect(address);
    socket.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: bytes[end + 4..].to_vec() }
}

/// A multipart stream, unchunked as it is read.
struct Stream {
    lines: BufReader<Chunks>,
}

impl Stream {
    fn open(address: SocketAddr, path: &str) -> Self {
        let mut socket = connect(address);
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut reader = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("multipart/x-mixed-replace; boundary=frame"), "{head}");
        let mut lines = BufReader::new(Chunks { reader, left: 0 });
        assert_eq!(line(&mut lines), "--frame");
        Self { lines }
    }
    /// State, sequence and JPEG of the next part, up to and with the boundary after it.
    fn part(&mut self) -> (String, String, Vec<u8>) {
        let (mut state, mut sequence, mut len) = (String::new(), String::new(), 0);
        loop {
            let header = line(&mut self.lines);
            match header.split_once(": ") {
                Some(("X-State", value)) => state = value.to_owned(),
                Some(("X-Sequence", value)) => sequence = value.to_owned(),
                Some(("Content-Length", value)) => len = value.parse().unwrap(),
                Some(other) => assert_eq!(other, ("Content-Type", "image/jpeg")),
                None => break,
            }
        }
        let mut jpeg = vec![0; len];
        self.lines.read_exact(&mut jpeg).unwrap();
        assert_eq!(line(&mut self.lines), "");
        assert_eq!(line(&mut self.lines), "--frame");
        (state, sequence, jpeg)
    }
    /// Heartbeats in between repeat what was there.
    fn part_in(&mut self, wanted: &str) -> (String, Vec<u8>) {
        loop {
            let (state, sequence, jpeg) = self.part();
            if state == wanted {
                return (sequence, jpeg);
            }
        }
    }
    fn part_of(&mut self, wanted: u64) -> (String, Vec<u8>) {
        loop {
            let (state, sequence, jpeg) = self.part();
            if sequence == wanted.to_string() {
                return (state, jpeg);
            }
        }
    }
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

struct Chunks {
    reader: BufReader<TcpStream>,
    left: usize,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.left == 0 {
            let mut size = String::new();
            if self.reader.read_line(&mut size)? == 0 {
                return Ok(0);
            }
            if let Ok(size) = usize::from_str_radix(size.trim_end(), 16) {
                if size == 0 {
                    return Ok(0);
                }
                self.left = size;
            }
        }
        let len = into.len().min(self.left);
        let read = self.reader.read(&mut into[..len])?;
        self.left -= read;
        Ok(read)
    }
}

#[test]
fn the_page_is_whole_and_asks_nobody_else() {
    let page = Page::open();
    let html = page.get("/");
    assert_eq!(html.status, 200);
    assert!(html.head.contains("text/html"));
    assert!(html.text().contains("Research use only. Not a medical device."));
    let mut linked = Vec::new();
    for attribute in html.text().split(['\"', '\'']) {
        if attribute.starts_with('/') && attribute.len() > 1 {
            linked.push(attribute.to_owned());
        }
    }
    assert!(linked.len() >= 5, "{linked:?}");
    for path in linked.iter().filter(|path| *path != "/stream.mjpg") {
        assert_eq!(page.get(path).status, 200, "{path}");
    }
    // Scripts bring further ones along.
    let mut files = vec!["/".to_owned(), "/page.css".to_owned(), "/page/page.js".to_owned()];
    let mut at = 0;
    while let Some(path) = files.get(at).cloned() {
        let answer = page.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        for elsewhere in ["http:", "https:", "\"//", "url(", "@import", "import("] {
            // A comparison with the page's own scheme, and a name that only looks like an address.
            let text = answer.text().replace("location.protocol === \"https:\"", "");
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(elsewhere), "{elsewhere} in {path}");
        }
        for line in answer.text().lines().filter(|line| line.starts_with("import ")) {
            let script = line.split('"').nth(1).unwrap().replacen("./", "/page/", 1);
            if !files.contains(&script) {
                files.push(script);
            }
        }
        at += 1;
    }
    assert!(files.len() > 10, "{files:?}");
    assert_eq!(page.get("/healthz").text(), "ok\n");
}

#[test]
fn every_answer_tells_browsers_to_stay_here() {
    let page = Page::open();
    for path in ["/", "/status", "/nowhere", "/snapshot.png"] {
        let head = page.get(path).head;
        for header in [
            "content-security-policy: default-src 'none'; img-src 'self';",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
}

#[test]
fn status_follows_the_state() {
    let page = Page::open();
    let before = page.get("/status").json();
    assert_eq!(before["version"], 1);
    assert_eq!(before["disclaimer"], "Research use only. Not a medical device.");
    assert_eq!((&before["state"], &before["newest_mask"]), (&"no_signal".into(), &Value::Null));
    assert_eq!(before["exposure"], Value::Null, "no camera, no exposure");
    assert_eq!(before["ladder"]["camera"], "simulated");
    assert_eq!(before["ladder"]["camera_reason"], "no camera is there");
    assert_eq!(before["network"]["sha256"], "ab".repeat(32));
    assert_eq!(before["seen"], json!({ "width_px": 2028, "height_px": 1520 }));
    assert_eq!(before["counters"]["paired"], 149);
    assert_eq!(before["injected_faults"]["dropped_tensor"], 3);
    assert_eq!(before["device_events"]["damaged_buffer"], 2);
    assert_eq!(before["stages"][1]["p50_ms"], 0.6);
    assert_eq!(before["screen"], "HDMI-A-1 1920x1080");

    let mut stream = page.watch("/stream.mjpg");
    page.show(41);
    stream.part_of(41);
    let live = page.get("/status").json();
    assert_eq!(live["state"], "live");
    assert_eq!(live["newest_mask"]["sequence"], 41);
    assert_eq!(live["newest_mask"]["age_ms"], 100.0);
    assert!(live["newest_mask"]["vessel_fraction"].is_number());

    page.pass(Duration::from_secs(1));
    let stale = page.get("/status").json();
    assert_eq!(stale["state"], "stale");
    assert_eq!(stale["newest_mask"]["age_ms"], 1100.0);
    assert_eq!(stale["newest_mask"]["vessel_fraction"], Value::Null);
}

#[test]
fn trace_of_the_last_seconds_can_be_taken_at_any_moment() {
    let page = Page::open();
    let answer = page.get("/trace.json");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("attachment; filename=\"trace.json\""), "{}", answer.head);
    let trace = answer.json();
    assert_eq!(trace["otherData"]["disclaimer"], "Research use only. Not a medical device.");
    let to = trace["otherData"]["sensor_to_tensor"].as_str().unwrap();
    assert!(to.starts_with("from frame start"), "{to}");
    let events = trace["traceEvents"].as_array().unwrap();
    let decode = events.iter().find(|event| event["name"] == "tensor_to_mask").unwrap();
    assert_eq!((&decode["ph"], &decode["ts"]), (&json!("b"), &json!(1e6)));
    assert_eq!(decode["args"]["sequence"], 41);
    // What the format wants of every event.
    for event in events {
        assert!(event["ph"].is_string() && event["pid"].is_u64(), "{event}");
        assert!(event["ph"] == "M" || event["ts"].is_f64(), "{event}");
    }
    for name in ["exposure_to_frame_start", "exposure_to_replaced"] {
        assert!(trace["otherData"][name].is_string(), "{name}");
    }
}

#[test]
fn the_stream_shows_frames_and_then_that_they_stopped() {
    let page = Page::open();
    let mut stream = page.watch("/stream.mjpg?style=outline&skeleton=1&opacity=0.4");
    let (sequence, _) = stream.part_in("no_signal");
    assert_eq!(sequence, "");
    page.show(1);
    let (state, first) = stream.part_of(1);
    assert_eq!(state, "live");
    let first = image::load_from_memory(&first).unwrap();
    assert_eq!((first.width(), first.height()), (240, 180));
    page.show(2);
    assert_eq!(stream.part_of(2).0, "live");
    page.pass(Duration::from_secs(2));
    let (sequence, stale) = stream.part_in("stale");
    assert_eq!(sequence, "2");
    assert_ne!(image::load_from_memory(&stale).unwrap(), first);
    page.pass(Duration::from_secs(20));
    stream.part_in("no_signal");
    page.show(3);
    assert_eq!(stream.part_of(3).0, "live");
}

#[test]
fn a_source_that_has_ended_goes_stale_too() {
    let page = Page::open();
    let mut stream = page.watch("/stream.mjpg");
    page.show(1);
    stream.part_of(1);
    page.slot.close();
    page.pass(Duration::from_secs(2));
    stream.part_in("stale");
}

#[test]
fn watchers_of_one_style_get_the_same_bytes_and_another_style_gets_others() {
    let page = Page::open();
    let mut heat = page.watch("/stream.mjpg?style=heat");
    let mut same = page.watch("/stream.mjpg?style=heat&skeleton=0&opacity=0.70");
    let mut off = page.watch("/stream.mjpg?style=off");
    page.show(5);
    let drawn = heat.part_of(5).1;
    assert_eq!(same.part_of(5).1, drawn);
    assert_ne!(off.part_of(5).1, drawn);
    // Whoever comes later sees the newest picture although no other follows.
    assert_eq!(page.watch("/stream.mjpg?style=heat").part_of(5).1, drawn);
}

#[test]
fn a_snapshot_is_drawn_as_fresh_as_it_is() {
    let page = Page::open();
    let nothing = page.get("/snapshot.png");
    assert!(nothing.head.contains("x-state: no_signal"), "{}", nothing.head);
    let mut stream = page.watch("/stream.mjpg");
    page.show(9);
    stream.part_of(9);
    let live = page.get("/snapshot.png?style=heat");
    assert!(live.head.contains("x-state: live") && live.head.contains("image/png"));
    let picture = image::load_from_memory(&live.body).unwrap();
    assert_eq!((picture.width(), picture.height()), (240, 180));
    assert_ne!(live.body, page.get("/snapshot.png?style=off").body);
    page.pass(Duration::from_secs(1));
    let stale = page.get("/snapshot.png");
    assert!(stale.head.contains("x-state: stale"));
}

#[test]
fn metrics_are_served_in_the_format_that_is_asked_for() {
    let page = Page::open();
    page.show(41);
    let metrics = page.get("/metrics");
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(metrics.text().contains("# TYPE qsegment_paired_total counter\n"));
    assert!(metrics.text().contains("qsegment_paired_total 149\n"));
    assert!(metrics.text().contains("\nprocess_resident_memory_bytes "));
    let accept = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\
                  Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let metrics = ask(page.serving.address(), accept);
    assert!(metrics.head.contains("application/openmetrics-text; version=1.0.0"));
    assert!(metrics.text().contains("# TYPE qsegment_paired counter\n"));
    assert!(metrics.text().ends_with("# EOF\n"));
}

#[test]
fn foreign_names_are_refused() {
    let page = Page::open();
    let with_host =
        |host: &str| ask(page.serving.address(), &format!("GET /status HTTP/1.1\r\n{host}")).status;
    for refused in [
        "Host: evil.example\r\n",
        "Host: 192.168.1.5:8500\r\n",
        "Host: localhost.evil.example\r\n",
        "",
    ] {
        assert_eq!(with_host(refused), 403, "{refused:?}");
    }
    assert_eq!(with_host("Host: localhost\r\nHost: evil.example\r\n"), 403);
    for welcome in ["Host: localhost:9000\r\n", "Host: LOCALHOST\r\n", "Host: [::1]:8500\r\n"] {
        assert_eq!(with_host(welcome), 200, "{welcome:?}");
    }
}

#[test]
fn what_is_not_offered_is_refused_with_a_sentence() {
    let page = Page::open();
    let missing = page.get("/nowhere");
    assert_eq!(missing.status, 404);
    assert_eq!(missing.text(), "There is no /nowhere here; the page is at /.\n");
    for (query, line) in [
        ("style=fancy", "style: got \"fancy\", want heat, outline or off.\n"),
        ("skeleton=yes", "skeleton: got \"yes\", want 0 or 1.\n"),
        ("opacity=2", "opacity: got \"2\", want 0.0 to 1.0.\n"),
        ("opacity=NaN", "opacity: got \"NaN\", want 0.0 to 1.0.\n"),
        ("scale=100", "query: got \"scale\", want style, skeleton or opacity.\n"),
    ] {
        for path in ["/snapshot.png", "/stream.mjpg"] {
            let refused = page.get(&format!("{path}?{query}"));
            assert_eq!((refused.status, refused.text()), (400, line));
        }
    }
    let address = page.serving.address();
    let post = ask(address, "POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n");
    assert_eq!(post.status, 405);
    assert!(post.head.contains("allow: get, head"));
    let body = "GET /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n";
    assert_eq!(ask(address, body).status, 413);
    let chunked = "GET /status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(ask(address, chunked).status, 413);
}

#[test]
fn the_ninth_stream_is_refused_until_one_ends() {
    let page = Page::open();
    let mut streams: Vec<_> = (0..8).map(|_| page.watch("/stream.mjpg")).collect();
    let refused = page.get("/stream.mjpg");
    assert_eq!(refused.status, 503);
    assert!(refused.text().starts_with("Too many are watching"), "{}", refused.text());
    assert_eq!(page.get("/status").status, 200);
    // The others are still served.
    page.show(3);
    for stream in &mut streams {
        stream.part_of(3);
    }
}

#[test]
fn the_connection_after_the_last_is_refused_with_a_sentence() {
    let page = Page::open();
    let address = page.serving.address();
    let held: Vec<_> = (0..64).map(|_| connect(address)).collect();
    let mut answer = String::new();
    connect(address).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
    assert!(answer.ends_with("close a page or wait for a scraper to finish.\n"), "{answer:?}");
    drop(held);
}

#[test]
fn stops_although_people_watch_and_one_does_not_read() {
    let page = Page::open();
    let mut reading = page.watch("/stream.mjpg");
    let mut silent = connect(page.serving.address());
    write!(silent, "GET /stream.mjpg?style=off HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let idle = connect(page.serving.address());
    page.show(1);
    reading.part_of(1);
    let address = page.serving.address();
    drop(page.serving);
    let mut rest = Vec::new();
    // The end of the stream or a reset; a read that times out would be neither.
    if let Err(error) = reading.lines.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    drop(idle);
    Web::bind(address, Access::default()).expect("the port is free at once");
}

#[test]
fn a_port_in_use_is_found_at_once() {
    let first = Web::bind("127.0.0.1:0".parse().unwrap(), Access::default()).unwrap();
    let address = first.address();
    let line = Web::bind(address, Access::default()).unwrap_err().to_string();
    assert_eq!(
        line,
        format!("{address} is in use; stop the other program or choose another with --listen")
    );
}

#[test]
fn addresses_that_other_machines_reach_are_refused_without_a_token() {
    let refused = Web::bind("0.0.0.0:8500".parse().unwrap(), Access::default());
    let line = refused.unwrap_err().to_string();
    assert!(
        line.contains("`qsegment token FILE`") && line.contains("ssh -L 8500:127.0.0.1:8500"),
        "{line}"
    );
}

#[test]
fn time_on_the_page_is_the_clock_it_was_given() {
    let page = Page::open();
    assert_eq!(page.clock.now(), Timestamp(0), "nothing in the page moves a virtual clock");
    page.get("/status");
    assert_eq!(page.clock.now(), Timestamp(0));
}
