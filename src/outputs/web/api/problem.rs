//! How the API refuses: a document that says what was found and what was wanted (RFC 9457).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::outputs::DISCLAIMER;

/// Why a request was not answered as asked.
#[derive(Debug, Serialize)]
pub(in crate::outputs::web) struct Problem {
    title: &'static str,
    status: u16,
    /// A sentence for people.
    detail: String,
    /// Where something that was given is wrong, what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<String>,
    disclaimer: &'static str,
}

impl Problem {
    /// One without more to say than a sentence.
    pub(in crate::outputs::web) fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            title: status.canonical_reason().unwrap_or("Refused"),
            status: status.as_u16(),
            detail: detail.to_owned(),
            found: None,
            wanted: None,
            disclaimer: DISCLAIMER,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("it was made of one");
        let text = serde_json::to_string(&self).expect("words and a number are JSON");
        (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
    }
}

/// The answer of one without more to say than a sentence.
pub(in crate::outputs::web) fn sentence(status: StatusCode, detail: &str) -> Response {
    Problem::new(status, detail).into_response()
}

/// Of one that a better request avoids.
pub(super) fn wrong(status: StatusCode, detail: &str, found: &str, wanted: &str) -> Response {
    let (found, wanted) = (Some(found.to_owned()), Some(wanted.to_owned()));
    Problem { found, wanted, ..Problem::new(status, detail) }.into_response()
}

const MEDIA_TYPE: &str = "application/problem+json";
