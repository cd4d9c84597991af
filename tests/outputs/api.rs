//! The API against its own description: every GET of openapi.json is asked for, and its answer judged by the schema there.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::schema::Judge;
use crate::web::{Page, connect};

const DISCLAIMER: &str = "Research use only. Not a medical device.";

fn described() -> Value {
    serde_json::from_str(include_str!("../../src/outputs/web/api/openapi.json")).unwrap()
}

fn named(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn assert_right(schema: &Value, document: &Value, path: &str) {
    let mut wrong = Vec::new();
    Judge { whole: &described() }.judge(schema, document, "", &mut wrong);
    assert!(wrong.is_empty(), "{path}:\n{}\n{document:#}", wrong.join("\n"));
}

/// The page with a frame that is live.
fn live() -> Page {
    let page = Page::open();
    page.show_and_wait(41);
    page
}

#[test]
fn every_get_answers_as_the_file_says() {
    let (nothing_yet, live) = (Page::open(), live());
    let stale = self::live();
    stale.pass(Duration::from_secs(2));
    let mut judged = 0;
    for (path, methods) in described()["paths"].as_object().unwrap() {
        let Some(get) = methods.get("get") else { continue };
        if get["responses"].get("200").is_none() || STREAMS.contains(&path.as_str()) {
            continue;
        }
        for page in [&nothing_yet, &live, &stale] {
            let answer = page.get(path);
            let said = get["responses"].get(answer.status.to_string());
            let said = said.unwrap_or_else(|| panic!("{path}: {} is not described", answer.status));
            let said = match said.get("$ref") {
                Some(_) => &described()["components"]["responses"]["Problem"],
                None => said,
            };
            let media_type = answer.header("content-type").unwrap();
            let media_type = media_type.split(';').next().unwrap();
            let content = said["content"].get(media_type);
            let content =
                content.unwrap_or_else(|| panic!("{path}: {media_type} is not described"));
            for header in said["headers"].as_object().into_iter().flat_map(|headers| headers.keys())
            {
                assert!(answer.header(&header.to_lowercase()).is_some(), "{path}: no {header}");
            }
            if media_type.ends_with("json") {
                assert_right(&content["schema"], &answer.json(), path);
                judged += 1;
            }
        }
    }
    assert!(judged >= 8 * 3, "only {judged} documents were judged");
}

#[test]
fn every_route_is_described() {
    let described = described();
    let described: BTreeSet<&str> =
        described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let routed = routed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/outputs/web"));
    assert!(routed.contains("/api/v1/mask") && routed.contains("/status"), "{routed:?}");
    let of_the_page = |path: &str| {
        ["/", "/login"].contains(&path)
            || [".css", ".js", ".svg"].iter().any(|end| path.ends_with(end))
    };
    for path in routed.iter().filter(|path| !of_the_page(path)) {
        assert!(described.contains(path.as_str()), "{path} is not in openapi.json");
    }
}

/// The first argument of every `.route(`: words between quotes, or the name of a constant that is some.
fn routed(folder: &Path) -> BTreeSet<String> {
    let text = text_of(folder);
    let quoted =
        |rest: &str| Some(rest.trim_start().strip_prefix('"')?.split('"').next()?.to_owned());
    let of_constant = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_')?;
        let (_, value) = text.split_once(&format!("const {}: &str =", &rest[..end]))?;
        quoted(value)
    };
    let mut paths = BTreeSet::new();
    for (at, route) in text.match_indices(".route(") {
        let argument = text[at + route.len()..].trim_start();
        let path = quoted(argument).or_else(|| of_constant(argument));
        paths.insert(path.unwrap_or_else(|| panic!("which path is {:.40}?", argument)));
    }
    paths
}

fn text_of(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // The page lists its own files.
            text += &if path.ends_with("page") { String::new() } else { text_of(&path) };
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn the_mask_is_where_the_probability_is_and_the_png_is_the_same() {
    let page = live();
    let (mask, probability) = (page.get("/api/v1/mask"), page.get("/api/v1/probability"));
    for answer in [&mask, &probability] {
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        assert_eq!(answer.header("x-width"), Some("4"));
        assert_eq!(answer.header("x-height"), Some("3"));
        assert_eq!(answer.header("x-sequence"), Some("41"));
        assert_eq!(answer.header("x-threshold"), Some("128"));
        assert_eq!(answer.header("x-disclaimer"), Some("research use only. not a medical device."));
    }
    // "....", ".##.", "....", as the page shows it.
    let drawn = [0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0];
    assert_eq!(mask.body, drawn);
    assert_eq!(probability.body, drawn);
    for path in ["/api/v1/mask?format=png", "/api/v1/probability?format=png"] {
        let png = image::load_from_memory(&page.get(path).body).unwrap();
        assert_eq!(png.as_luma8().unwrap().as_raw().as_slice(), drawn, "{path}");
    }
}

#[test]
fn what_no_longer_holds_is_withheld() {
    let page = live();
    page.pass(Duration::from_secs(1));
    let mask = page.get("/api/v1/mask");
    assert_eq!(mask.status, 404);
    let problem = mask.json();
    assert_eq!(
        (&problem["found"], &problem["wanted"]),
        (&json!("stale"), &json!("live, 500 ms old at most"))
    );
    let measurements = page.get("/api/v1/measurements").json();
    assert_eq!((&measurements["state"], &measurements["vessels"]), (&json!("stale"), &Value::Null));
    assert!(measurements["reason"].as_str().unwrap().contains("stale"), "{measurements}");
    let snapshot = page.get("/api/v1/snapshot").json();
    assert_eq!((&snapshot["sequence"], &snapshot["age_ms"]), (&json!(41), &json!(1100.0)));
    assert_eq!(snapshot["quality"], Value::Null);
}

#[test]
fn what_is_refused_says_what_was_found_and_wanted() {
    let page = live();
    let problem = named("Problem");
    for (path, status, found) in [
        ("/api/v1/mask?format=gif", 400, Some("format=gif")),
        ("/api/v1/events?rate=1000", 400, Some("rate=1000")),
        ("/api/v1/events?rate=", 400, Some("rate=")),
        ("/api/v1/nothing", 404, None),
        ("/api/", 404, None),
    ] {
        let answer = page.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert_right(&problem, &answer.json(), path);
        assert_eq!(answer.json()["found"].as_str(), found, "{path}");
        assert_eq!(answer.json()["disclaimer"], DISCLAIMER, "{path}");
    }
    // The guard's refusals, too.
    let post = page.ask("POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n");
    assert_eq!(post.status, 405);
    assert_right(&problem, &post.json(), "POST");
    let foreign = page.ask("GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\n");
    assert_eq!(foreign.status, 403);
    assert_right(&problem, &foreign.json(), "a foreign name");
}

#[test]
fn the_configuration_is_served() {
    let answer = Page::open().get("/api/v1/configuration").json();
    assert_eq!(answer["config"]["web"]["token_file"], "(not shown)");
}

#[test]
fn events_tell_frames_and_changes_of_state() {
    let page = Page::open();
    let mut events = Events::open(&page, "/api/v1/events?rate=30");
    let (frame, state) = (named("FrameEvent"), named("StateEvent"));
    let first = events.next();
    assert_eq!((first.name.as_str(), &first.data["state"]), ("state", &json!("no_signal")));
    assert_right(&state, &first.data, "state");

    page.show(41);
    let change = events.next();
    assert_eq!((change.name.as_str(), &change.data["state"]), ("state", &json!("live")));
    let told = events.next();
    assert_eq!((told.name.as_str(), told.id.as_str()), ("frame", "41"));
    assert_right(&frame, &told.data, "frame");
    assert_eq!(told.data["mask"]["sequence"], 41);
    page.show(42);
    assert_eq!(events.next().id, "42");

    page.pass(Duration::from_secs(1));
    let change = events.next();
    assert_eq!((change.name.as_str(), &change.data["state"]), ("state", &json!("stale")));
    assert_eq!(change.id, "42");
}

#[test]
fn a_listener_gets_no_more_frames_than_it_asked_for_but_the_newest() {
    let page = Page::open();
    page.show_and_wait(1);
    let mut events = Events::open(&page, "/api/v1/events?rate=1");
    assert_eq!(events.next().name, "state");
    assert_eq!(events.next().id, "1");
    // Within the second in which nothing may be told.
    for sequence in 2..=5 {
        page.show_and_wait(sequence);
    }
    assert_eq!(events.next().id, "5", "the frames between are skipped, not queued");
}

#[test]
fn the_seventeenth_listener_is_refused_and_the_stop_ends_them() {
    let page = Page::open();
    let mut listeners: Vec<_> = (0..16).map(|_| Events::open(&page, "/api/v1/events")).collect();
    let refused = page.get("/api/v1/events");
    assert_eq!(refused.status, 503);
    assert_right(&named("Problem"), &refused.json(), "/api/v1/events");
    drop(page);
    let mut rest = String::new();
    while listeners[0].lines.read_line(&mut rest).is_ok_and(|len| len > 0) {}
}

/// A connection that events come over, chunk headers skipped as they are no fields.
struct Events {
    lines: BufReader<std::net::TcpStream>,
}

struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    fn open(page: &Page, path: &str) -> Self {
        let mut socket = connect(page.serving.address());
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Self { lines }
    }

    fn next(&mut self) -> Event {
        let (mut name, mut id, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the stream has ended");
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => name = value.to_owned(),
                Some(("id", value)) => id = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                _ if line == "\n" && !name.is_empty() => return Event { name, id, data },
                // The lengths of chunks, their ends, and heartbeats.
                _ => {}
            }
        }
    }
}

/// Answers without an end; `events` has its own tests, the other is `web`'s.
const STREAMS: [&str; 2] = ["/api/v1/events", "/stream.mjpg"];
