//! GraphQL over SSE, distinct connections: one event `next` a result, one event `complete` at the
//! end. A query and a mutation have one result.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use marketlake_http::caller::Caller;

use super::body::to_json;
use super::envelope::GraphqlRequest;
use super::executor::Executor;
use super::request::{Rejected, RequestMeta};

/// Silence after which a comment shows that the stream is alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Answers with events.
pub(super) async fn stream(
    executor: &Arc<Executor>,
    request: GraphqlRequest,
    caller: &Caller,
    meta: &RequestMeta,
) -> Result<Response, Rejected> {
    let results = executor.stream(request, caller, meta).await?;
    let (charged, caller) = (Arc::clone(executor), caller.clone());
    let events = results
        .map(move |response| {
            let json = to_json(&response, charged.max_bytes);
            charged.charge_bytes(&caller, json.len());
            event("next", &json)
        })
        .chain(stream::once(async { event("complete", "") }));
    Ok(respond(events))
}

fn respond(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let alive = KeepAlive::new().interval(KEEP_ALIVE_INTERVAL).text("");
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
