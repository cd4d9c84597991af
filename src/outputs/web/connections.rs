//! Accepts connections: bounded, with a time limit for request headers, and all gone soon after the
//! stop.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Until `stop` is dropped. Whoever is still connected then gets a short while to finish.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stop: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the page cannot be served");
            return;
        }
    };
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&free).try_acquire_owned() {
                Ok(permit) => converse(stream, router.clone(), permit, &graceful),
                Err(_) => refuse(stream),
            },
            Err(error) => {
                // Out of descriptors, usually: waiting lets some be closed, retrying at once would
                // spin.
                tracing::warn!(%error, "a connection to the page was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    drop(tokio::time::timeout(GRACE, graceful.shutdown()).await);
}

fn converse(
    stream: TcpStream,
    router: Router,
    permit: OwnedSemaphorePermit,
    graceful: &GracefulShutdown,
) {
    // Without it a small answer would wait for the acknowledgement of the one before. Slower, not
    // wrong.
    drop(stream.set_nodelay(true));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the page broke");
        }
        drop(permit);
    });
}

/// One packet into an empty send buffer, without waiting; if even that fails, closing says it too.
/// Through std, because tokio writes only after its reactor has seen the new socket.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        drop(stream.write(BUSY));
    }
}

/// A page needs about eight; this is for several pages, scrapers and scripts.
const MAX_CONNECTIONS: usize = 64;
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    All connections are taken; close a page or wait for a scraper to finish.\n";
/// Also how long an idle connection is kept.
const HEADER_TIME: Duration = Duration::from_secs(20);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Streams end by themselves as soon as nobody draws; this is for clients that do not read.
const GRACE: Duration = Duration::from_millis(500);
