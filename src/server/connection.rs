//! One connection, from its first byte to its end.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use metrics::counter;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, CloseReason};
use super::connections::{Connections, Slot};
use super::io::Socket;
use super::request::RequestService;

/// Bytes of a request's line and headers.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
/// Bytes that are read ahead, and that are gathered before they are written.
const MAX_BUFFER_BYTES: usize = 128 << 10;

/// A connection that was let in.
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    router: Router,
}

/// Event that a connection's task waits for.
enum Step {
    Ended,
    Closed(CloseReason),
    Stop,
    Evict,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, slot: Slot, router: Router) -> Self {
        Self {
            stream,
            peer,
            slot,
            router,
        }
    }

    /// Serves requests until either side closes, a timeout expires, or the server stops.
    pub(super) async fn run(self, stop: CancellationToken) {
        let Self {
            stream,
            peer,
            slot,
            router,
        } = self;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::trace!(%error, "a connection ended before it began");
        }
        let activity = Arc::clone(slot.activity());
        let connections = Arc::clone(slot.connections());
        let service = RequestService::new(router, peer, &activity, &connections);
        let socket = TokioIo::new(Socket::new(stream, slot));
        let connection = http1::Builder::new()
            // Without a timer hyper has no timeout, which would count idle time as the headers'.
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(socket, service)
            .with_upgrades();
        drive(connection, &activity, &connections, &stop).await;
    }
}

async fn drive(
    connection: http1::UpgradeableConnection<TokioIo<Socket>, RequestService>,
    activity: &Activity,
    connections: &Connections,
    stop: &CancellationToken,
) {
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(
        Instant::now() + connections.limits().header_timeout
    ));
    let mut is_stopping = false;
    loop {
        let step = poll_fn(|context| {
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(Step::Ended);
            }
            loop {
                let Some((deadline, reason)) = activity.deadline(connections.limits()) else {
                    return Poll::Pending;
                };
                // A deadline that moved away is looked at when the timer ends.
                if deadline < timer.deadline() || timer.is_elapsed() {
                    if deadline <= Instant::now() {
                        return Poll::Ready(Step::Closed(reason));
                    }
                    timer.as_mut().reset(deadline);
                }
                ready!(timer.as_mut().poll(context));
            }
        });
        let step = tokio::select! {
            biased;
            step = step => step,
            () = activity.eviction() => Step::Evict,
            () = stop.cancelled(), if !is_stopping => Step::Stop,
        };
        match step {
            Step::Ended => return activity.upgraded(),
            Step::Closed(reason) => return closed(reason),
            Step::Evict if activity.is_evicted() => return closed(CloseReason::Evicted),
            Step::Evict => (),
            Step::Stop => {
                is_stopping = true;
                activity.stop();
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn closed(reason: CloseReason) {
    counter!("marketlake_http_connections_closed_total", "reason" => reason.as_str()).increment(1);
}
