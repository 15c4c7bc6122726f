//! Subscriptions as `multipart/mixed`, as Apollo Client requests them over HTTP (multipart
//! subscription protocol, version 1.0). The parts are framed by async-graphql.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::ParseRequestError;
use async_graphql::http::{create_multipart_mixed_stream, is_accept_multipart_mixed};
use async_graphql_axum::GraphQLRequest;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use marketlake_http::caller::Caller;

use super::body::bounded;
use super::envelope::GraphqlRequest;
use super::executor::Executor;
use super::negotiate::ResponseFormat;
use super::request::{Rejected, RequestMeta};
use super::request_error::RequestError;
use super::response::refused;

/// Silence after which an empty part shows that the stream is alive.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Whether the client prefers such responses.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(is_accept_multipart_mixed)
}

/// Answers with parts.
pub(super) async fn stream(
    executor: &Arc<Executor>,
    body: Bytes,
    caller: &Caller,
    meta: &RequestMeta,
) -> Result<Response, Rejected> {
    let request = read(body).await.map_err(Rejected::of)?;
    let results = executor.stream(request, caller, meta).await?;
    let (charged, caller) = (Arc::clone(executor), caller.clone());
    let results = results.map(move |response| {
        let (response, bytes) = bounded(response, charged.max_bytes);
        charged.charge_bytes(&caller, bytes);
        response
    });
    let parts = create_multipart_mixed_stream(Box::pin(results), KEEP_ALIVE_INTERVAL);
    let parts = parts.map(Ok::<_, std::convert::Infallible>);
    let headers = [
        (
            CONTENT_TYPE,
            "multipart/mixed; boundary=graphql; subscriptionSpec=1.0",
        ),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}

/// Reads a body of JSON.
async fn read(body: Bytes) -> Result<GraphqlRequest, RequestError> {
    let request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body));
    let request = request.map_err(|error| RequestError::bad_request(error.to_string()))?;
    let read = GraphQLRequest::<RequestError>::from_request(request, &()).await?;
    GraphqlRequest::of_request(read.into_inner())
}

impl From<ParseRequestError> for RequestError {
    fn from(error: ParseRequestError) -> Self {
        Self::bad_request(format!("the body is no GraphQL request: {error}"))
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        refused(ResponseFormat::Json, &Rejected::of(self))
    }
}
