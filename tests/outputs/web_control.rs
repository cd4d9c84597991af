//! What can be changed over HTTP, by whom, and what is said to everybody else.

use std::time::Duration;

use qsegment::outputs::web::Access;
use qsegment::source::simulated::isp::InferenceWindow;
use serde_json::{Value, json};

use crate::web::{Answer, Page};

const CLOSE: &str = r#"{"left":1000,"top":800,"width":800,"height":800}"#;
const ORIGIN: &str = "Origin: http://127.0.0.1\r\nContent-Type: application/json\r\n";
const MIDDLE: InferenceWindow = InferenceWindow { left: 508, top: 0, width: 3040, height: 3040 };

impl Page {
    fn change(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        // So that no test meets the limit on changes by accident; `ask` ends the head.
        self.pass(Duration::from_secs(10));
        self.change_at_once(method, path, headers, body)
    }
    fn change_at_once(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let len = body.len();
        self.ask_with_body(
            &format!(
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {len}\r\n"
            ),
            body,
        )
    }
    fn put_window(&self, body: &str) -> Answer {
        self.change("PUT", "/api/v1/window", ORIGIN, body)
    }
}

fn problem(answer: &Answer) -> (u16, String) {
    assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
    let document = answer.json();
    assert_eq!(document["status"], answer.status);
    (answer.status, document["detail"].as_str().unwrap().to_owned())
}

#[test]
fn window_is_moved_and_the_configured_view_comes_back() {
    let page = Page::open();
    let before = page.get("/status").json();
    assert_eq!(
        before["window"],
        json!({
            "left": 508, "top": 0, "width": 3040, "height": 3040,
            "sensor_width": 4056, "sensor_height": 3040, "adjustable": true, "reason": null,
            "configured": {"left": 508, "top": 0, "width": 3040, "height": 3040},
            "settled": false, "refused": null,
        })
    );
    let answer = page.put_window(CLOSE);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let moved = answer.json();
    assert_eq!((&moved["left"], &moved["width"]), (&json!(1000), &json!(800)));
    let close = InferenceWindow { left: 1000, top: 800, width: 800, height: 800 };
    assert_eq!(page.aim.aimed().wanted, close, "the source has it");

    // A frame of the old window that was under way, one of neither, and the first of the new one.
    for (sequence, window, settled) in
        [(1, Some(MIDDLE), false), (2, None, false), (3, Some(close), true)]
    {
        page.show_under(sequence, window);
        let status = wait_for(&page, sequence);
        assert_eq!(status["window"]["settled"], settled, "frame {sequence}");
        assert_eq!(status["window"]["width"], 800);
        let of_mask = window.map(|window| json!(window.width)).unwrap_or_default();
        assert_eq!(status["newest_mask"]["window"]["width"], of_mask);
        assert_eq!(status["seen"]["width_px"], of_mask);
    }

    let back = page.change("DELETE", "/api/v1/window", "Origin: http://127.0.0.1\r\n", "");
    assert_eq!((back.status, &back.json()["left"]), (200, &json!(508)));
    assert_eq!(page.aim.aimed().wanted, MIDDLE);
    assert_eq!(page.get("/api/v1/window").json()["left"], 508);
}

fn wait_for(page: &Page, sequence: u64) -> Value {
    loop {
        let status = page.get("/status").json();
        if status["newest_mask"]["sequence"] == sequence {
            return status;
        }
    }
}

#[test]
fn window_is_fitted_and_the_answer_says_to_what() {
    let page = Page::open();
    let made = page.put_window(r#"{"left":2000,"top":1500,"width":11,"height":7}"#).json();
    assert_eq!(made["width"], 640, "320 pixels of the binned read-out");
    assert_eq!(made["height"], 640);
}

#[test]
fn what_is_no_window_is_refused_in_words() {
    let page = Page::open();
    let refused = |body: &str| problem(&page.put_window(body));
    let (status, said) = refused(r#"{"left":4000,"top":0,"width":100,"height":100}"#);
    assert_eq!(status, 422);
    assert!(said.contains("4000,0,100,100") && said.contains("4056x3040"), "{said}");
    assert_eq!(refused(r#"{"left":0,"top":0,"width":0,"height":9}"#).0, 422);
    for body in
        ["", "{", "[]", "null", r#"{"left":0}"#, r#"{"left":-1,"top":0,"width":9,"height":9}"#]
    {
        let (status, said) = refused(body);
        assert_eq!(status, 400, "{body}");
        assert!(said.contains(r#"{"left":1268,"#), "{said}");
    }
    let more = CLOSE.replace('}', r#","zoom":2}"#);
    assert!(refused(&more).1.contains("unknown field `zoom`"));
    assert_eq!(page.aim.aimed().wanted, MIDDLE, "nothing was moved");
}

#[test]
fn only_our_own_page_may_change_anything() {
    let page = Page::open();
    let json = "Content-Type: application/json\r\n";
    let refused = |headers: &str| problem(&page.change("PUT", "/api/v1/window", headers, CLOSE)).0;
    assert_eq!(refused(json), 403, "no origin");
    assert_eq!(refused(&format!("{json}Origin: http://evil.example\r\n")), 403);
    assert_eq!(refused(&format!("{json}Origin: null\r\n")), 403);
    assert_eq!(refused(&format!("{json}Origin: http://127.0.0.1:81\r\n")), 403, "another port");
    assert_eq!(refused(&format!("{ORIGIN}Sec-Fetch-Site: cross-site\r\n")), 403);
    assert_eq!(refused("Origin: http://127.0.0.1\r\n"), 415);
    // What a form can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = format!("Origin: http://127.0.0.1\r\nContent-Type: {kind}\r\n");
        assert_eq!(refused(&headers), 415, "{kind}");
    }
    let counted = page.get("/status").json()["http"]["refused"].clone();
    assert_eq!((&counted["no_origin"], &counted["cross_site"]), (&json!(1), &json!(4)));
    assert_eq!(page.aim.aimed().wanted, MIDDLE, "nothing was moved");
    let charset = "Origin: http://127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n";
    assert_eq!(page.change("PUT", "/api/v1/window", charset, CLOSE).status, 200);
}

#[test]
fn other_methods_and_long_bodies_are_refused() {
    let page = Page::open();
    for (method, path, allowed) in [
        ("POST", "/api/v1/window", "allow: get, head, put, delete"),
        ("PUT", "/api/v1/recording", "allow: get, head, post"),
        ("DELETE", "/api/v1/recording", "allow: get, head, post"),
        ("PUT", "/status", "allow: get, head"),
        ("PUT", "/api/v1/window/", "allow: get, head"),
    ] {
        let answer = page.change(method, path, ORIGIN, CLOSE);
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(
            answer.head.lines().any(|line| line == allowed),
            "{method} {path}: {}",
            answer.head
        );
    }
    let long = format!("{CLOSE}{}", " ".repeat(1024));
    assert_eq!(problem(&page.put_window(&long)).0, 413);
    assert_eq!(problem(&page.change("DELETE", "/api/v1/window", ORIGIN, &long)).0, 413);
    assert_eq!(page.aim.aimed().wanted, MIDDLE, "nothing was moved");
}

#[test]
fn ten_changes_at_once_are_enough() {
    let page = Page::open();
    page.pass(Duration::from_secs(10));
    let moves = (0..11).map(|_| page.change_at_once("PUT", "/api/v1/window", ORIGIN, CLOSE).status);
    let moves: Vec<_> = moves.collect();
    assert_eq!(moves[..10], [200; 10]);
    assert_eq!(moves[10], 429);
    assert_eq!(page.get("/api/v1/window").status, 200, "looking is free");
    page.pass(Duration::from_millis(200));
    let again = page.change_at_once("DELETE", "/api/v1/window", ORIGIN, "");
    assert_eq!(again.status, 200, "{}", again.text());
}

#[test]
fn changes_need_the_token_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    qsegment::outputs::web::Token::create(&file).unwrap();
    let token = std::fs::read_to_string(&file).unwrap();
    let read = qsegment::outputs::web::Token::read(&file).unwrap();
    let access = Access { token: Some(read), host_names: Vec::new() };
    let page = Page::open_at("127.0.0.1:0", access);
    let bearer = format!("{ORIGIN}Authorization: Bearer {}\r\n", token.trim());
    for (headers, status) in [(ORIGIN, 401), (bearer.as_str(), 200)] {
        assert_eq!(page.change("PUT", "/api/v1/window", headers, CLOSE).status, status);
        assert_eq!(page.change("DELETE", "/api/v1/window", headers, "").status, status);
    }
    let off = r#"{"active":false}"#;
    assert_eq!(page.change("POST", "/api/v1/recording", ORIGIN, off).status, 401);
}

#[test]
fn recording_without_a_folder_says_why_not() {
    let page = Page::open();
    let none = json!({
        "available": false, "active": false, "file": null, "bytes": 0,
        "reason": "no folder is configured",
    });
    assert_eq!(page.get("/status").json()["recording"], none);
    assert_eq!(page.get("/api/v1/recording").json(), none);
    let on = |body: &str| page.change("POST", "/api/v1/recording", ORIGIN, body);
    let (status, said) = problem(&on(r#"{"active":true}"#));
    assert_eq!((status, said.as_str()), (409, "Nothing can be recorded: no folder is configured."));
    // No name, no folder: a request says only whether.
    let (status, said) = problem(&on(r#"{"active":true,"file":"../../eye.mcap"}"#));
    assert_eq!(status, 400);
    assert!(said.contains("unknown field `file`"), "{said}");
}
