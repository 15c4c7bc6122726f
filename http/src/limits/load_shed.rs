//! Load shedding: refuses requests at once when too many run.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tokio::sync::Semaphore;

use super::response_size::SendBuffers;
use crate::problem::Problem;

/// Permits of requests that run, and memory of responses that are being sent.
#[derive(Clone)]
pub struct LoadShedder {
    /// One a request. The server reads a request's body before it comes here, so that no permit
    /// waits for a client.
    pub permits: Arc<Semaphore>,
    buffers: SendBuffers,
}

impl LoadShedder {
    /// Allows a maximum of concurrent requests.
    pub fn new(max_requests: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(max_requests)),
            buffers: SendBuffers::new(),
        }
    }
}

/// Runs as many requests as there are permits; the others get 503 with `Retry-After: 1`.
pub async fn shed_load(
    State(load_shedder): State<LoadShedder>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_permit) = load_shedder.permits.try_acquire() else {
        return overloaded();
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    histogram!("marketlake_http_request_duration_seconds").record(begun.elapsed());
    load_shedder
        .buffers
        .hold(response)
        .unwrap_or_else(overloaded)
}

fn overloaded() -> Response {
    counter!("marketlake_http_requests_shed_total").increment(1);
    Problem::overloaded().into_response()
}
