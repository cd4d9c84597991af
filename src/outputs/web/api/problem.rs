//! How the API refuses: a document that says what was found and what was wanted (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::outputs::DISCLAIMER;

/// Why a request was not answered as asked.
#[derive(Debug, Serialize)]
pub(in crate::outputs::web) struct Problem<'a> {
    title: &'static str,
    status: u16,
    /// A sentence for people.
    detail: &'a str,
    /// Where something that was given is wrong, what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<&'a str>,
    disclaimer: &'static str,
}

/// One without more to say than a sentence.
pub(in crate::outputs::web) fn sentence(status: StatusCode, detail: &str) -> Response {
    answer(status, detail, None)
}

/// One that a better request avoids.
pub(super) fn wrong(status: StatusCode, detail: &str, found: &str, wanted: &str) -> Response {
    answer(status, detail, Some((found, wanted)))
}

fn answer(status: StatusCode, detail: &str, given: Option<(&str, &str)>) -> Response {
    let problem = Problem {
        title: status.canonical_reason().unwrap_or("Refused"),
        status: status.as_u16(),
        detail,
        found: given.map(|(found, _)| found),
        wanted: given.map(|(_, wanted)| wanted),
        disclaimer: DISCLAIMER,
    };
    let text = serde_json::to_string(&problem).expect("words and a number are JSON");
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

const MEDIA_TYPE: &str = "application/problem+json";
