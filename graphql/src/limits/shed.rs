//! Says no at once to what would only wait.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tokio::sync::Semaphore;

use crate::rest::Problem;

/// Lets so many requests run at once as there are permits; the rest are told to come back in a second.
pub(crate) async fn shed(
    State(permits): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_permit) = permits.try_acquire() else {
        counter!("marketlake_requests_shed_total").increment(1);
        return Problem::overloaded().into_response();
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    histogram!("marketlake_request_seconds").record(begun.elapsed());
    response
}
