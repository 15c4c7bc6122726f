//! HTTP responses of GraphQL requests: status and headers.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use marketlake_http::limits::rate_limiter::Budget;

use super::negotiate::ResponseFormat;
use super::request::Rejected;
use super::request_error::RequestError;

/// Response with a body and the headers of every answer.
pub(super) fn respond(
    form: ResponseFormat,
    status: StatusCode,
    body: Vec<u8>,
    budget: Option<Budget>,
) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(budget) = budget {
        budget.write_headers(headers);
    }
    response
}

/// Response to a request that is not executed.
pub(super) fn refused(form: ResponseFormat, wrong: &Rejected) -> Response {
    // A client that wants events reads no application/graphql-response+json.
    let form = if form == ResponseFormat::Events {
        ResponseFormat::Json
    } else {
        form
    };
    let error = &wrong.error;
    let status = if form == ResponseFormat::Json && error.is_of_document {
        StatusCode::OK
    } else {
        error.status
    };
    let body = format!("{{\"errors\":{}}}", error.errors());
    let mut response = respond(form, status, body.into_bytes(), wrong.budget);
    if error.status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allowed);
    }
    if let Some(rate_limited) = &wrong.rate_limited {
        rate_limited.write_headers(response.headers_mut());
    }
    response
}

/// Response where no acceptable media type is supported.
pub(super) fn not_acceptable() -> Response {
    let message = "accept: expected application/graphql-response+json, application/json or \
        text/event-stream among the media types";
    let error = RequestError::new(StatusCode::NOT_ACCEPTABLE, "NOT_ACCEPTABLE", message);
    refused(ResponseFormat::Json, &Rejected::of(error))
}
