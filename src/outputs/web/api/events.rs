//! `GET /api/v1/events`: frames and changes of state as they come, for programs that would poll otherwise
//! (server-sent events).
//!
//! ```text
//!   web-draw --News--> watch --> one task a client:   event: state   at once
//!                      newest                         event: frame   the newest, `rate` a second at most
//!                      only                           : a comment where nothing came for five seconds
//! ```
//!
//! A client that takes nothing is dropped like any other (`patience`), and what it missed is not kept: the id is the
//! frame's number, so that gaps show.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Sleep;

use super::measurements::newest_vessels;
use super::problem;
use crate::outputs::measure::VesselFigures;
use crate::outputs::overlay::Freshness;
use crate::outputs::web::Site;
use crate::outputs::web::refusal::Refusal;
use crate::outputs::web::status::NewestMask;
use crate::pipeline::Frame;

/// Where the drawing thread says what there is.
#[derive(Debug)]
pub(in crate::outputs::web) struct Events {
    news: watch::Sender<News>,
    listeners: Arc<Semaphore>,
}

/// What there is: equal values are not told twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct News {
    /// "live", "stale" or "no_signal"; none when the page closes.
    state: Option<&'static str>,
    sequence: Option<u64>,
}

impl Default for Events {
    fn default() -> Self {
        let news = News { state: Some(Freshness::NoSignal.name()), sequence: None };
        Self { news: watch::Sender::new(news), listeners: Arc::new(Semaphore::new(MAX_LISTENERS)) }
    }
}

impl Events {
    /// After every frame, and a few times a second without one.
    pub(in crate::outputs::web) fn tell(&self, newest: Option<&Frame>, freshness: Freshness) {
        let sequence = newest.map(|frame| frame.sequence);
        let news = News { state: Some(freshness.name()), sequence };
        self.news.send_if_modified(|told| std::mem::replace(told, news) != news);
    }

    /// Ends every stream.
    pub(in crate::outputs::web) fn close(&self) {
        self.news.send_modify(|told| told.state = None);
    }
}

pub(super) async fn events(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Some(rate) = rate(&query) else {
        let (detail, wanted) = ("That is no rate.", "rate=1 to rate=30, frames a second");
        return problem::wrong(StatusCode::BAD_REQUEST, detail, &query, wanted);
    };
    let Ok(permit) = Arc::clone(&site.events.listeners).try_acquire_owned() else {
        site.visitors.refuse(Refusal::Streams);
        let (status, said) = Refusal::Streams.answer();
        return problem::sentence(status, said);
    };
    let listener = Listener {
        news: site.events.news.subscribe(),
        site,
        told: None,
        pause: None,
        every: Duration::from_secs(1) / rate,
        _permit: permit,
    };
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    Sse::new(stream::unfold(listener, Listener::next)).keep_alive(heartbeat).into_response()
}

/// One client.
struct Listener {
    site: Arc<Site>,
    news: watch::Receiver<News>,
    /// What this client knows.
    told: Option<News>,
    /// Until the next frame may be told.
    pause: Option<Pin<Box<Sleep>>>,
    every: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Waits for what the client does not know yet; none when the page closes.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        let told = self.told;
        let state_changed = |news: &News| Some(news.state) != told.map(|told| told.state);
        if let Some(mut pause) = self.pause.take() {
            tokio::select! {
                () = &mut pause => {}
                _ = self.news.wait_for(state_changed) => self.pause = Some(pause),
            }
        }
        let news = *self.news.wait_for(|news| Some(*news) != told).await.ok()?;
        let state = news.state?;
        let event = if state_changed(&news) {
            // The frame, if it is new too, follows.
            let sequence = told.and_then(|told| told.sequence);
            self.told = Some(News { state: Some(state), sequence });
            event("state", news.sequence, &Change { state, sequence: news.sequence })
        } else {
            self.told = Some(news);
            self.pause = Some(Box::pin(tokio::time::sleep(self.every)));
            self.frame()
        };
        Some((Ok(event), self))
    }

    fn frame(&self) -> Event {
        let newest = self.site.newest();
        let freshness = self.site.freshness(newest.as_deref());
        let vessels = newest_vessels(&self.site, freshness).ok();
        let now = self.site.clock.now();
        let mask = newest.as_deref().map(|frame| NewestMask::new(frame, now, freshness));
        let sequence = newest.as_deref().map(|frame| frame.sequence);
        event("frame", sequence, &Told { state: freshness.name(), mask, vessels })
    }
}

/// `event: state`.
#[derive(Debug, Serialize)]
struct Change {
    state: &'static str,
    sequence: Option<u64>,
}

/// `event: frame`.
#[derive(Debug, Serialize)]
struct Told {
    state: &'static str,
    mask: Option<NewestMask>,
    /// As in /status; null while nothing is measured.
    vessels: Option<VesselFigures>,
}

fn event(name: &'static str, sequence: Option<u64>, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("words and numbers are JSON");
    let event = Event::default().event(name).data(data);
    match sequence {
        Some(sequence) => event.id(sequence.to_string()),
        None => event,
    }
}

fn rate(query: &str) -> Option<u32> {
    match query {
        "" => Some(DEFAULT_RATE),
        query => query.strip_prefix("rate=")?.parse().ok().filter(|rate| (1..=30).contains(rate)),
    }
}

/// A person reads two numbers a second; a plot wants a few more.
const DEFAULT_RATE: u32 = 10;
/// Each costs a document a frame.
const MAX_LISTENERS: usize = 16;
/// Sooner than a proxy gives up, and than `patience` does.
const HEARTBEAT: Duration = Duration::from_secs(5);
