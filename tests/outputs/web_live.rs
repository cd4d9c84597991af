//! `/live` over a real socket, by a client that speaks just enough of RFC 6455.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::read::DeflateDecoder;
use qsegment::outputs::web::Access;

use crate::web::{Page, connect};

struct Socket(TcpStream);

/// As the module's table of the message says.
#[derive(Debug, PartialEq)]
struct Message {
    state: &'static str,
    threshold: u8,
    sequence: u64,
    age_us: u32,
    picture: (u16, u16),
    mask: (u16, u16),
    jpeg: Vec<u8>,
    probability: Vec<u8>,
}

impl Socket {
    fn open(page: &Page, headers: &str) -> Self {
        let mut socket = Self::ask(page, headers);
        let head = head(&mut socket);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        // Of the key below, by RFC 6455 section 1.3.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(socket)
    }
    fn ask(page: &Page, headers: &str) -> TcpStream {
        let mut socket = connect(page.serving.address());
        write!(
            socket,
            "GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        )
        .unwrap();
        socket
    }
    /// What is sent is masked with zeros, which leaves it as it is.
    fn say(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()).ok().filter(|len| *len < 126) {
            Some(len) => frame.push(0x80 | len),
            None => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }
    fn hear(&mut self) -> (u8, Vec<u8>) {
        let mut take = |len: usize| {
            let mut bytes = vec![0; len];
            self.0.read_exact(&mut bytes).unwrap();
            bytes
        };
        let start = take(2);
        let len = match start[1] {
            126 => usize::from(u16::from_be_bytes(take(2).try_into().unwrap())),
            127 => usize::try_from(u64::from_be_bytes(take(8).try_into().unwrap())).unwrap(),
            len => usize::from(len),
        };
        (start[0] & 0x0f, take(len))
    }
    /// Answers pings, as any client does.
    fn message(&mut self) -> Message {
        loop {
            match self.hear() {
                (BINARY, bytes) => return Message::read(&bytes),
                (PING, said) => self.say(PONG, &said),
                (opcode, _) => assert_eq!(opcode, PONG),
            }
        }
    }
    /// Heartbeats in between repeat what was there.
    fn message_in(&mut self, state: &str) -> Message {
        loop {
            let message = self.message();
            if message.state == state {
                return message;
            }
        }
    }
    /// The code and the reason of the goodbye.
    fn goodbye(&mut self) -> (u16, String) {
        loop {
            let (opcode, bytes) = self.hear();
            if opcode == CLOSE {
                let reason = String::from_utf8(bytes[2..].to_vec()).unwrap();
                return (u16::from_be_bytes([bytes[0], bytes[1]]), reason);
            }
        }
    }
}

impl Message {
    fn read(bytes: &[u8]) -> Self {
        assert_eq!(&bytes[..4], b"qsl1");
        let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let jpeg_end = 44 + usize::try_from(u32_at(28)).unwrap();
        let mask_len = usize::try_from(u32_at(32)).unwrap();
        assert_eq!(bytes.len(), jpeg_end + mask_len);
        let mut probability = Vec::new();
        if mask_len > 0 {
            DeflateDecoder::new(&bytes[jpeg_end..]).read_to_end(&mut probability).unwrap();
        }
        Self {
            state: ["no_signal", "stale", "live"][usize::from(bytes[4])],
            threshold: bytes[5],
            sequence: u64::from_le_bytes(bytes[8..16].try_into().unwrap()),
            age_us: u32_at(16),
            picture: (u16_at(20), u16_at(22)),
            mask: (u16_at(24), u16_at(26)),
            jpeg: bytes[44..jpeg_end].to_vec(),
            probability,
        }
    }
}

fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn picture_and_probability_of_one_frame_come_together_until_it_is_no_longer_true() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut socket = Socket::open(&page, "Origin: http://127.0.0.1\r\n");
    let nothing = socket.message();
    assert_eq!((nothing.state, nothing.jpeg.len()), ("no_signal", 0));
    page.show(7);
    let live = socket.message_in("live");
    let frame = crate::sample::frame_over(&["....", ".##.", "...."], 30);
    assert_eq!((live.sequence, live.threshold), (7, frame.threshold));
    assert_eq!(live.age_us, 100_000, "as /status says");
    assert_eq!(live.probability, frame.probability);
    let sides = (usize::from(live.mask.0), usize::from(live.mask.1));
    assert_eq!(sides, (frame.mask_width, frame.mask_height));
    let picture = image::load_from_memory(&live.jpeg).unwrap().into_rgb8();
    let size = (u32::from(live.picture.0), u32::from(live.picture.1));
    assert_eq!(picture.dimensions(), size);
    for (shown, seen) in picture.as_raw().iter().zip(&frame.rgb) {
        assert!(shown.abs_diff(*seen) < 40, "{shown} for {seen}");
    }
    page.pass(Duration::from_secs(1));
    let stale = socket.message_in("stale");
    assert_eq!((stale.sequence, stale.age_us), (7, 1_100_000));
    assert_eq!(stale.jpeg, live.jpeg, "the picture is there, and grey in the browser");
    assert_eq!((stale.mask, stale.probability.len()), ((0, 0), 0), "the mask is withheld");
    page.pass(Duration::from_secs(20));
    let gone = socket.message_in("no_signal");
    assert_eq!((gone.picture, gone.jpeg.len(), gone.probability.len()), ((0, 0), 0, 0));
    page.show(8);
    assert_eq!(socket.message_in("live").sequence, 8);
}

#[test]
fn all_who_watch_get_the_same_bytes() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut sockets: Vec<_> = (0..4).map(|_| Socket::open(&page, "")).collect();
    page.show(5);
    let messages: Vec<_> = sockets.iter_mut().map(|socket| socket.message_in("live")).collect();
    assert!(messages.iter().all(|message| *message == messages[0]));
}

#[test]
fn who_says_something_is_shown_out_and_counted() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    for (opcode, said) in [(1, vec![b'x'; 10]), (BINARY, vec![0; 10]), (1, vec![b'x'; 5000])] {
        let mut socket = Socket::open(&page, "");
        socket.message();
        socket.say(opcode, &said);
        assert_eq!(
            socket.goodbye(),
            (1008, "Nothing is to be said here; /live only shows.".into())
        );
    }
    let refused = &page.get("/status").json()["http"]["refused"];
    assert_eq!(refused["message"], 3);
}

#[test]
fn a_ping_is_answered_and_a_storm_of_them_is_not() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut socket = Socket::open(&page, "");
    socket.message();
    socket.say(PING, b"here?");
    while socket.hear() != (PONG, b"here?".to_vec()) {}
    for _ in 0..100 {
        socket.say(PING, b"");
    }
    assert_eq!(socket.goodbye().0, 1008);
}

#[test]
fn other_sites_and_strangers_get_no_socket() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    for headers in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:9\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        let head = head(&mut Socket::ask(&page, headers));
        assert!(head.starts_with("HTTP/1.1 403"), "{headers}{head}");
    }
    // Without an upgrade it says what it is.
    let plain = page.get("/live");
    assert_eq!(
        (plain.status, plain.text()),
        (426, "This is a WebSocket; a picture is at /stream.mjpg.\n")
    );
}

#[test]
fn the_ninth_who_watches_hears_why_not() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut sockets: Vec<_> = (0..8).map(|_| Socket::open(&page, "")).collect();
    for socket in &mut sockets {
        socket.message();
    }
    let (code, reason) = Socket::open(&page, "").goodbye();
    assert_eq!(code, 1013);
    assert!(reason.starts_with("Too many are watching"), "{reason}");
    // A WebSocket is a connection like any other, also after its upgrade; one more is this request.
    assert_eq!(page.get("/status").json()["http"]["connections"], 9);
}

#[test]
fn who_leaves_makes_room() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    for _ in 0..20 {
        let mut socket = Socket::open(&page, "");
        socket.message();
        socket.say(CLOSE, &1000_u16.to_be_bytes());
        assert_eq!(socket.goodbye().0, 1000);
        let mut rest = Vec::new();
        socket.0.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn who_does_not_read_is_dropped_and_holds_nobody_up() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let deaf = Socket::open(&page, "");
    let mut reads = Socket::open(&page, "");
    // Noise: so large as a JPEG that the buffers of both ends are soon full.
    let mut frame = crate::sample::frame_over(&["#."], 600);
    for (at, value) in frame.rgb.iter_mut().enumerate() {
        *value = u32::try_from(at).unwrap().wrapping_mul(2_654_435_761).to_be_bytes()[0];
    }
    let refused = || page.get("/status").json()["http"]["refused"]["slow_to_read"].clone();
    while refused() == 0 {
        frame.sequence += 1;
        page.put(frame.clone());
        while reads.message_in("live").sequence < frame.sequence {}
    }
    assert_eq!(refused(), 1);
    drop(deaf);
}

/// Sixty frames into a way that nobody empties: but for the two that were sent before the first answer, only the newest
/// comes out.
#[test]
fn who_falls_behind_skips_frames_and_sees_none_of_long_ago() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut slow = Socket::open(&page, "");
    let mut reads = Socket::open(&page, "");
    for sequence in 1..=60 {
        page.show(sequence);
        while reads.message_in("live").sequence < sequence {}
    }
    let seen: Vec<_> = (0..4).map(|_| slow.message().sequence).collect();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen[2..], [60, 60], "{seen:?}");
}

#[test]
fn stops_although_somebody_watches_and_another_does_not_read() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let mut watching = Socket::open(&page, "");
    let _silent = Socket::open(&page, "");
    page.show(1);
    watching.message_in("live");
    drop(page);
    let mut rest = Vec::new();
    // The end or a reset; a read that times out would be neither.
    if let Err(error) = watching.0.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
