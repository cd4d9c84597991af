//! `/live`: the layers of every frame, over a WebSocket.
//!
//! ```text
//!   guard ─> upgrade ─> newest message and a ping, when those before have arrived (lead.rs) ─> ...
//!                       what came meanwhile is skipped, as in /stream.mjpg
//!   the client says     nothing but pings and its goodbye: anything else ends it (1008)
//!   no place is free    1013 and the reason, which a browser's script could not read from a 503
//! ```

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::SinkExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use super::Site;
use super::connections::READ_TIME;
use super::lead::Lead;
use super::refusal::Refusal;
use super::routes::sentence;
use super::views::{Part, View};
use super::visitors::Visit;

pub(super) async fn live(
    State(site): State<Arc<Site>>,
    Extension(visit): Extension<Arc<Visit>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return sentence(
            StatusCode::UPGRADE_REQUIRED,
            "This is a WebSocket; a picture is at /stream.mjpg.",
        );
    };
    let upgrade = upgrade.max_message_size(MAX_SAID_BYTES).max_frame_size(MAX_SAID_BYTES);
    upgrade.on_upgrade(move |mut socket| async move {
        let Ok(permit) = Arc::clone(&site.streams).try_acquire_owned() else {
            visit.refuse(Refusal::Streams);
            return close(&mut socket, close_code::AGAIN, Refusal::Streams.answer().1).await;
        };
        match site.views.watch(View::Layers) {
            Some(messages) => show(socket, messages, &visit, permit).await,
            None => close(&mut socket, close_code::AWAY, STOPPING).await,
        }
    })
}

/// Until the client goes, says something or takes nothing, or nobody draws any more.
async fn show(
    mut socket: WebSocket,
    mut messages: watch::Receiver<Part>,
    visit: &Visit,
    _permit: OwnedSemaphorePermit,
) {
    let mut pings = 0;
    let mut lead = Lead::new();
    let mut waits = false;
    loop {
        let unanswered = lead.waits_since();
        tokio::select! {
            changed = messages.changed() => match changed {
                Ok(()) => waits = true,
                Err(_) => return close(&mut socket, close_code::AWAY, STOPPING).await,
            },
            () = sleep_until(unanswered.unwrap_or_else(Instant::now) + READ_TIME), if unanswered.is_some() => {
                return visit.refuse(Refusal::SlowToRead);
            }
            said = socket.recv() => match said {
                Some(Ok(Message::Pong(said))) if lead.answered(&said, waits, Instant::now()) => {}
                Some(Ok(Message::Ping(_) | Message::Pong(_))) if pings < MAX_PINGS => pings += 1,
                // Asked for more, the socket sends the answer to a goodbye.
                Some(Ok(Message::Close(_))) => return drop(socket.recv().await),
                None => return,
                // A message that is too long is an error, too; so is a connection that broke, which is none of
                // the client's doing.
                Some(Err(error)) if is_io(&error) => return,
                Some(_) => {
                    visit.refuse(Refusal::Message);
                    return close(&mut socket, close_code::POLICY, Refusal::Message.answer().1).await;
                }
            },
        }
        if waits && lead.may_send() {
            let bytes = messages.borrow_and_update().bytes.clone();
            let ping = lead.send(Instant::now());
            if let Err(error) = send(&mut socket, bytes, &ping).await {
                if is_timeout(&error) {
                    visit.refuse(Refusal::SlowToRead);
                }
                return;
            }
            (waits, pings) = (false, 0);
        }
    }
}

/// Both in one piece.
async fn send(socket: &mut WebSocket, message: Bytes, ping: &[u8]) -> Result<(), axum::Error> {
    socket.feed(Message::Binary(message)).await?;
    socket.send(Message::Ping(Bytes::copy_from_slice(ping))).await
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    // Whoever has gone already needs no goodbye.
    drop(socket.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await);
}

fn is_timeout(error: &axum::Error) -> bool {
    io_cause(error).is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

fn is_io(error: &axum::Error) -> bool {
    io_cause(error).is_some()
}

fn io_cause(error: &axum::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

const STOPPING: &str = "The daemon is stopping.";
/// Pings have 125 at most.
const MAX_SAID_BYTES: usize = 1024;
/// Between two messages: browsers send none, a proxy one now and then.
const MAX_PINGS: u32 = 16;
