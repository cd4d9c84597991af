//! `/api/v1/window`: what of the sensor the network sees, and may be made to see.
//!
//! ```text
//!   PUT {"left":1268,"top":760,"width":1520,"height":1520}   that part, at the network's full input size
//!   DELETE                                                   the configured view again
//!   GET                                                      as under `window` in /status
//! ```
//!
//! Both are answered at once with what was made of it; the first frames of it come a little later, and
//! `newest_mask.window` says of which window the newest mask is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;

use super::Site;
use super::api::problem::Problem;
use super::change::{fields, in_turn};
use crate::outputs::figures::Part;
use crate::pipeline::Frame;
use crate::source::aim::{Aim, AimError};
use crate::source::simulated::isp::{InferenceWindow, SENSOR_HEIGHT, SENSOR_WIDTH};

/// `window` in `/status`.
#[derive(Debug, Serialize)]
pub(super) struct WindowFigures {
    /// What was asked for last, fitted to network and sensor.
    #[serde(flatten)]
    part: Part,
    sensor_width: u32,
    sensor_height: u32,
    /// Whether PUT and DELETE do anything.
    adjustable: bool,
    /// Why they do not.
    reason: Option<&'static str>,
    /// What DELETE goes back to.
    configured: Part,
    /// Whether the newest mask is of this window.
    settled: bool,
    /// What the camera said to the last one that it did not take.
    refused: Option<String>,
}

impl WindowFigures {
    pub(super) fn of(aim: &Aim, newest: Option<&Frame>) -> Self {
        let aimed = aim.aimed();
        let seen = newest.and_then(|frame| frame.window);
        // What cannot be moved from here may have been moved when it was recorded.
        let wanted = if aimed.fixed.is_some() { seen } else { None }.unwrap_or(aimed.wanted);
        Self {
            part: wanted.into(),
            sensor_width: SENSOR_WIDTH,
            sensor_height: SENSOR_HEIGHT,
            adjustable: aimed.fixed.is_none(),
            reason: aimed.fixed,
            configured: aimed.configured.into(),
            settled: seen == Some(wanted),
            refused: aimed.refused,
        }
    }
}

/// `GET /api/v1/window`.
pub(super) async fn show(State(site): State<Arc<Site>>) -> Response {
    match site.aim.as_ref() {
        Some(aim) => now(&site, aim),
        None => Problem::new(StatusCode::NOT_FOUND, NO_WINDOW).into_response(),
    }
}

/// `PUT /api/v1/window`.
pub(super) async fn set(State(site): State<Arc<Site>>, request: Request) -> Response {
    let Part { left, top, width, height } = match fields(&site, request, WANTED).await {
        Ok(part) => part,
        Err(refused) => return refused.into_response(),
    };
    moved(&site, |aim| aim.ask(InferenceWindow { left, top, width, height }))
}

/// `DELETE /api/v1/window`.
pub(super) async fn reset(State(site): State<Arc<Site>>) -> Response {
    match in_turn(&site) {
        Ok(()) => moved(&site, Aim::reset),
        Err(refused) => refused.into_response(),
    }
}

fn moved(site: &Site, ask: impl FnOnce(&Aim) -> Result<InferenceWindow, AimError>) -> Response {
    let Some(aim) = site.aim.as_ref() else {
        return Problem::new(StatusCode::NOT_FOUND, NO_WINDOW).into_response();
    };
    match ask(aim) {
        Ok(InferenceWindow { left, top, width, height }) => {
            tracing::info!(left, top, width, height, "the page has moved the inference window");
            now(site, aim)
        }
        Err(error) => {
            let status = match error {
                AimError::Fixed(_) => StatusCode::CONFLICT,
                AimError::Empty(_) | AimError::Beyond(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            Problem::new(status, &error.to_string()).into_response()
        }
    }
}

fn now(site: &Site, aim: &Aim) -> Response {
    Json(WindowFigures::of(aim, site.newest().as_deref())).into_response()
}

const WANTED: &str = "a window such as {\"left\":1268,\"top\":760,\"width\":1520,\"height\":1520}, in full-sensor pixels";
const NO_WINDOW: &str = "This source has no inference window.";
