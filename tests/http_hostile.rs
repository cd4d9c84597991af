//! Requests that nobody in their senses would send: none is answered with 5xx, none shows what is in a file, and the
//! page is served as before.
//!
//! Every request follows from a seed. QSEGMENT_HOSTILE_REQUESTS sets how many there are (1000), QSEGMENT_HOSTILE_SEED
//! the seed (1); what fails prints both its number and its bytes.

#![allow(clippy::unwrap_used, reason = "every function here belongs to a test")]

#[path = "outputs/sample.rs"]
#[allow(dead_code, reason = "the tests of outputs use the rest")]
mod sample;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qsegment::outputs::record::Switch;
use qsegment::outputs::web::{Access, Feed, Serving, Token, Web};
use qsegment::pipeline::Limits;
use qsegment::pipeline::queue::LatestSlot;
use qsegment::source::clock::{Clock, StopSignal};
use rand::RngExt;
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

#[test]
fn hostile_requests_find_no_5xx_and_no_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("canary.txt"), CANARY).unwrap();
    let token_file = dir.path().join("token");
    Token::create(&token_file).unwrap();
    let token = fs::read_to_string(&token_file).unwrap().trim_end().to_owned();
    let open = serve("127.0.0.1:0", Access::default());
    let access = Access { token: Some(Token::read(&token_file).unwrap()), host_names: Vec::new() };
    let guarded = serve("0.0.0.0:0", access);

    let number = |name: &str, default| {
        std::env::var(name).map_or(default, |text| text.parse::<u64>().unwrap())
    };
    let (count, seed) =
        (number("QSEGMENT_HOSTILE_REQUESTS", 1000), number("QSEGMENT_HOSTILE_SEED", 1));
    let answered = AtomicU64::new(0);
    let one = |nth: u64| {
        // Each by its own number, so that one that fails can be sent alone.
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(nth);
        let request = request(&mut random, &dir, &token);
        let page = if random.random_bool(0.7) { &open } else { &guarded };
        let address = SocketAddr::from(([127, 0, 0, 1], page.address().port()));
        let answer = send(address, &request, &mut random);
        let told = || format!("seed {seed}, request {nth}: {}", request.escape_ascii());
        for line in status_lines(&answer) {
            answered.fetch_add(1, Ordering::Relaxed);
            assert!(!line.starts_with(b"HTTP/1.1 5"), "{}: {}", told(), line.escape_ascii());
        }
        for secret in [CANARY, "root:x:0:0", "[package]", &token] {
            let shown = answer.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!shown, "{secret:?} in the answer to {}", told());
        }
    };
    std::thread::scope(|scope| {
        for first in 0..CLIENTS {
            let one = &one;
            scope.spawn(move || (0..count).skip(first).step_by(CLIENTS).for_each(one));
        }
    });
    let answered = answered.into_inner();
    // Something was said at all, and both still serve.
    assert!(answered > count / 2, "{answered} answers to {count} requests");
    for (page, wanted) in [(&open, "HTTP/1.1 200"), (&guarded, "HTTP/1.1 401")] {
        let address = SocketAddr::from(([127, 0, 0, 1], page.address().port()));
        let request = b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answer = send(address, request, &mut ChaCha8Rng::seed_from_u64(0));
        assert!(answer.starts_with(wanted.as_bytes()), "{}", answer.escape_ascii());
    }
}

/// What a request names cannot reach a file where no code opens one.
#[test]
fn nothing_behind_the_page_opens_files_but_the_token() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/outputs/web");
    let (mut folders, mut files) = (vec![web], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if ["std::fs", "tokio::fs", "File::", "OpenOptions"]
                    .iter()
                    .any(|name| text.contains(name))
                {
                    files.push(path.file_name().unwrap().to_string_lossy().into_owned());
                }
            }
        }
    }
    assert_eq!(files, ["token.rs"]);
}

fn serve(address: &str, access: Access) -> Serving {
    let feed = Feed {
        slot: Arc::new(LatestSlot::new("web")),
        snapshot: Arc::new(sample::snapshot),
        counted: Arc::new(|| sample::reading().counted),
        trace: Arc::new(sample::trace),
        facts: sample::facts(),
        clock: Clock::simulated(StopSignal::default()),
        limits: Arc::new(Limits::new(128, Duration::from_millis(500), Duration::from_secs(1))),
        exposure: None,
        mqtt: None,
        configuration: Arc::new(|| serde_json::json!({})),
        measure: None,
        aim: Some(sample::aim()),
        recording: Switch::none("nothing is recorded here"),
    };
    Web::bind(address.parse().unwrap(), access).unwrap().serve(feed).unwrap()
}

/// A request that is right in most places, wrong in a few, and then damaged now and then.
fn request(random: &mut ChaCha8Rng, dir: &TempDir, token: &str) -> Vec<u8> {
    if random.random_bool(0.05) {
        return conversation(random, token);
    }
    let method = pick(random, &METHODS);
    let mut target = target(random, dir);
    if random.random_bool(0.3) {
        target.push('?');
        target.push_str(&query(random));
    }
    let version = if random.random_bool(0.9) { "HTTP/1.1" } else { pick(random, &VERSIONS) };
    let mut request = format!("{method} {target} {version}\r\n").into_bytes();
    if random.random_bool(0.95) {
        let host = if random.random_bool(0.85) { "localhost" } else { pick(random, &HOSTS) };
        request.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
    }
    for _ in 0..random.random_range(0..4) {
        header(random, &mut request);
    }
    if random.random_bool(0.2) {
        request.extend_from_slice(format!("Authorization: Bearer {token}\r\n").as_bytes());
    }
    if random.random_bool(0.01) {
        let header = format!("X-Long: {}\r\n", "y".repeat(random.random_range(1000..100_000)));
        request.extend_from_slice(header.as_bytes());
    }
    if random.random_bool(0.02) {
        for n in 0..random.random_range(1..200) {
            request.extend_from_slice(format!("X-{n}: z\r\n").as_bytes());
        }
    }
    if random.random_bool(0.9) {
        request.extend_from_slice(b"Connection: close\r\n");
    }
    request.extend_from_slice(b"\r\n");
    if random.random_bool(0.1) {
        change(random, &mut request);
    } else if random.random_bool(0.3) {
        let len = random.random_range(0..2000);
        request.extend((0..len).map(|_| random.random::<u8>()));
    }
    if random.random_bool(0.2) {
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..request.len());
            match random.random_range(0..3) {
                0 => request[at] = random.random(),
                1 => request.insert(at, random.random()),
                _ => request.truncate(at.max(1)),
            }
        }
    }
    request
}

/// A handshake that is right, and then messages that nobody wants to hear.
fn conversation(random: &mut ChaCha8Rng, token: &str) -> Vec<u8> {
    let mut said = format!(
        "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Authorization: Bearer {token}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..random.random_range(0..4) {
        // Final or not, reserved bits, any opcode; masked or not; a length that is given in any of the three ways.
        said.push(random.random());
        let masked = random.random::<u8>() & 0x80;
        match random.random_range(0..4) {
            0 => said.extend([masked | 126, random.random(), random.random()]),
            1 => {
                said.push(masked | 127);
                said.extend(random.random::<u64>().to_be_bytes());
            }
            _ => said.push(masked | random.random_range(0..126)),
        }
        said.extend((0..random.random_range(0..200)).map(|_| random.random::<u8>()));
    }
    said
}

/// In the place of a head without its end: one that may change something, and what it says.
fn change(random: &mut ChaCha8Rng, request: &mut Vec<u8>) {
    let body = pick(random, &BODIES);
    let (method, path) = pick_from(random, &CHANGES);
    let len = if random.random_bool(0.8) { body.len() } else { random.random_range(0..3000) };
    *request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes();
}

fn target(random: &mut ChaCha8Rng, dir: &TempDir) -> String {
    let (path, folder) = (pick(random, &PATHS), dir.path().display().to_string());
    match random.random_range(0..10) {
        0..5 => path.to_owned(),
        5 => format!("{path}{}", pick(random, &TAILS)),
        6 => format!("{}{folder}/canary.txt", pick(random, &CLIMBS)),
        7 => format!("/{}Cargo.toml", pick(random, &CLIMBS)),
        8 => {
            let escape = |byte: u8| format!("%{byte:02x}");
            format!("/..{folder}/token").bytes().map(escape).collect()
        }
        _ => {
            let byte = |_| char::from(random.random_range(b'!'..=b'~'));
            format!("/{}", (0..20).map(byte).collect::<String>())
        }
    }
}

fn query(random: &mut ChaCha8Rng) -> String {
    let pairs = random.random_range(1..5);
    let pair =
        |random: &mut ChaCha8Rng| format!("{}={}", pick(random, &KEYS), pick(random, &VALUES));
    (0..pairs).map(|_| pair(random)).collect::<Vec<_>>().join("&")
}

fn header(random: &mut ChaCha8Rng, request: &mut Vec<u8>) {
    let header = pick(random, &HEADERS);
    request.extend_from_slice(header.as_bytes());
    if random.random_bool(0.05) {
        request.extend((0..30).map(|_| random.random::<u8>()));
    }
    request.extend_from_slice(b"\r\n");
}

/// In one piece or in several; whatever comes back within a short while.
fn send(address: SocketAddr, request: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket.set_nodelay(true).unwrap();
    let pieces = if random.random_bool(0.2) { random.random_range(2..6) } else { 1 };
    for piece in request.chunks(request.len().div_ceil(pieces)) {
        // Refused while it was still being written.
        if socket.write_all(piece).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let mut piece = [0; 16_384];
    // A stream does not end by itself, nor does a connection that waits for the rest of a request.
    while answer.len() < MOST_READ_BYTES && !is_stream(&answer) {
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => answer.extend_from_slice(&piece[..len]),
            Err(error) => {
                let over = [ErrorKind::ConnectionReset, ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(over.contains(&error.kind()), "{error}");
                break;
            }
        }
    }
    answer
}

fn is_stream(answer: &[u8]) -> bool {
    // Its heartbeats never end, either.
    let mut fours = answer.windows(4);
    let socket = answer.starts_with(b"HTTP/1.1 101")
        && fours.position(|four| four == b"\r\n\r\n").is_some_and(|end| answer.len() > end + 30);
    socket || answer.len() > 2000 && answer[..500].windows(11).any(|bytes| bytes == b"x-mixed-rep")
}

/// Of every answer on the connection.
fn status_lines(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"HTTP/1."))
}

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from.choose(random).unwrap()
}

fn pick_from<T: Copy>(random: &mut ChaCha8Rng, from: &[T]) -> T {
    *from.choose(random).unwrap()
}

const CANARY: &str = "canary-5f2c1e90-not-for-the-network";
/// At once; far fewer than connections, and never more than a few watch the stream.
const CLIENTS: usize = 12;
const MOST_READ_BYTES: usize = 1 << 20;
const METHODS: [&str; 14] = [
    "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
    "CONNECT", "get", "\u{0}GET",
];
const CHANGES: [(&str, &str); 4] = [
    ("PUT", "/api/v1/window"),
    ("DELETE", "/api/v1/window"),
    ("POST", "/api/v1/recording"),
    ("PATCH", "/api/v1/window"),
];
const BODIES: [&str; 9] = [
    r#"{"left":0,"top":0,"width":800,"height":800}"#,
    r#"{"left":4294967295,"top":4294967295,"width":4294967295,"height":4294967295}"#,
    r#"{"left":1e3,"top":-0,"width":8,"height":8}"#,
    r#"{"left":0,"left":1,"top":0,"width":0,"height":0}"#,
    r#"{"active":true,"file":"../../canary.txt"}"#,
    r#"{"active":"true"}"#,
    r#"{"active":true}"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "\u{0}",
];
const VERSIONS: [&str; 6] =
    ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "", "HTTP/9999999999.1"];
const HOSTS: [&str; 9] = [
    "evil.example",
    "",
    "127.0.0.1:99999999",
    "[::1",
    "[::1]]",
    "localhost:",
    "a@localhost",
    "%6c",
    "\u{fffd}",
];
const PATHS: [&str; 23] = [
    "/",
    "/page/page.js",
    "/page/live.js",
    "/live",
    "/page.css",
    "/icon.svg",
    "/status",
    "/metrics",
    "/trace.json",
    "/snapshot.png",
    "/stream.mjpg",
    "/healthz",
    "/login",
    "/api/v1/status",
    "/api/v1/measurements",
    "/api/v1/snapshot",
    "/api/v1/configuration",
    "/api/v1/events",
    "/api/v1/mask",
    "/api/v1/openapi.json",
    "/api/v1/window",
    "/api/v1/recording",
    "*",
];
const TAILS: [&str; 9] = ["/", "//", "%00", "%", "%zz", "/.", "/..", ";x=1", "#x"];
const CLIMBS: [&str; 10] = [
    "/../../../../../../..",
    "/..%2f..%2f..%2f..%2f..",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e",
    "//",
    "file://",
    "/..\\..\\..\\..",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae",
    "/page/../../..",
    "http://localhost/../..",
    "/....//....//",
];
const KEYS: [&str; 10] =
    ["style", "skeleton", "opacity", "token", "file", "", "%73tyle", "scale", "format", "rate"];
const VALUES: [&str; 16] = [
    "heat",
    "outline",
    "off",
    "0",
    "1",
    "0.5",
    "NaN",
    "inf",
    "-1",
    "1e999",
    "",
    "%",
    "%ff%fe",
    "../../etc/passwd",
    "\u{fffd}",
    "9999999999999999999999",
];
const HEADERS: [&str; 32] = [
    "Origin: http://localhost\r\nContent-Type: application/json",
    "Content-Type: application/json",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5\r\nContent-Length: 6",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked\r\nContent-Length: 3",
    "Expect: 100-continue",
    "Expect: 417",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 99",
    "Sec-WebSocket-Key: \u{fffd}",
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99999999999",
    "Connection: Upgrade, HTTP2-Settings",
    "Connection: close",
    "Connection: keep-alive",
    "Range: bytes=0-0,-1",
    "Origin: null",
    "Origin: http://localhost",
    "Sec-Fetch-Site: cross-site",
    "Cookie: ;;=;qsegment-1",
    "Authorization: Bearer",
    "Accept: text/html",
    "Accept-Encoding: gzip;q=9",
    "X-Forwarded-For: 127.0.0.1",
    "Host: localhost",
    " folded: line",
    "No colon",
];
