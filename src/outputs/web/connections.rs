//! Accepts connections: bounded in number, rate, memory and patience, and all gone soon after the stop.
//!
//! ```text
//!   accepted  at most 500 a second; those beyond the number (visitors.rs) hear 503 and are closed
//!   head      16 KiB, 64 headers, whole within 10 s of the connection or of the answer before
//!   body      none, but 1 KiB of a token within 10 s (login.rs)
//!   answer    some of it taken every 10 s (patience.rs), or the connection goes; a WebSocket's messages too
//! ```
//!
//! A client that is dropped costs nobody anything: the page's own thread serves all of them, behind the frames'.

use std::error::Error as _;
use std::io::{self, Write};
use std::net::{IpAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use super::patience::Patient;
use super::refusal::Refusal;
use super::visitors::{Visit, Visitors};

/// Until `stop` is dropped. Whoever is still connected then gets a short while to finish.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    visitors: Arc<Visitors>,
    mut stop: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the page cannot be served");
            return;
        }
    };
    let (finish, finishing) = watch::channel(());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        let pause = match accepted {
            Ok((stream, peer)) => {
                match visitors.admit(peer.ip()) {
                    Ok(visit) => {
                        converse(stream, peer.ip(), router.clone(), visit, finishing.clone());
                    }
                    Err(refusal) => refuse(stream, refusal),
                }
                ACCEPT_PACE
            }
            Err(error) => {
                // Out of descriptors, usually: waiting lets some be closed, retrying at once would
                // spin.
                tracing::warn!(%error, "a connection to the page was not accepted");
                ACCEPT_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = &mut stop => break,
        }
    }
    drop(listener);
    drop(finishing);
    finish.send_replace(());
    // Closed when the last connection has dropped its end.
    drop(tokio::time::timeout(GRACE, finish.closed()).await);
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

fn converse(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    visit: Visit,
    mut finishing: watch::Receiver<()>,
) {
    // Without it a small answer would wait for the acknowledgement of the one before. Slower, not
    // wrong.
    drop(stream.set_nodelay(true));
    // Likewise: what waits in the kernel is late when it comes.
    let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
    let router = TowerToHyperService::new(router);
    let visit = Arc::new(visit);
    let visited = Arc::clone(&visit);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        // A WebSocket outlives the connection's task below, and still counts.
        request.extensions_mut().insert(Arc::clone(&visited));
        router.call(request)
    });
    let stream = Patient::new(stream, READ_TIME);
    let asking = stream.asking();
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = finishing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection to the page broke");
            // A connection that was kept and not used again is no refusal.
            let kept = error.is_timeout() && !asking.load(Ordering::Relaxed);
            if let Some(refusal) = refusal(&error).filter(|_| !kept) {
                visit.refuse(refusal);
            }
        }
        drop(visit);
    });
}

/// Why a connection was ended here; none where the client ended it.
fn refusal(error: &hyper::Error) -> Option<Refusal> {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    if error.is_timeout() {
        Some(Refusal::SlowToAsk)
    } else if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut) {
        Some(Refusal::SlowToRead)
    } else if error.is_parse_too_large() {
        Some(Refusal::Head)
    } else if error.is_parse() {
        Some(Refusal::Malformed)
    } else {
        None
    }
}

/// One packet into an empty send buffer, without waiting; if even that fails, closing says it too.
/// Through std, because tokio writes only after its reactor has seen the new socket.
fn refuse(stream: TcpStream, refusal: Refusal) {
    let (status, said) = refusal.answer();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n{said}\n"
    );
    if let Ok(mut stream) = stream.into_std() {
        drop(stream.write(answer.as_bytes()));
    }
}

/// A browser opens six connections at once, which is then 12 ms; whoever opens and closes them in a loop gets a few
/// percent of one core, and the kernel's queue holds up the rest.
const ACCEPT_PACE: Duration = Duration::from_millis(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Also how long an idle connection is kept: the page asks twice a second, and a scraper may connect again.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A page on a bad wireless network takes something every second or two.
pub(super) const READ_TIME: Duration = Duration::from_secs(10);
/// The kernel takes twice that: two or three frames, which on a slow link are half a second.
const SEND_BUFFER_BYTES: usize = 128 << 10;
/// Browsers send a kilobyte and cookies of at most four.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Browsers send 15 to 20, a proxy adds a few.
const MAX_HEADERS: usize = 64;
/// Streams end by themselves as soon as nobody draws; this is for clients that do not read.
const GRACE: Duration = Duration::from_millis(500);
