//! `GET /api/v1/mask` and `/api/v1/probability`: the newest, a byte a pixel, row by row.
//!
//! As they are, with their size in headers, or as a grey PNG with `?format=png`. A map that is stale is withheld, as
//! everywhere.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use image::ExtendedColorType;

use super::problem;
use crate::outputs::overlay::Freshness;
use crate::outputs::report::png;
use crate::outputs::web::Site;
use crate::pipeline::Frame;
use crate::pipeline::geometry::Size;

/// 255 where a vessel is, else 0.
pub(super) async fn mask(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    answer(site, query, |frame| {
        let threshold = frame.threshold;
        frame.probability.iter().map(|p| if *p >= threshold { 255 } else { 0 }).collect()
    })
    .await
}

/// 0 to 255 for 0.0 to 1.0.
pub(super) async fn probability(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
) -> Response {
    answer(site, query, |frame| frame.probability.clone()).await
}

async fn answer(site: Arc<Site>, query: Option<String>, pixels: fn(&Frame) -> Vec<u8>) -> Response {
    let format = match Format::of(query.as_deref().unwrap_or_default()) {
        Ok(format) => format,
        Err(found) => {
            let (detail, wanted) = ("That is no format of a map.", "format=raw or format=png");
            return problem::wrong(StatusCode::BAD_REQUEST, detail, &found, wanted);
        }
    };
    // Before the look at the clock: whoever waits for a turn gets what is newest then.
    let turn = match format {
        Format::Raw => None,
        Format::Png => match site.turn_to_draw().await {
            None => {
                let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, "The daemon is stopping.");
                return problem::sentence(status, detail);
            }
            turn => turn,
        },
    };
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let frame = match (newest, freshness) {
        (Some(frame), Freshness::Live) => frame,
        (_, stale) => {
            let limit = site.limits.stale_after().as_millis();
            let (detail, wanted) =
                ("There is no mask that still holds.", format!("live, {limit} ms old at most"));
            let found = stale.name();
            return problem::wrong(StatusCode::NOT_FOUND, detail, found, &wanted);
        }
    };
    let mut response = match format {
        Format::Raw => {
            ([(header::CONTENT_TYPE, "application/octet-stream")], pixels(&frame)).into_response()
        }
        Format::Png => {
            // Compressing takes milliseconds, which the thread of all connections has not.
            let of = Arc::clone(&frame);
            let drawn = tokio::task::spawn_blocking(move || {
                let _drawing = turn;
                let size = Size::new(of.mask_width, of.mask_height).expect("a mask has pixels");
                png(&pixels(&of), size, ExtendedColorType::L8)
            });
            match drawn.await {
                Ok(png) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
                Err(error) => {
                    tracing::error!(%error, "a mask could not be compressed");
                    let (status, detail) = (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "The PNG could not be made; see the log.",
                    );
                    return problem::sentence(status, detail);
                }
            }
        }
    };
    let age_ms = frame.stamps.age_at(site.clock.now()).as_millis();
    for (name, value) in [
        ("x-width", frame.mask_width.to_string()),
        ("x-height", frame.mask_height.to_string()),
        ("x-sequence", frame.sequence.to_string()),
        ("x-threshold", frame.threshold.to_string()),
        ("x-age-ms", age_ms.to_string()),
    ] {
        let value = HeaderValue::try_from(value).expect("digits");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

/// How a map is sent.
enum Format {
    Raw,
    Png,
}

impl Format {
    fn of(query: &str) -> Result<Self, String> {
        match query {
            "" | "format=raw" => Ok(Self::Raw),
            "format=png" => Ok(Self::Png),
            other => Err(other.to_owned()),
        }
    }
}
