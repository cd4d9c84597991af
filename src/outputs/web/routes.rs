//! What is answered to which request.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use image::ExtendedColorType;

use super::api::measurements::newest_vessels;
use super::api::{self, problem};
use super::connections::Peer;
use super::guard::{LOGIN, RECORDING, WINDOW, allowed};
use super::live::live;
use super::refusal::Refusal;
use super::status::{Moment, Status};
use super::views::{BOUNDARY_LINE, STREAM_TYPE, View};
use super::window::WindowFigures;
use super::{NOT_POISONED, Site, login, page, recording, window};
use crate::outputs::DISCLAIMER;
use crate::outputs::exposure::Observer;
use crate::outputs::metrics::{self, Format, ProcessFigures, Reading};
use crate::outputs::mqtt;
use crate::outputs::overlay::{Layer, Opacity, Style};
use crate::outputs::report::png;

pub(super) fn router(site: Arc<Site>) -> Router {
    Router::new()
        .merge(page::files())
        .route("/live", get(live))
        .route("/stream.mjpg", get(stream_mjpg))
        .route("/snapshot.png", get(snapshot_png))
        .route("/status", get(status))
        .route("/metrics", get(prometheus))
        .route("/trace.json", get(trace_json))
        .route(LOGIN, get(login::show).post(login::enter))
        .route(WINDOW, get(window::show).put(window::set).delete(window::reset))
        .route(RECORDING, get(recording::show).post(recording::set))
        .route("/healthz", get(|| file("text/plain", "ok\n")))
        .merge(api::routes())
        .fallback(not_found)
        .with_state(Arc::clone(&site))
        .layer(middleware::from_fn_with_state(site, guard))
}

/// Turns away whom the guard refuses, and tells browsers to stay here.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let for_program = api::is_asked(request.uri().path());
    let mut response = match site.guard.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let asks_for_page = refusal == Refusal::NoToken && wants_html(&request);
            let peer = request.extensions().get().copied();
            turn_away(&site, refusal, asks_for_page, request.uri().path(), peer).await
        }
    };
    if for_program {
        let disclaimer = HeaderValue::from_static(DISCLAIMER);
        response.headers_mut().insert(api::DISCLAIMER_HEADER, disclaimer);
    }
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn turn_away(
    site: &Site,
    refusal: Refusal,
    asks_for_page: bool,
    path: &str,
    peer: Option<Peer>,
) -> Response {
    if refusal == Refusal::WrongToken {
        site.turn_down_wrong_token(peer).await;
    } else {
        site.visitors.refuse(refusal);
    }
    let (status, said) = refusal.answer();
    let mut response = match (api::is_asked(path), asks_for_page) {
        (true, _) => problem::sentence(status, said),
        (false, true) => login::form(status, ""),
        (false, false) => sentence(status, said),
    };
    let (name, value) = match refusal {
        Refusal::Method => (header::ALLOW, allowed(path)),
        Refusal::NoToken | Refusal::WrongToken => {
            (header::WWW_AUTHENTICATE, "Bearer realm=\"qsegment\"")
        }
        _ => return response,
    };
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

/// A browser that was sent here, not a script and not a picture in a page.
fn wants_html(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes);
    accepted.is_some_and(|types| types.starts_with(b"text/html"))
}

async fn stream_mjpg(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let style = match style_of(query.as_deref()) {
        Ok(style) => style,
        Err(refused) => return sentence(StatusCode::BAD_REQUEST, &refused),
    };
    let Ok(permit) = Arc::clone(&site.streams).try_acquire_owned() else {
        site.visitors.refuse(Refusal::Streams);
        let (status, said) = Refusal::Streams.answer();
        return sentence(status, said);
    };
    let Some(parts) = site.views.watch(View::Drawn(style)) else {
        return stopping();
    };
    let opening = stream::iter([Ok::<_, Infallible>(BOUNDARY_LINE.into())]);
    // Ready when the client has taken the part before; what was drawn meanwhile is skipped.
    let parts = stream::unfold((parts, permit), |(mut parts, permit)| async move {
        parts.changed().await.ok()?;
        let bytes = parts.borrow_and_update().bytes.clone();
        Some((Ok(bytes), (parts, permit)))
    });
    ([(header::CONTENT_TYPE, STREAM_TYPE)], Body::from_stream(opening.chain(parts))).into_response()
}

async fn snapshot_png(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let style = match style_of(query.as_deref()) {
        Ok(style) => style,
        Err(refused) => return sentence(StatusCode::BAD_REQUEST, &refused),
    };
    let Some(permit) = site.turn_to_draw().await else { return stopping() };
    let drawn = tokio::task::spawn_blocking(move || {
        let _drawing = permit;
        let newest = site.newest();
        let freshness = site.freshness(newest.as_deref());
        let mut overlay = site.snapshot_overlay.lock().expect(NOT_POISONED);
        let picture = overlay.draw(newest.as_deref(), style, freshness);
        let sequence = newest.map(|frame| frame.sequence).unwrap_or_default();
        (png(picture.rgb, picture.size, ExtendedColorType::Rgb8), freshness.name(), sequence)
    });
    match drawn.await {
        Ok((png, state, sequence)) => {
            let headers = [(header::CONTENT_TYPE, "image/png"), (STATE_HEADER, state)];
            (headers, [(SEQUENCE_HEADER, sequence)], png).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a snapshot could not be drawn");
            sentence(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The snapshot could not be drawn; see the log.",
            )
        }
    }
}

pub(super) async fn status(State(site): State<Arc<Site>>) -> Response {
    with_status(&site, |status| Json(status).into_response())
}

/// What the document of `/status` is made into.
pub(super) fn with_status<T>(site: &Site, make: impl FnOnce(&Status<'_>) -> T) -> T {
    let snapshot = site.snapshot();
    let newest = site.newest();
    let freshness = site.freshness(newest.as_deref());
    let recent = site.recent.lock().expect(NOT_POISONED).rates();
    let now = site.clock.now();
    let window = site.aim.as_ref().map(|aim| WindowFigures::of(aim, newest.as_deref()));
    make(&Status::from(Moment {
        snapshot: &snapshot,
        facts: &site.facts,
        newest: newest.as_deref().map(|frame| (frame, now)),
        freshness,
        stale_after: site.limits.stale_after(),
        vessels: newest_vessels(site, freshness).ok(),
        exposure: site.exposure.as_ref().map(Observer::figures),
        recent,
        mqtt: site.mqtt.as_ref().map(mqtt::Observer::figures),
        window,
        recording: site.recording.figures(),
        http: site.visitors.figures(),
    }))
}

async fn prometheus(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let accepted: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::asked_for(&accepted.join(","));
    let newest = site.newest();
    let reading = Reading {
        counted: (site.counted)(),
        freshness: site.freshness(newest.as_deref()),
        newest,
        stale_after: site.limits.stale_after(),
        now: site.clock.now(),
        process: ProcessFigures::read(),
        visitors: site.visitors.figures(),
    };
    let text = metrics::encode(&reading, &site.facts, format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

/// The ten seconds before the request.
async fn trace_json(State(site): State<Arc<Site>>) -> Response {
    let Some(permit) = site.turn_to_draw().await else { return stopping() };
    let written = tokio::task::spawn_blocking(move || {
        let _writing = permit;
        site.trace_json()
    });
    match written.await {
        Ok(json) => {
            let name = "attachment; filename=\"trace.json\"";
            let headers =
                [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_DISPOSITION, name)];
            (headers, json).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a trace could not be written");
            sentence(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The trace could not be written; see the log.",
            )
        }
    }
}

fn stopping() -> Response {
    sentence(StatusCode::SERVICE_UNAVAILABLE, "The daemon is stopping.")
}

async fn not_found(uri: Uri) -> Response {
    let path = uri.path();
    if api::is_asked(path) {
        let said = format!("There is no {path} here; /api/v1/openapi.json lists what there is.");
        return problem::sentence(StatusCode::NOT_FOUND, &said);
    }
    sentence(StatusCode::NOT_FOUND, &format!("There is no {path} here; the page is at /."))
}

pub(super) async fn file(media_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

pub(super) fn sentence(status: StatusCode, sentence: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (status, headers, format!("{sentence}\n")).into_response()
}

/// `style=heat|outline|off&skeleton=0|1&opacity=0.0..1.0`, each optional.
fn style_of(query: Option<&str>) -> Result<Style, String> {
    let mut style = Style::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("style", "heat") => style.layer = Layer::Heat,
            ("style", "outline") => style.layer = Layer::Outline,
            ("style", "off") => style.layer = Layer::Off,
            ("skeleton", "0") => style.skeleton = false,
            ("skeleton", "1") => style.skeleton = true,
            ("opacity", share) => {
                let opacity = share.parse().ok().and_then(Opacity::new);
                style.opacity = opacity.ok_or_else(|| refused("opacity", share, "0.0 to 1.0"))?;
            }
            ("style", other) => return Err(refused("style", other, "heat, outline or off")),
            ("skeleton", other) => return Err(refused("skeleton", other, "0 or 1")),
            (key, _) => return Err(refused("query", key, "style, skeleton or opacity")),
        }
    }
    Ok(style)
}

fn refused(field: &str, got: &str, want: &str) -> String {
    format!("{field}: got {got:?}, want {want}.")
}

const STATE_HEADER: HeaderName = HeaderName::from_static("x-state");
const SEQUENCE_HEADER: HeaderName = HeaderName::from_static("x-sequence");
const SECURITY_HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Nothing to other sites. "no-referrer" would take the Origin off our own form, too.
    (header::REFERRER_POLICY, "same-origin"),
    // Fundus pictures identify people: no other site's page may embed them.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];
