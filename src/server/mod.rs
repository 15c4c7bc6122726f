//! HTTP/1.1 server: accepts connections, bounds their number and how long they may take, and hands
//! whole requests to a router.
//!
//! - `limits`: the bounds, and the process's limit of open files.
//! - `connections`: admission: a maximum in all and per address; idle connections make room.
//! - `activity`: the phase of a connection and its deadline.
//! - `io`: a socket that reports what was read and written.
//! - `connection`: one connection from its first byte to its end.
//! - `request`: checks a request's head and reads its body before the router sees it.
//!
//! HTTP/2 is not answered: a connection that begins with its preface is closed, and `Upgrade: h2c`
//! is ignored.

mod activity;
mod connection;
mod connections;
mod io;
mod limits;
mod request;

use std::io::Error;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

pub(crate) use connections::Connections;
pub(crate) use limits::{ConnectionLimits, FileLimit, default_connections};

use connection::Connection;

/// Requests that run when the server is told to stop end within this time, or are dropped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
const DRAIN_POLL_INTERVAL: Duration = Duration::from_millis(10);
const INITIAL_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// Connections that are closed to free descriptors where none is left.
const EVICTED_AT_FILE_LIMIT: usize = 16;

/// Serves a router on a listener until `stop` is cancelled, then lets running requests end.
///
/// Each request has an extension `ConnectInfo<SocketAddr>`, exactly one `Host` header (HTTP/1.0: at
/// most one), a target that is a path, and a body that was read to its end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: std::sync::Arc<Connections>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let mut backoff = INITIAL_BACKOFF;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                backoff = INITIAL_BACKOFF;
                if let Some(slot) = connections.admit(peer.ip()) {
                    let connection = Connection::new(stream, peer, slot, router.clone());
                    tasks.spawn(connection.run(stop.clone()));
                }
            }
            Err(error) if is_of_peer(&error) => (),
            Err(error) => {
                let evicted = connections.evict_idle(EVICTED_AT_FILE_LIMIT);
                tracing::warn!(%error, evicted, "cannot accept a connection, trying again");
                sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
    drop(listener);
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let drained = timeout_at(deadline, async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
        // WebSockets are told to end by the router, and have left their tasks.
        while !connections.is_empty() {
            sleep(DRAIN_POLL_INTERVAL).await;
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "connections are closed before their requests ended"
        );
    }
    Ok(())
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended abnormally");
    }
}

/// Whether an error of `accept` is about the connection alone, and says nothing of the next one.
fn is_of_peer(error: &Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
