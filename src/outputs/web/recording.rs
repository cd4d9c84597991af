//! `/api/v1/recording`: begins and ends a recording. Folder and name are the daemon's; a request says only whether.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;

use super::Site;
use super::api::problem::Problem;
use super::change::fields;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    active: bool,
}

/// `GET /api/v1/recording`: as under `recording` in `/status`.
pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    Json(site.recording.figures()).into_response()
}

/// `POST /api/v1/recording`.
pub(super) async fn set(State(site): State<Arc<Site>>, request: Request) -> Response {
    let Wanted { active } = match fields(&site, request, WANTED).await {
        Ok(wanted) => wanted,
        Err(refused) => return refused.into_response(),
    };
    match site.recording.set(active) {
        Ok(()) => {
            tracing::info!(active, "the page has switched the recording");
            Json(site.recording.figures()).into_response()
        }
        Err(reason) => {
            Problem::new(StatusCode::CONFLICT, &format!("Nothing can be recorded: {reason}."))
                .into_response()
        }
    }
}

const WANTED: &str = "{\"active\":true} or {\"active\":false}";
