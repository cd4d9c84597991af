//! What it costs the daemon to be watched, by pages (WebSocket, layers) and by clients of the MJPEG stream.
//!
//! `cargo bench --bench page`; three minutes. First the JPEG encoders are compared, on the picture that ships. Then the
//! page is served in this process as the daemon serves it, and fed with frames whose masks are there already: neither
//! sensor nor network is the limit, and nothing else of this process counts.
//!
//! ```text
//!   this thread --frames--> "web-draw" --messages--> "web" --loopback--> clients, which read and drop
//!                           \_____ what the kernel counts ____/
//! ```
#![expect(clippy::print_stdout, reason = "what a bench is for")]
#![allow(clippy::unwrap_used, reason = "nobody depends on a bench")]

#[path = "../tests/outputs/sample.rs"]
#[allow(dead_code, reason = "the tests of outputs use the rest")]
mod sample;

use std::hint::black_box;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, blur, resize};
use image::{ExtendedColorType, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use qsegment::outputs::record::Switch;
use qsegment::outputs::web::{Access, Feed, Web};
use qsegment::pipeline::queue::LatestSlot;
use qsegment::pipeline::{Frame, Limits};
use qsegment::source::clock::{Clock, StopSignal};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let retina = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/retina.jpg");
    let retina = image::open(retina).unwrap().into_rgb8();
    println!("one JPEG of quality 90 without subsampling, processor time, median of {ROUNDS}");
    for side in [320, 640] {
        let picture = resize(&retina, side, side, FilterType::Triangle);
        let (by_image, by_jpeg_encoder) = encoders(&picture);
        println!(
            "  {side} x {side}   image {by_image:.2} ms   jpeg-encoder {by_jpeg_encoder:.2} ms"
        );
    }
    for (side, rate) in [(320, 30), (640, 15)] {
        let frame = frame(&resize(&retina, side, side, FilterType::Triangle));
        println!("\n{side} x {side}, {rate} frames a second, {} s each", WATCHED.as_secs());
        println!("  {:34}{:>16}{:>14}{:>17}", "", "of a core", "per client", "frames to each");
        for (name, path, count) in [
            ("nobody", "", 0),
            ("1 page", "/live", 1),
            ("4 pages", "/live", 4),
            ("1 client of the MJPEG stream", "/stream.mjpg", 1),
            ("4 clients of the MJPEG stream", "/stream.mjpg", 4),
        ] {
            let (share, frames) = watched(&frame, rate, path, count);
            let each = share / f64::from(count.max(1));
            println!(
                "  {name:34}{:>14.2} %{:>12.2} %{frames:>15.1}/s",
                share * 100.0,
                each * 100.0
            );
        }
    }
}

fn encoders(picture: &RgbImage) -> (f64, f64) {
    let (width, height) = picture.dimensions();
    let by_image = median(|| {
        JpegEncoder::new_with_quality(black_box(Vec::new()), 90)
            .encode(picture, width, height, ExtendedColorType::Rgb8)
            .unwrap();
    });
    let by_jpeg_encoder = median(|| {
        let mut encoder = Encoder::new(black_box(Vec::new()), 90);
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
        let side = |side| u16::try_from(side).unwrap();
        encoder.encode(picture, side(width), side(height), ColorType::Rgb).unwrap();
    });
    (by_image, by_jpeg_encoder)
}

/// Milliseconds of this thread's time.
fn median(mut run: impl FnMut()) -> f64 {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = now();
            run();
            (now() - start).as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
/// What is darker than its surroundings counts as vessel: as sparse, and as hard to deflate, as a network's map.
fn frame(picture: &RgbImage) -> Frame {
    let around = blur(picture, 8.0);
    let darker = picture.pixels().zip(around.pixels()).map(|(pixel, around)| {
        let by = f32::from(around[1]) - f32::from(pixel[1]);
        (by * 12.0).clamp(0.0, 255.0) as u8
    });
    let [width, height] = [picture.width(), picture.height()].map(|side| side as usize);
    Frame {
        width,
        height,
        mask_width: width,
        mask_height: height,
        probability: darker.collect(),
        rgb: picture.as_raw().clone(),
        threshold: 128,
        ..Frame::default()
    }
}

/// Share of a core that the page's threads take, and frames a second that reach each client.
fn watched(frame: &Frame, rate: u32, path: &'static str, count: u32) -> (f64, f64) {
    let clock = Clock::monotonic(StopSignal::default());
    let slot = Arc::new(LatestSlot::new("web"));
    let feed = Feed {
        slot: Arc::clone(&slot),
        snapshot: Arc::new(sample::snapshot),
        counted: Arc::new(|| sample::reading().counted),
        trace: Arc::new(sample::trace),
        facts: sample::facts(),
        clock: clock.clone(),
        limits: Arc::new(Limits::new(128, Duration::from_millis(500), Duration::from_secs(1))),
        exposure: None,
        mqtt: None,
        configuration: Arc::new(|| serde_json::Value::Null),
        measure: None,
        aim: None,
        recording: Switch::none("nothing is recorded here"),
    };
    let web = Web::bind("127.0.0.1:0".parse().unwrap(), Access::default()).unwrap();
    let serving = web.serve(feed).unwrap();
    let (stop, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let (address, stop, came) = (serving.address(), Arc::clone(&stop), Arc::clone(&came));
            thread::spawn(move || read(address, path, &stop, &came))
        })
        .collect();
    let mut sequence = 0;
    let mut feed_for = |time: Duration| {
        let start = Instant::now();
        let mut next = start;
        while start.elapsed() < time {
            sequence += 1;
            let mut frame = Frame { sequence, ..frame.clone() };
            frame.stamps.received = clock.now();
            slot.put(Arc::new(frame));
            next += Duration::from_secs(1) / rate;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    };
    feed_for(SETTLES);
    let (before, came_before, start) = (spent(), came.load(Ordering::Relaxed), Instant::now());
    feed_for(WATCHED);
    let seconds = start.elapsed().as_secs_f64();
    let share = (spent() - before).as_secs_f64() / seconds;
    let frames = (came.load(Ordering::Relaxed) - came_before) as f64;
    stop.store(true, Ordering::Relaxed);
    drop(serving);
    for client in clients {
        client.join().unwrap();
    }
    (share, frames / seconds / f64::from(count.max(1)))
}

/// Counts frames by what every one of them has once: the message's first bytes, the part's headers. Answers every ping
/// (0x89, of 8 bytes) as a browser does, masked with zeros.
fn read(address: SocketAddr, path: &str, stop: &AtomicBool, came: &AtomicU64) {
    let mut socket = TcpStream::connect(address).unwrap();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (upgrade, mark): (&str, &[u8]) =
        if path == "/live" { (upgrade, b"qsl1") } else { ("", b"X-State:") };
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n").unwrap();
    let mut kept = Vec::new();
    let mut piece = vec![0; 1 << 18];
    while !stop.load(Ordering::Relaxed) {
        match socket.read(&mut piece) {
            Ok(0) => return,
            Ok(len) => {
                kept.extend_from_slice(&piece[..len]);
                let marks = kept.windows(mark.len()).filter(|bytes| *bytes == mark).count();
                came.fetch_add(marks as u64, Ordering::Relaxed);
                for ping in kept
                    .windows(10)
                    .filter(|bytes| bytes[..2] == [0x89, 8] && bytes[2..6] == [0; 4])
                {
                    socket.write_all(&[&[0x8a, 0x88, 0, 0, 0, 0], &ping[2..]].concat()).unwrap();
                }
                kept.drain(..kept.len().saturating_sub(mark.len() - 1));
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
}

/// By the page's threads until now (Linux, "schedstats" of its kernel's documentation).
fn spent() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ours = ["web", "web-draw"].contains(&name.trim());
        let spent = Duration::from_nanos(stat.split(' ').next()?.parse().ok()?);
        ours.then_some(spent)
    };
    tasks.filter_map(|task| of(task.ok()?)).sum()
}

const ROUNDS: usize = 51;
const SETTLES: Duration = Duration::from_secs(2);
const WATCHED: Duration = Duration::from_secs(12);
