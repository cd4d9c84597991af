//! Recordings as their operator meets them: they open whatever happened while they were written, and a replay is
//! the same every time.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use mcap::WriteOptions;
use mcap::records::{MessageHeader, Metadata};
use prost::Message as _;
use qsegment::formats::recording::{Channel, FACTS_RECORD, FrameMessage, VesselsMessage};
use qsegment::source::clock::{Clock, StopSignal};
use qsegment::source::replay::{Recording, ReplayError};
use qsegment::source::{FrameSource, Next, RawFrame, SourceError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_qsegment");

/// A configuration with chunks of a few frames.
fn configuration(dir: &Path, record: &str) -> PathBuf {
    let path = dir.join("my.toml");
    fs::write(&path, format!("[power]\nsource = \"none\"\n[record]\n{record}\n")).unwrap();
    path
}

/// Arguments of a run that is recorded at full speed.
fn record(config: &Path, to: &Path, frames: u32) -> Vec<String> {
    let (config, to) = (config.to_str().unwrap(), to.to_str().unwrap());
    let frames = frames.to_string();
    ["--config", config, "record", "-o", to, "--pace", "max", "--no-web", "--input-size", "64x64"]
        .into_iter()
        .chain(["--frames", &frames])
        .map(ToOwned::to_owned)
        .collect()
}

fn run(args: &[String]) -> Output {
    let output = Command::new(PROGRAM).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn replay(file: &Path, report: &Path) -> Output {
    let args = ["replay", file.to_str().unwrap(), "--pace", "max", "--report"];
    let output = Command::new(PROGRAM).args(args).arg(report).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Numbers of the frames in a recording; an error where it does not end well.
fn frames(file: &Path) -> Result<Vec<u64>, SourceError> {
    let recording = Recording::open(file)?;
    let mut replay = recording.play(Clock::simulated(StopSignal::default()));
    let (mut frame, mut numbers) = (RawFrame::default(), Vec::new());
    while replay.next(&mut frame)? == Next::Frame {
        numbers.push(frame.sequence);
    }
    Ok(numbers)
}

/// Numbers from 0 on without a gap; how many.
fn prefix(file: &Path) -> usize {
    match frames(file) {
        Ok(numbers) => {
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
            numbers.len()
        }
        Err(SourceError::Recording(
            ReplayError::NoFrames { .. }
            | ReplayError::NoFacts { .. }
            | ReplayError::NotMcap { .. },
        )) => 0,
        Err(error) => panic!("{error}"),
    }
}

fn recordings(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "mcap")).collect();
    paths.sort();
    paths
}

#[test]
fn replay_is_the_same_to_the_last_byte_and_counts_what_the_run_counted() {
    let dir = TempDir::new().unwrap();
    let config = configuration(dir.path(), "chunk_kb = 256");
    let file = dir.path().join("a.mcap");
    let mut args = record(&config, &file, 60);
    let original = dir.path().join("original");
    args.extend(["--report".to_owned(), original.to_str().unwrap().to_owned()]);
    args.extend(["--fault", "lost-buffer:20-40:every=7"].map(ToOwned::to_owned));
    run(&args);
    let [first, second] = ["first", "second"].map(|name| {
        let folder = dir.path().join(name);
        let printed = replay(&file, &folder).stdout;
        let read = |file: &str| fs::read(folder.join(file)).unwrap();
        (
            printed,
            ["report.json", "overlay.png", "mask.png", "trace.json", "latency.hlog"].map(read),
        )
    });
    assert!(first == second, "two replays differ");
    let report = |folder: &str| -> Value {
        let bytes = fs::read(dir.path().join(folder).join("report.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let (original, replayed) = (report("original"), report("first"));
    assert_eq!(original["counters"], replayed["counters"]);
    assert!(original["counters"]["lost_buffers"].as_u64().unwrap() > 0);
    assert_eq!(original["network"], replayed["network"]);
    assert_eq!(original["last_vessel_fraction"], replayed["last_vessel_fraction"]);
    assert_eq!(original["stages"], replayed["stages"]);
    assert_eq!(replayed["source"]["camera"], "replay");
    assert_eq!(original["timing"]["recording"]["frames"], original["counters"]["buffers"]);
    assert_eq!(first.1[2], fs::read(dir.path().join("original/mask.png")).unwrap());
}

/// What was said to be on disk is in the file, without a gap and from the first frame on.
#[test]
fn killed_at_20_random_moments_every_file_opens_and_keeps_every_chunk() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut kept = 0;
    for moment in 0..20 {
        let dir = TempDir::new().unwrap();
        let config = configuration(dir.path(), "chunk_kb = 64\nchunk_ms = 20");
        let file = dir.path().join("a.mcap");
        let mut child = Command::new(PROGRAM)
            .args(record(&config, &file, 1_000_000))
            .env("QSEGMENT_LOG", "qsegment=debug")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut on_disk = 0;
        let mut look = |line: &str| {
            let said = line.split_once(" is on disk frames=").map(|(_, frames)| frames);
            on_disk = said.map_or(on_disk, |frames| frames.trim().parse().unwrap());
        };
        // Somewhere in the next chunks, at whatever the thread does then.
        for _ in 0..rng.random_range(1..40) {
            look(&lines.next().unwrap().unwrap());
        }
        thread::sleep(Duration::from_micros(rng.random_range(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            look(&line);
        }
        let found = prefix(&file);
        assert!(
            found >= on_disk,
            "moment {moment}: {on_disk} frames were on disk, {found} are read"
        );
        kept += on_disk;
    }
    assert!(kept > 0, "no run came to its first chunk");
}

/// A limit on the length of files (EFBIG) needs no rights; a small file system (ENOSPC) needs a user namespace.
#[test]
fn full_at_20_random_lengths_every_file_opens_and_the_run_goes_on() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut cut = 0;
    for moment in 0..20 {
        let dir = TempDir::new().unwrap();
        let config = configuration(dir.path(), "chunk_kb = 64\nchunk_ms = 20");
        let file = dir.path().join("a.mcap");
        let blocks = rng.random_range(30..300);
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut args = record(&config, &file, 150);
        args.extend(["--json".to_owned()]);
        let output =
            Command::new("bash").args(["-c", &script, PROGRAM]).args(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "moment {moment}, {blocks} blocks: {said}");
        let run: Value = serde_json::from_slice(&output.stdout).unwrap();
        let recorded = run["timing"]["recording"]["frames"].as_u64().unwrap();
        let dropped = run["timing"]["recording"]["dropped"]["record_disk_full"].as_u64().unwrap();
        assert_eq!(run["counters"]["buffers"], 150);
        assert_eq!(recorded + dropped, 150);
        let found = if file.exists() { prefix(&file) as u64 } else { 0 };
        assert_eq!(found, recorded, "moment {moment}, {blocks} blocks");
        assert_eq!(said.matches("recording stops").count(), usize::from(dropped > 0), "{said}");
        cut += u64::from(dropped > 0 && recorded > 0);
    }
    assert!(cut > 0, "no file was cut by the limit");
}

#[test]
fn full_file_system_is_cut_at_its_last_chunk_and_recording_goes_on_when_there_is_room() {
    let namespace = Command::new("unshare").args(["-Urm", "true"]).status();
    if !namespace.is_ok_and(|status| status.success()) {
        eprintln!(
            "SKIPPED: no user namespaces here; the limit on the length of files is tried elsewhere"
        );
        return;
    }
    let dir = TempDir::new().unwrap();
    let config = configuration(dir.path(), "chunk_kb = 64\nchunk_ms = 20");
    let (disk, copy) = (dir.path().join("disk"), dir.path().join("copy"));
    fs::create_dir(&disk).unwrap();
    fs::create_dir(&copy).unwrap();
    // Something else fills the disk, and is removed when the run has said that it is full.
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs {disk} && head -c 8100000 /dev/zero > {disk}/other && \
         {{ \"$0\" \"$@\" 2>&1 >/dev/null | while read -r line; do echo \"$line\"; \
            case $line in *'recording stops'*) rm {disk}/other;; esac; done; cp {disk}/*.mcap {copy}; }}",
        disk = disk.display(),
        copy = copy.display()
    );
    let mut args = record(&config, &disk, 900);
    // At real pace, so that the seconds until the next attempt pass.
    let pace = args.iter().position(|arg| arg == "max").unwrap();
    args[pace] = "real".to_owned();
    let frames = args.len() - 1;
    args[frames] = "300".to_owned();
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-c", &script, PROGRAM])
        .args(&args)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.matches("recording stops").count(), 1, "{said}");
    let files = recordings(&copy);
    assert!(files.len() >= 2, "{files:?}: {said}");
    assert!(said.contains("recording goes on in"), "{said}");
    assert!(prefix(&files[0]) > 0);
    let later = frames_of(&files[1]);
    assert!(later.windows(2).all(|pair| pair[0] < pair[1]) && later[0] > 0, "{later:?}");
}

fn frames_of(file: &Path) -> Vec<u64> {
    frames(file).unwrap()
}

#[test]
fn ring_keeps_its_size_and_every_file_of_it_opens() {
    let dir = TempDir::new().unwrap();
    let config = configuration(dir.path(), "chunk_kb = 256\nfile_size_mb = 1\nmax_size_mb = 2");
    let ring = dir.path().join("ring");
    fs::create_dir(&ring).unwrap();
    fs::write(ring.join("qsegment-mine.mcap"), b"not of the ring").unwrap();
    let mut args = record(&config, &ring, 400);
    args.push("--json".to_owned());
    let output = run(&args);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let recording = &document["timing"]["recording"];
    assert!(recording["files_removed"].as_u64().unwrap() > 0, "{recording}");
    assert_eq!(recording["frames"], 400, "nothing is lost at --pace max: {recording}");
    assert!(ring.join("qsegment-mine.mcap").exists());
    let mut next = None;
    let mut total = 0;
    for file in recordings(&ring) {
        if file.ends_with("qsegment-mine.mcap") {
            continue;
        }
        total += fs::metadata(&file).unwrap().len();
        for number in frames_of(&file) {
            assert_eq!(number, next.unwrap_or(number), "{}", file.display());
            next = Some(number + 1);
        }
    }
    assert_eq!(next, Some(400));
    // The limit, and what the last chunk and the index of the newest file were over it.
    assert!(total < 3 << 20, "{total}");
}

#[test]
fn cut_or_damaged_anywhere_a_recording_is_an_error_or_shorter_but_never_a_panic() {
    let dir = TempDir::new().unwrap();
    let config = configuration(dir.path(), "chunk_kb = 64");
    let file = dir.path().join("a.mcap");
    run(&record(&config, &file, 20));
    let whole = fs::read(&file).unwrap();
    let all = frames_of(&file).len();
    assert_eq!(all, 20);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let damaged = dir.path().join("damaged.mcap");
    let mut last = 0;
    for len in (0..whole.len()).step_by(whole.len() / 60) {
        fs::write(&damaged, &whole[..len]).unwrap();
        let found = prefix(&damaged);
        assert!(found >= last, "cut at {len}: {found} frames, {last} in a shorter file");
        last = found;
    }
    // What a file system leaves of blocks that were never written.
    let mut zeros = whole[..whole.len() / 2].to_vec();
    zeros.resize(whole.len(), 0);
    fs::write(&damaged, &zeros).unwrap();
    assert!(matches!(frames(&damaged), Ok(_) | Err(SourceError::Recording(_))));
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
        fs::write(&damaged, &bytes).unwrap();
        match frames(&damaged) {
            Ok(numbers) => assert!(numbers.len() <= all),
            Err(SourceError::Recording(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(
        refused > 100,
        "most bytes are under a checksum, and only {refused} flips were noticed"
    );
}

#[test]
fn a_chunk_that_unpacks_to_more_than_any_of_ours_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("a.mcap");
    run(&record(&configuration(dir.path(), ""), &file, 3));
    let facts = Recording::open(&file).unwrap().facts().to_map();

    let bomb = dir.path().join("bomb.mcap");
    // Without a checksum nobody has to unpack it before its messages are read.
    let options = WriteOptions::new().calculate_chunk_crcs(false).chunk_size(None);
    let mut writer = options.create(fs::File::create(&bomb).unwrap()).unwrap();
    writer.write_metadata(&Metadata { name: FACTS_RECORD.to_owned(), metadata: facts }).unwrap();
    let topic = Channel::Metadata.topic();
    let channel_id = writer.add_channel(0, topic, "protobuf", &BTreeMap::new()).unwrap();
    let frame = FrameMessage { metadata: vec![0; 1 << 20], ..FrameMessage::default() };
    let frame = frame.encode_to_vec();
    for sequence in 0..80 {
        let header = MessageHeader { channel_id, sequence, log_time: 0, publish_time: 0 };
        writer.write_to_known_channel(&header, &frame).unwrap();
    }
    writer.finish().unwrap();
    assert!(fs::metadata(&bomb).unwrap().len() < 1 << 20, "it is small until it is unpacked");
    match frames(&bomb) {
        Err(SourceError::Recording(ReplayError::Damaged { cause, .. })) => {
            assert!(cause.contains("a chunk of more than 67108864 bytes"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
}

/// One request to the page.
fn ask(address: &str, request: &str, body: &str) -> Value {
    let mut socket = TcpStream::connect(address).unwrap();
    let len = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Asks until it is so.
fn until(address: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let answer = ask(address, &format!("GET {path}"), "");
        if is_so(&answer) {
            return answer;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Every buffer of a recording with its log time.
fn logged(file: &Path) -> Vec<(u64, FrameMessage)> {
    let bytes = fs::read(file).unwrap();
    let messages = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap);
    let buffers = messages.filter(|message| message.channel.topic == Channel::Metadata.topic());
    buffers.map(|m| (m.log_time, FrameMessage::decode(&*m.data).unwrap())).collect()
}

/// Every measured frame of a recording with its log time.
fn measured(file: &Path) -> Vec<(u64, VesselsMessage)> {
    let bytes = fs::read(file).unwrap();
    let messages = mcap::MessageStream::new(&bytes).unwrap().map(Result::unwrap);
    let vessels = messages.filter(|message| message.channel.topic == Channel::Vessels.topic());
    vessels.map(|m| (m.log_time, serde_json::from_slice(&m.data).unwrap())).collect()
}

#[test]
fn recordings_are_begun_and_ended_over_http_and_know_the_window_of_every_frame() {
    let dir = TempDir::new().unwrap();
    let ring = dir.path().join("ring");
    let settings = format!("path = {:?}\nat_start = false\nchunk_ms = 20", ring.display());
    let config = configuration(dir.path(), &settings);
    let mut child = Command::new(PROGRAM)
        .args(["--config", config.to_str().unwrap(), "run", "--source", "simulated"])
        .args(["--input-size", "64x64", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let line = BufReader::new(child.stdout.as_mut().unwrap()).lines().next().unwrap().unwrap();
    let address = line.trim_start_matches("http://").trim_end_matches('/').to_owned();

    let off =
        until(&address, "/status", |status| status["newest_mask"]["sequence"].as_u64() > Some(9));
    let none =
        json!({"available": true, "active": false, "file": null, "bytes": 0, "reason": null});
    assert_eq!(off["recording"], none);
    assert!(recordings(&ring).is_empty(), "the folder is ready and empty");

    let switch = |active: bool| {
        ask(&address, "POST /api/v1/recording", &json!({"active": active}).to_string())
    };
    assert_eq!(switch(true)["active"], true);
    let first = until(&address, "/api/v1/recording", |recording| {
        recording["bytes"].as_u64() > Some(20_000) && recording["file"].is_string()
    });
    let close = json!({"left": 1000, "top": 800, "width": 800, "height": 800});
    let moved = ask(&address, "PUT /api/v1/window", &close.to_string());
    assert_eq!(moved["width"], 800);
    let settled = until(&address, "/status", |status| status["window"]["settled"] == true);
    let newest = settled["newest_mask"]["sequence"].as_u64().unwrap();
    until(&address, "/status", |s| s["newest_mask"]["sequence"].as_u64() > Some(newest + 9));
    assert_eq!(switch(false)["active"], false);
    // With its index, and no frame more.
    let path = ring.join(first["file"].as_str().unwrap());
    while !fs::read(&path).unwrap().ends_with(mcap::MAGIC) {
        thread::sleep(Duration::from_millis(20));
    }
    let ended = fs::metadata(&path).unwrap().len();
    assert_eq!(ask(&address, "GET /api/v1/recording", "")["bytes"], ended);
    let now = ask(&address, "GET /status", "")["newest_mask"]["sequence"].as_u64().unwrap();
    until(&address, "/status", |s| s["newest_mask"]["sequence"].as_u64() > Some(now + 9));
    assert_eq!(fs::metadata(&path).unwrap().len(), ended);

    switch(true);
    until(&address, "/api/v1/recording", |again| {
        again["file"] != first["file"] && again["bytes"].as_u64() > Some(20_000)
    });
    let stopped = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success() && child.wait().unwrap().success());

    let files = recordings(&ring);
    assert_eq!((files.len(), &files[0]), (2, &path));
    let [one, two] = [0, 1].map(|n| logged(&files[n]));
    let windows: Vec<_> = one.iter().map(|(_, buffer)| buffer.window.unwrap().width).collect();
    let turns: Vec<_> = windows.chunk_by(|one, next| one == next).map(|same| same[0]).collect();
    assert_eq!(turns, [3040, 800], "the window of every frame");
    assert!(two.iter().all(|(_, buffer)| buffer.window.unwrap().width == 800));
    assert!(one.last().unwrap().1.sequence + 9 < two[0].1.sequence, "nothing was recorded between");
    assert!(measured(&path)[0].1.measurements.iter().any(|of| of.name == "density"));
    for (file, logged) in [(&files[0], &one), (&files[1], &two)] {
        let vessels = measured(file);
        assert!(
            vessels.windows(2).all(|pair| pair[0].1.sequence < pair[1].1.sequence),
            "once each"
        );
        for (log_time, of) in vessels {
            assert!(of.sequence >= logged[0].1.sequence, "of before it was begun");
            // On a busy disk a buffer may be missing.
            let buffer = logged.iter().find(|(_, buffer)| buffer.sequence == of.sequence);
            assert!(buffer.is_none_or(|(at, _)| log_time == *at), "that of its frame");
            let rejected = of.grade == "reject";
            assert_eq!(of.measurements.iter().all(|of| of.value.is_none()), rejected, "{of:?}");
            assert!(!rejected || of.advice.is_some());
        }
    }
    // Log times count from the start of the run, not of the recording.
    let facts = Recording::open(&path).unwrap().facts().clone();
    for (log_time, buffer) in [&one[0], &two[0]] {
        let since_start = log_time - facts.started_ns;
        let frames = since_start / facts.frame_interval_ns;
        assert!(frames.abs_diff(buffer.sequence + 1) <= 1, "frame {}: {frames}", buffer.sequence);
    }
    let mut replayed =
        Recording::open(&path).unwrap().play(Clock::simulated(StopSignal::default()));
    let (mut frame, mut seen) = (RawFrame::default(), Vec::new());
    while replayed.next(&mut frame).unwrap() == Next::Frame {
        seen.push(frame.window.unwrap().width);
    }
    assert_eq!(seen, windows);
}
