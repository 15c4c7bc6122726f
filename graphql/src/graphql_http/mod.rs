//! GraphQL over HTTP (the specification's draft of 2025): queries by POST or GET; mutations by POST with `application/json` only, so that no
//! foreign page can send one without a preflight; subscriptions as events (GraphQL over SSE, distinct connections), as `multipart/mixed`, or
//! over a WebSocket ([`websocket`]).

mod body;
mod document;
mod envelope;
mod events;
mod idempotency;
mod introspection;
mod meter;
pub(crate) mod multipart;
mod negotiate;
mod persisted;
mod prepare;
mod refusal;
mod run;
mod streams;
pub(crate) mod websocket;

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::caller::Caller;
use crate::limits::{Budget, points_of_bytes};
use envelope::{Asked, Envelope, InAddress};
pub(crate) use idempotency::{IdempotencyKey, check_key};
pub(crate) use meter::Meter;
use negotiate::{Form, negotiate};
use prepare::{Origin, Refused};
use refusal::Refusal;
use run::Ran;
pub(crate) use run::{Endpoint, Parts};

/// `POST /graphql`.
pub(crate) async fn post(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let parts = multipart::is_wanted(&headers);
    let form = if parts {
        Some(Form::Json)
    } else {
        negotiate(&headers)
    };
    let Some(form) = form else {
        return not_acceptable();
    };
    let refuse = |refusal| refused(form, &Refused::of(refusal));
    if let Err(refusal) = check_content_type(&headers) {
        return refuse(refusal);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let (status, text) = (rejection.status(), rejection.body_text());
            return refuse(Refusal::new(status, "BAD_REQUEST", text));
        }
    };
    let origin = match Origin::of(Method::POST, &headers) {
        Ok(origin) => origin,
        Err(refusal) => return refuse(refusal),
    };
    let points = points_of_bytes(body.len() as u64);
    let budget = match points {
        0 => None,
        points => match endpoint.take(&caller, points) {
            Ok(budget) => budget,
            Err(wrong) => return refused(form, &wrong),
        },
    };
    if parts {
        let answered = multipart::stream(&endpoint, body, &caller, &origin).await;
        return answered.unwrap_or_else(|wrong| refused(form, &wrong));
    }
    match Envelope::of_body(&body, endpoint.most_batch) {
        Err(refusal) => refused(form, &Refused::charged(refusal, budget)),
        Ok(Envelope::Batch(asked)) => batch(&endpoint, form, asked, &caller, &origin).await,
        Ok(Envelope::One(asked)) => {
            let asked = Asked { points, ..asked };
            one(&endpoint, form, asked, &caller, &origin).await
        }
    }
}

/// `GET /graphql?query=..`.
pub(crate) async fn get(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    address: Result<Query<InAddress>, QueryRejection>,
) -> Response {
    let Some(form) = negotiate(&headers) else {
        return not_acceptable();
    };
    let asked = address
        .map_err(|rejection| Refusal::bad_request(rejection.body_text()))
        .and_then(|Query(address)| Asked::of_address(address));
    let ready = asked.and_then(|asked| Ok((asked, Origin::of(Method::GET, &headers)?)));
    match ready {
        Ok((asked, origin)) => one(&endpoint, form, asked, &caller, &origin).await,
        Err(refusal) => refused(form, &Refused::of(refusal)),
    }
}

async fn one(
    endpoint: &Arc<Endpoint>,
    form: Form,
    asked: Asked,
    caller: &Caller,
    origin: &Origin,
) -> Response {
    if form == Form::Events {
        return match events::stream(endpoint, asked, caller, origin).await {
            Ok(response) => response,
            Err(wrong) => refused(form, &wrong),
        };
    }
    match endpoint.run(asked, caller, origin).await {
        Ok(ran) => {
            let status = status(form, &ran);
            let body = endpoint.body(&ran).await;
            respond(form, status, body, ran.budget)
        }
        Err(wrong) => refused(form, &wrong),
    }
}

/// One after the other, so that a batch takes no more at once than a request.
async fn batch(
    endpoint: &Arc<Endpoint>,
    form: Form,
    all: Vec<Asked>,
    caller: &Caller,
    origin: &Origin,
) -> Response {
    let (mut bodies, mut budget) = (Vec::with_capacity(all.len()), None);
    let mut bytes = 0;
    for asked in all {
        match endpoint.run(asked, caller, origin).await {
            Ok(ran) => {
                budget = ran.budget;
                let body = endpoint.body(&ran).await;
                bytes += body.len();
                if let Err(error) = endpoint.max_bytes.check(bytes) {
                    let refusal = Refusal::of_document("TOO_LARGE", error.to_string());
                    return refused(form, &Refused::of(refusal));
                }
                bodies.push(body);
            }
            Err(wrong) => bodies.push(format!("{{\"errors\":{}}}", wrong.refusal.errors())),
        }
    }
    let body = format!("[{}]", bodies.join(","));
    respond(form, StatusCode::OK, body, budget)
}

/// A request that was not executed is a bad one for those who read statuses.
fn status(form: Form, ran: &Ran) -> StatusCode {
    if form == Form::ResponseJson && !ran.answer.was_executed {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}

fn respond(form: Form, status: StatusCode, body: String, budget: Option<Budget>) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(budget) = budget {
        budget.tell(headers);
    }
    response
}

fn refused(form: Form, wrong: &Refused) -> Response {
    // Who wanted events reads no JSON of the new kind.
    let form = if form == Form::Events {
        Form::Json
    } else {
        form
    };
    let refusal = &wrong.refusal;
    let status = if form == Form::Json && refusal.is_of_document {
        StatusCode::OK
    } else {
        refusal.status
    };
    let body = format!("{{\"errors\":{}}}", refusal.errors());
    let mut response = respond(form, status, body, wrong.budget);
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allowed);
    }
    if let Some(emptied) = &wrong.emptied {
        emptied.tell(response.headers_mut());
    }
    response
}

fn not_acceptable() -> Response {
    let message = "accept: expected application/graphql-response+json, application/json or text/event-stream among the media types";
    let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message);
    refused(Form::Json, &Refused::of(refusal))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
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
    Err(Refusal::new(status, "UNSUPPORTED_MEDIA_TYPE", message))
}
