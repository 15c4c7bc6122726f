//! Says no at once to what would only wait.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tokio::sync::Semaphore;

use super::size::SendBuffers;
use crate::rest::Problem;

/// Room for requests that run, and for responses that are sent.
#[derive(Clone)]
pub(crate) struct Room {
    /// One a request. The server reads a request's body before it comes here, so that no permit
    /// waits for a client.
    pub(crate) permits: Arc<Semaphore>,
    buffers: SendBuffers,
}

impl Room {
    /// For so many requests at once.
    pub(crate) fn new(max_requests: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_requests)),
            buffers: SendBuffers::new(),
        }
    }
}

/// Lets so many requests run at once as there are permits; the rest are told to come back in a second.
pub(crate) async fn shed(State(room): State<Room>, request: Request, next: Next) -> Response {
    let Ok(_permit) = room.permits.try_acquire() else {
        return overloaded();
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    histogram!("marketlake_http_request_duration_seconds").record(begun.elapsed());
    room.buffers.hold(response).unwrap_or_else(overloaded)
}

fn overloaded() -> Response {
    counter!("marketlake_http_requests_shed_total").increment(1);
    Problem::overloaded().into_response()
}
