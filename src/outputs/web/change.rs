//! What every request that changes something goes through, and how it is answered.
//!
//! ```text
//!   guard    Host, Origin = Host, token, length of the body           (guard.rs, from the head alone)
//!   here     not too often -> application/json -> 1 KiB within 10 s -> these fields and no others
//!            a refusal is a problem document (RFC 9457): status, and in `detail` what was wanted
//! ```
//!
//! A form of another site can send no JSON without asking first (CORS), and is asked nothing here; that it must name
//! its origin as well is the second lock.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::api::problem::Problem;
use super::refusal::Refusal;
use super::{NOT_POISONED, Site};
use crate::source::clock::Timestamp;

/// Lets a change pass, or says why not.
pub(super) fn in_turn(site: &Site) -> Result<(), Problem> {
    if site.changes.pass(site.clock.now()) {
        return Ok(());
    }
    Err(refused(site, Refusal::TooOften))
}

/// The fields of a change.
pub(super) async fn fields<T: DeserializeOwned>(
    site: &Site,
    request: Request,
    wanted: &str,
) -> Result<T, Problem> {
    in_turn(site)?;
    let media_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let media_type = media_type.and_then(|value| value.split(|byte| *byte == b';').next());
    if !media_type.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(JSON)) {
        let said = format!("Send {wanted} with Content-Type: application/json.");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, &said));
    }
    let bytes = match tokio::time::timeout(BODY_TIME, bytes(request.into_body())).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(refused(site, Refusal::Body)),
        Err(_) => return Err(refused(site, Refusal::SlowToAsk)),
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, &format!("This is not {wanted}: {error}."))
    })
}

async fn bytes(body: Body) -> Option<Vec<u8>> {
    Some(to_bytes(body, MAX_BODY_BYTES).await.ok()?.to_vec())
}

fn refused(site: &Site, refusal: Refusal) -> Problem {
    site.visitors.refuse(refusal);
    let (status, said) = refusal.answer();
    Problem::new(status, said)
}

/// How often something may be changed: a few at once, as by a hand that tries things, and then five a second.
#[derive(Debug, Default)]
pub(super) struct Turnstile(Mutex<Passed>);

#[derive(Debug, Default)]
struct Passed {
    /// Passes that were used and are not back yet.
    used: u32,
    /// When the last came back.
    since: Timestamp,
}

impl Turnstile {
    fn pass(&self, now: Timestamp) -> bool {
        let mut passed = self.0.lock().expect(NOT_POISONED);
        let back = now.since(passed.since).as_millis() / PASS_BACK_AFTER.as_millis();
        if back > 0 {
            passed.used = passed.used.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
            passed.since = now;
        }
        let free = passed.used < PASSES;
        passed.used += u32::from(free);
        free
    }
}

const JSON: &[u8] = b"application/json";
/// A window in numbers of ten digits has 80.
pub(super) const MAX_BODY_BYTES: usize = 1024;
const BODY_TIME: Duration = Duration::from_secs(10);
const PASSES: u32 = 10;
const PASS_BACK_AFTER: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_at_once_pass_and_then_one_every_fifth_of_a_second() {
        let turnstile = Turnstile::default();
        let at = |millis: u64| Timestamp(millis * 1_000_000);
        let passed = |millis| turnstile.pass(at(millis));
        assert_eq!((0..12).filter(|_| passed(1000)).count(), 10);
        assert!(!passed(1199));
        assert_eq!([1200, 1201, 1399, 1400].map(passed), [true, false, false, true]);
        assert_eq!((0..12).filter(|_| passed(60_000)).count(), 10, "never more are kept");
    }
}
