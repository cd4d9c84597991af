//! Who may ask for what: judged from the head of a request alone.
//!
//! ```text
//!   Host           under which name the page was asked for: a site that points its own name at this
//!                  address (DNS rebinding) is told apart by it
//!   Origin,        which page asks: a site in the same browser cannot read the picture, or log anybody in
//!   Sec-Fetch-*
//!   method, body   little can be changed here (CHANGES), and only by a page of ours that says so; the one other POST
//!                  brings the token
//!   token          Authorization: Bearer, or the cookie that /login has set
//! ```
//!
//! Wrong tokens need no list of who guessed: the answer to one comes late and holds its connection meanwhile, and
//! connections are limited (`visitors`). Nobody can lock anybody else out by guessing.

use std::net::IpAddr;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method};

use super::change::MAX_BODY_BYTES;
use super::refusal::Refusal;
use super::token::Token;

/// Who is let in, beside programs and people at this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// What everybody must know, people at this machine too. Without one the page is for this machine only.
    pub token: Option<Token>,
    /// Names under which the page may be asked for, beside those of this machine itself.
    pub host_names: Vec<HostName>,
}

/// A name without port, such as `pi.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

impl HostName {
    /// None if it can be no name of a machine: a port or `http://` does not belong to it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!text.is_empty() && text.bytes().all(fine)).then(|| Self(text.to_owned()))
    }
}

/// Judges requests.
#[derive(Debug)]
pub(super) struct Guard {
    access: Access,
    /// Whether other machines reach the page.
    public: bool,
    /// Cookies know no ports: two daemons on one machine would overwrite each other's.
    cookie_name: String,
}

impl Guard {
    pub(super) fn new(access: Access, address: std::net::SocketAddr) -> Self {
        let cookie_name = format!("qsegment-{}", address.port());
        Self { access, public: !address.ip().is_loopback(), cookie_name }
    }

    pub(super) fn judge(&self, request: &Request) -> Result<(), Refusal> {
        let (headers, path) = (request.headers(), request.uri().path());
        // A target with a host in it (as for a proxy) goes before the header.
        if !self.names_us(headers) || request.uri().authority().is_some_and(|a| !self.is_ours(a)) {
            return Err(Refusal::Host);
        }
        if !is_own(headers, path) {
            return Err(Refusal::CrossSite);
        }
        let login = path == LOGIN && request.method() == Method::POST;
        if is_change(path, request.method()) {
            // That it is ours was judged above; here, that it is there.
            if !headers.contains_key(header::ORIGIN) {
                return Err(Refusal::NoOrigin);
            }
            let body = request.body().size_hint();
            if body.lower() > MAX_BODY_BYTES as u64 {
                return Err(Refusal::Body);
            }
        } else if !login {
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return Err(Refusal::Method);
            }
            if !request.body().is_end_stream() {
                return Err(Refusal::Body);
            }
        }
        if login || OPEN.contains(&path) { Ok(()) } else { self.knows(headers) }
    }

    /// The token, where one is needed.
    pub(super) fn token(&self) -> Option<&Token> {
        self.access.token.as_ref()
    }

    /// What lets a browser in until it is closed. Scripts cannot read it, and other sites' pages cannot have it
    /// sent. Not `Secure`, since there is no TLS here; a proxy may add that.
    pub(super) fn cookie(&self, token: &Token) -> HeaderValue {
        let (name, value) = (&self.cookie_name, token.cookie());
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict"))
            .expect("a number and hexadecimal digits")
    }

    fn names_us(&self, headers: &HeaderMap) -> bool {
        let ours = |value: &HeaderValue| authority(value).is_some_and(|host| self.is_ours(&host));
        let mut hosts = headers.get_all(header::HOST).iter().peekable();
        hosts.peek().is_some() && hosts.all(ours)
    }

    /// Any port: the page may be reached through a tunnel. Rebinding needs a name, so where other machines may come
    /// any address is fine; names are only those that were listed.
    fn is_ours(&self, authority: &Authority) -> bool {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if authority.as_str().contains('@') {
            return false;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.public || address.is_loopback();
        }
        let listed = &self.access.host_names;
        host.eq_ignore_ascii_case("localhost")
            || listed.iter().any(|name| host.eq_ignore_ascii_case(&name.0))
    }

    fn knows(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = self.token() else { return Ok(()) };
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        match (given.next(), given.next()) {
            (Some(credentials), None) => {
                let (scheme, given) = credentials
                    .as_bytes()
                    .split_at_checked(BEARER.len())
                    .ok_or(Refusal::WrongToken)?;
                let fits = scheme.eq_ignore_ascii_case(BEARER) && token.is(given.trim_ascii());
                return fits.then_some(()).ok_or(Refusal::WrongToken);
            }
            (Some(_), Some(_)) => return Err(Refusal::WrongToken),
            (None, _) => {}
        }
        let mut cookies = headers.get_all(header::COOKIE).iter().flat_map(|cookies| {
            cookies.as_bytes().split(|byte| *byte == b';').filter_map(|cookie| {
                let value = cookie.trim_ascii().strip_prefix(self.cookie_name.as_bytes())?;
                value.strip_prefix(b"=")
            })
        });
        // A cookie that is wrong is an old one, as a rule: its browser is asked for the token again.
        cookies.any(|cookie| token.is_cookie(cookie)).then_some(()).ok_or(Refusal::NoToken)
    }
}

/// What may be asked of this path, for an answer to what may not.
pub(super) fn allowed(path: &str) -> &'static str {
    let change = CHANGES.iter().find(|(changed, ..)| *changed == path);
    change.map_or("GET, HEAD", |(_, _, allowed)| allowed)
}

fn is_change(path: &str, method: &Method) -> bool {
    CHANGES.iter().any(|(changed, methods, _)| *changed == path && methods.contains(method))
}

/// Whether this page asks, or a person; not another site's page in the same browser. Programs send none of these
/// headers.
fn is_own(headers: &HeaderMap, path: &str) -> bool {
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let own = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        // https where a proxy speaks TLS to the browser.
        let origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    };
    if !headers.get_all(header::ORIGIN).iter().all(own) {
        return false;
    }
    // Browsers tell more to https and to localhost only. "same-site" is another port of this machine: not us.
    let is = |name: &HeaderName, wanted: &[&str]| {
        headers.get_all(name).iter().all(|value| wanted.iter().any(|wanted| value == wanted))
    };
    let follows_a_link =
        || path == "/" && is(&SEC_FETCH_MODE, &["navigate"]) && is(&SEC_FETCH_DEST, &["document"]);
    is(&SEC_FETCH_SITE, &["same-origin", "none"]) || follows_a_link()
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

/// Where a form brings the token.
pub(super) const LOGIN: &str = "/login";
/// What the form itself is made of, and what says no more than that something runs here.
const OPEN: [&str; 4] = [LOGIN, "/page.css", "/icon.svg", "/healthz"];
/// All that can be changed, and how.
const CHANGES: [(&str, &[Method], &str); 2] = [
    (WINDOW, &[Method::PUT, Method::DELETE], "GET, HEAD, PUT, DELETE"),
    (RECORDING, &[Method::POST], "GET, HEAD, POST"),
];
/// What of the sensor the network sees.
pub(super) const WINDOW: &str = "/api/v1/window";
/// Whether it is recorded.
pub(super) const RECORDING: &str = "/api/v1/recording";
const BEARER: &[u8] = b"Bearer ";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
