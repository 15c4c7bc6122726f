//! GraphQL over SSE, distinct connections: one event `next` a result, one event `complete` at the end. A query and a mutation have one result.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};

use super::envelope::Asked;
use super::meter::tidy;
use super::refusal::Refusal;
use super::run::{Endpoint, Origin, Refused, to_json};
use crate::caller::Caller;
use crate::limits::charge_rest;

/// Silence after which a comment shows that the stream is alive.
const SILENCE: Duration = Duration::from_secs(15);

/// Answers with events.
pub(super) async fn stream(
    endpoint: &Arc<Endpoint>,
    asked: Asked,
    caller: &Caller,
    origin: &Origin,
) -> Result<Response, Refused> {
    let ready = endpoint.prepare(asked, caller, origin).await?;
    let Ok(permit) = Arc::clone(&endpoint.live).try_acquire_owned() else {
        let message = "as many streams are open as there may be; try again later";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Refused::of(Refusal::new(status, "OVERLOADED", message)));
    };
    let (rate, caller) = (Arc::clone(&endpoint.rate), caller.clone());
    let (complexity, budget) = (ready.complexity, ready.budget);
    let mut is_first = true;
    let results = endpoint.schema.execute_stream(ready.request);
    let next = results.map(move |mut response| {
        // Kept for as long as the stream is.
        let _ = &permit;
        if std::mem::take(&mut is_first) {
            charge_rest(&rate, &caller, budget, complexity.points() - 1);
        }
        tidy(&mut response);
        event("next", &to_json(&response))
    });
    let stopped = endpoint.stop.clone().cancelled_owned();
    let events = next
        .take_until(stopped)
        .chain(stream::once(async { event("complete", "") }));
    Ok(respond(events))
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let alive = KeepAlive::new().interval(SILENCE).text("");
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Proxies that hold answers back would hold these back for ever.
    let headers = response.headers_mut();
    headers.insert(
        "x-accel-buffering",
        axum::http::HeaderValue::from_static("no"),
    );
    response
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is what a stream of events consists of"
)]
fn event(kind: &str, data: &str) -> Result<Event, Infallible> {
    Ok(Event::default().event(kind).data(data))
}
