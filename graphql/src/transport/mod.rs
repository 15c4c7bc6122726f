//! GraphQL over HTTP (the specification's draft of 2025): queries by POST or GET; mutations by POST
//! with `application/json` only, so that no foreign page can send one without a preflight;
//! subscriptions as events (GraphQL over SSE, distinct connections), as `multipart/mixed`, or over
//! a WebSocket ([`websocket`]).

mod analyzed;
mod body;
mod document;
mod envelope;
mod events;
pub(crate) mod executor;
mod introspection;
mod multipart;
mod negotiate;
mod persisted;
mod prepare;
mod request;
mod request_error;
mod response;
mod streams;
pub(crate) mod websocket;

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use envelope::{Envelope, GraphqlRequest, QueryParams};
use executor::{Executed, Executor};
use marketlake_http::caller::Caller;
use marketlake_http::limits::response_size::points_for_bytes;
use negotiate::{ResponseFormat, negotiate};
use request::{Rejected, RequestMeta};
use request_error::RequestError;
use response::{not_acceptable, refused, respond};

/// `POST /graphql`.
pub(crate) async fn post(
    State(executor): State<Arc<Executor>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let parts = multipart::is_wanted(&headers);
    let form = if parts {
        Some(ResponseFormat::Json)
    } else {
        negotiate(&headers)
    };
    let Some(form) = form else {
        return not_acceptable();
    };
    let refuse = |error| refused(form, &Rejected::of(error));
    if let Err(error) = check_content_type(&headers) {
        return refuse(error);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let (status, text) = (rejection.status(), rejection.body_text());
            return refuse(RequestError::new(status, "BAD_REQUEST", text));
        }
    };
    let meta = match RequestMeta::of(Method::POST, &headers) {
        Ok(meta) => meta,
        Err(error) => return refuse(error),
    };
    let points = points_for_bytes(body.len() as u64);
    let budget = match points {
        0 => None,
        points => match executor.take(&caller, points) {
            Ok(budget) => budget,
            Err(wrong) => return refused(form, &wrong),
        },
    };
    if parts {
        let answered = multipart::stream(&executor, body, &caller, &meta).await;
        return answered.unwrap_or_else(|wrong| refused(form, &wrong));
    }
    match Envelope::of_body(&body, executor.max_batch) {
        Err(error) => refused(form, &Rejected::charged(error, budget)),
        Ok(Envelope::Batch(request)) => batch(&executor, form, request, &caller, &meta).await,
        Ok(Envelope::One(request)) => {
            let request = GraphqlRequest { points, ..request };
            one(&executor, form, request, &caller, &meta).await
        }
    }
}

/// `GET /graphql?query=..`.
pub(crate) async fn get(
    State(executor): State<Arc<Executor>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    address: Result<Query<QueryParams>, QueryRejection>,
) -> Response {
    let Some(form) = negotiate(&headers) else {
        return not_acceptable();
    };
    let request = address
        .map_err(|rejection| RequestError::bad_request(rejection.body_text()))
        .and_then(|Query(address)| GraphqlRequest::from_query(address));
    let ready = request.and_then(|request| Ok((request, RequestMeta::of(Method::GET, &headers)?)));
    match ready {
        Ok((request, meta)) => one(&executor, form, request, &caller, &meta).await,
        Err(error) => refused(form, &Rejected::of(error)),
    }
}

async fn one(
    executor: &Arc<Executor>,
    form: ResponseFormat,
    request: GraphqlRequest,
    caller: &Caller,
    meta: &RequestMeta,
) -> Response {
    if form == ResponseFormat::Events {
        return match events::stream(executor, request, caller, meta).await {
            Ok(response) => response,
            Err(wrong) => refused(form, &wrong),
        };
    }
    match executor.run(request, caller, meta).await {
        Ok(ran) => {
            let status = status(form, &ran);
            let body = executor.body(&ran).await;
            respond(form, status, body, ran.budget)
        }
        Err(wrong) => refused(form, &wrong),
    }
}

/// One after the other, so that a batch takes no more at once than a request.
async fn batch(
    executor: &Arc<Executor>,
    form: ResponseFormat,
    all: Vec<GraphqlRequest>,
    caller: &Caller,
    meta: &RequestMeta,
) -> Response {
    let (mut bodies, mut budget) = (Vec::with_capacity(all.len()), None);
    let mut bytes = 0;
    for request in all {
        match executor.run(request, caller, meta).await {
            Ok(ran) => {
                budget = ran.budget;
                let body = executor.body(&ran).await;
                bytes += body.len();
                if let Err(error) = executor.max_bytes.check(bytes) {
                    let error = RequestError::of_document("TOO_LARGE", error.to_string());
                    return refused(form, &Rejected::of(error));
                }
                bodies.push(body);
            }
            Err(wrong) => {
                bodies.push(format!("{{\"errors\":{}}}", wrong.error.errors()).into_bytes());
            }
        }
    }
    let body = [b"[", &bodies.join(&b',')[..], b"]"].concat();
    respond(form, StatusCode::OK, body, budget)
}

/// A request that was not executed is a bad one for those who read statuses.
fn status(form: ResponseFormat, ran: &Executed) -> StatusCode {
    if form == ResponseFormat::ResponseJson && !ran.answer.was_executed {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), RequestError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    let utf8 = charset.is_none_or(|c| c.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if media_type.eq_ignore_ascii_case("application/json") && utf8 {
        return Ok(());
    }
    let shown: String = content_type.unwrap_or_default().chars().take(80).collect();
    let message = format!("expected the content type application/json, got {shown:?}");
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Err(RequestError::new(status, "UNSUPPORTED_MEDIA_TYPE", message))
}
