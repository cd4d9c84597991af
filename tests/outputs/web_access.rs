//! Who is let in and who is turned away, over real sockets.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use qsegment::outputs::web::{Access, HostName, Token};
use tempfile::TempDir;

use crate::web::{Answer, Page, connect};

/// A page that other machines could reach, and its token.
struct Guarded {
    page: Page,
    token: String,
    _dir: TempDir,
}

impl Guarded {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file: PathBuf = dir.path().join("token");
        Token::create(&file).unwrap();
        let token = std::fs::read_to_string(&file).unwrap().trim_end().to_owned();
        let access = Access {
            token: Some(Token::read(&file).unwrap()),
            host_names: vec![HostName::new("pi.example").unwrap()],
        };
        Self { page: Page::open_at("0.0.0.0:0", access), token, _dir: dir }
    }
    fn bearer(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }
    /// As a browser sends a form, with `headers` added.
    fn log_in(&self, headers: &str, form: &str) -> Answer {
        self.page.ask(&format!(
            "POST /login HTTP/1.1\r\nHost: pi.example:8500\r\nContent-Length: {}\r\n{headers}\
             Connection: close\r\n\r\n{form}",
            form.len()
        ))
    }
    fn refused(&self, reason: &str) -> u64 {
        let status = self.page.get_with("/status", &self.bearer()).json();
        status["http"]["refused"][reason].as_u64().unwrap()
    }
}

#[test]
fn without_the_token_nothing_is_seen() {
    let guarded = Guarded::open();
    let page = &guarded.page;
    for path in [
        "/",
        "/page/page.js",
        "/live",
        "/stream.mjpg",
        "/snapshot.png",
        "/status",
        "/metrics",
        "/trace.json",
        "/nowhere",
    ] {
        let refused = page.get(path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.head.contains("www-authenticate: bearer realm=\"qsegment\""), "{path}");
        assert!(refused.text().contains("Authorization: Bearer TOKEN"), "{path}");
    }
    for path in ["/healthz", "/page.css", "/icon.svg", "/login"] {
        assert_eq!(page.get(path).status, 200, "{path}");
    }
    assert_eq!(page.get_with("/status", &guarded.bearer()).status, 200);
    let lower = format!("authorization: bearer {}\r\n", guarded.token);
    assert_eq!(page.get_with("/status", &lower).status, 200);
    assert_eq!(guarded.refused("no_token"), 9);
    assert_eq!(guarded.refused("wrong_token"), 0);
}

#[test]
fn what_is_almost_the_token_is_none() {
    let guarded = Guarded::open();
    let token = &guarded.token;
    let given = [
        format!("Authorization: Bearer {}\r\n", &token[1..]),
        format!("Authorization: Bearer {token}0\r\n"),
        format!("Authorization: Bearer {}\r\n", token.to_uppercase()),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        "Authorization: B\r\n".to_owned(),
        "Authorization: \r\n".to_owned(),
        format!("{}{}", guarded.bearer(), guarded.bearer()),
    ];
    // Each is answered late; together they take no longer than one.
    std::thread::scope(|scope| {
        for given in &given {
            let page = &guarded.page;
            scope.spawn(move || {
                let refused = page.get_with("/status", given);
                assert_eq!(refused.status, 401, "{given}");
                assert!(refused.text().starts_with("That is not the token"), "{given}");
            });
        }
    });
    assert_eq!(guarded.refused("wrong_token"), given.len() as u64);
    // The address, where it would end up in logs, is no place for it.
    assert_eq!(guarded.page.get(&format!("/status?token={token}")).status, 401);
}

#[test]
fn a_browser_is_asked_once_and_then_has_a_cookie() {
    let guarded = Guarded::open();
    let form = guarded.page.get_with("/", "Accept: text/html,application/xhtml+xml\r\n");
    assert_eq!(form.status, 401);
    assert!(
        form.head.contains("content-type: text/html") && form.text().contains("method=\"post\"")
    );
    assert!(form.head.contains("form-action 'self'") && form.head.contains("policy: same-origin"));

    let origin = "Origin: http://pi.example:8500\r\n";
    let wrong = guarded.log_in(origin, "token=0123456789abcdef");
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("That is not the token."), "{}", wrong.text());

    let entered = guarded.log_in(origin, &format!("other=1&token=%20{}", guarded.token));
    assert_eq!(entered.status, 303);
    assert!(entered.head.contains("location: /\r\n"), "{}", entered.head);
    let cookie = entered.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.ends_with("; path=/; httponly; samesite=strict"), "{cookie}");
    assert!(!cookie.contains(&guarded.token), "the cookie is not the token");
    let (cookie, _) = cookie.split_once(';').unwrap();
    let with = |cookie: &str| {
        guarded.page.get_with("/status", &format!("Cookie: theme=dark; {cookie}\r\n")).status
    };
    assert_eq!(with(cookie), 200);
    let (name, value) = cookie.split_once('=').unwrap();
    let port = guarded.page.serving.address().port();
    assert_eq!(name, format!("qsegment-{port}"), "two daemons on one machine keep two cookies");
    assert_eq!(with(&format!("{name}={}", guarded.token)), 401);
    assert_eq!(with(&format!("{name}1={value}")), 401);
    assert_eq!(with(name), 401);
    // Nor does the cookie open where the token is asked for.
    let bearer = format!("Authorization: Bearer {value}\r\n");
    assert_eq!(guarded.page.get_with("/status", &bearer).status, 401);
}

#[test]
fn the_form_takes_a_token_and_nothing_else() {
    let guarded = Guarded::open();
    assert_eq!(guarded.log_in("", &"x".repeat(1025)).status, 413);
    assert_eq!(guarded.log_in("", &"x".repeat(1024)).status, 401, "a form without a token");
    let foreign = guarded.log_in("Origin: http://evil.example\r\n", "token=x");
    assert_eq!(foreign.status, 403);
    let null = guarded.log_in("Origin: null\r\n", "token=x");
    assert_eq!(null.status, 403);
    let post = "POST /status HTTP/1.1\r\nHost: pi.example\r\nContent-Length: 0\r\n";
    assert_eq!(guarded.page.ask(post).status, 405);
    assert_eq!((guarded.refused("body"), guarded.refused("cross_site")), (1, 2));
}

#[test]
fn a_page_that_needs_no_token_sends_the_form_away() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    for request in [
        "GET /login HTTP/1.1\r\nHost: localhost\r\n",
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
    ] {
        let answer = page.ask(request);
        assert_eq!(answer.status, 303);
        assert!(answer.head.contains("location: /") && !answer.head.contains("set-cookie"));
    }
}

#[test]
fn names_are_ours_addresses_or_listed() {
    let guarded = Guarded::open();
    let status = |target: &str, host: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{}", guarded.bearer());
        guarded.page.ask(&request).status
    };
    for host in ["localhost", "192.168.1.5:8500", "[fe80::1]:8500", "PI.example", "pi.example:1"] {
        assert_eq!(status("/status", host), 200, "{host}");
    }
    for host in [
        "evil.example",
        "pi.example.evil.example",
        "1.2.3.4.evil.example",
        "evil@pi.example",
        "pi",
        "",
    ] {
        assert_eq!(status("/status", host), 403, "{host}");
    }
    assert_eq!(status("http://pi.example/status", "localhost"), 200);
    assert_eq!(status("http://evil.example/status", "localhost"), 403);
}

#[test]
fn pages_of_other_sites_are_refused() {
    let page = Page::open_at("127.0.0.1:0", Access::default());
    let status = |path: &str, headers: &str| {
        page.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost:8500\r\n{headers}")).status
    };
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: ";
    for (path, headers, wanted) in [
        ("/status", "Origin: http://localhost:8500\r\n", 200),
        ("/status", "Origin: https://localhost:8500\r\n", 200),
        ("/status", "Origin: http://localhost:3000\r\n", 403),
        ("/status", "Origin: http://evil.example\r\n", 403),
        ("/status", "Origin: null\r\n", 403),
        ("/status", "Origin: http://localhost:8500\r\nOrigin: http://evil.example\r\n", 403),
        ("/status", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("/status", "Sec-Fetch-Site: none\r\n", 200),
        ("/status", "Sec-Fetch-Site: same-site\r\n", 403),
        ("/status", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("/", &format!("{link}document\r\n"), 200),
        ("/", &format!("{link}iframe\r\n"), 403),
        ("/status", &format!("{link}document\r\n"), 403),
        ("/", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
    ] {
        assert_eq!(status(path, headers), wanted, "{path} {headers}");
    }
}

#[test]
fn heads_that_are_too_large_are_refused_and_counted() {
    let guarded = Guarded::open();
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(guarded.page.get_with("/status", &long).status, 431);
    let many: String = (0..70).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(guarded.page.get_with("/status", &many).status, 431);
    assert_eq!(guarded.page.ask("no such thing\r\n").status, 400);
    assert_eq!((guarded.refused("head"), guarded.refused("malformed")), (2, 1));
    let metrics = guarded.page.get_with("/metrics", &guarded.bearer());
    let text = metrics.text();
    for line in [
        "# TYPE qsegment_http_refused_total counter\n",
        "qsegment_http_refused_total{reason=\"head\"} 2\n",
        "qsegment_http_refused_total{reason=\"share\"} 0\n",
        "qsegment_http_connections 1.0\n",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
}

#[test]
fn clients_that_do_not_ask_or_do_not_read_are_dropped() {
    let guarded = Guarded::open();
    let address = guarded.page.serving.address();
    let mut silent = connect(address);
    let mut half = connect(address);
    half.write_all(b"GET /status HTTP/1.1\r\nHost: loc").unwrap();
    // Its answers are far more than the buffers of both ends hold.
    let mut deaf = connect(address);
    let request =
        format!("GET /page/page.js HTTP/1.1\r\nHost: localhost\r\n{}\r\n", guarded.bearer());
    deaf.write_all(request.repeat(3000).as_bytes()).unwrap();
    let mut kept = connect(address);
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();

    let mut said = Vec::new();
    silent.read_to_end(&mut said).unwrap();
    half.read_to_end(&mut said).unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), "");
    let mut answers = String::new();
    kept.read_to_string(&mut answers).unwrap();
    assert!(answers.ends_with("ok\n"), "{answers}");
    while guarded.refused("slow_to_read") == 0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(guarded.refused("slow_to_ask"), 2, "the one that was kept is no refusal");
    let status = guarded.page.get_with("/status", &guarded.bearer()).json();
    assert_eq!(status["http"]["connections"], 1, "all have made room");
}
