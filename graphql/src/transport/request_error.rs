//! Errors of requests that are not executed.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A request that is not executed, and why.
#[derive(Clone, Debug)]
pub(crate) struct RequestError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The request itself is a good one: readers of plain JSON get such errors under status 200.
    pub(crate) is_of_document: bool,
}

impl RequestError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            is_of_document: false,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// A document that cannot be executed.
    pub(crate) fn of_document(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_of_document: true,
            ..Self::new(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// More than a document may hold.
    pub(crate) fn too_much(message: impl Into<String>) -> Self {
        Self::of_document("TOO_COMPLEX", message)
    }

    pub(crate) fn rate_limited() -> Self {
        let message = "the rate limit is exceeded; retry after the time in Retry-After";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message)
    }

    /// More runs at once than can.
    pub(crate) fn overloaded(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", message)
    }

    /// As a list of GraphQL errors.
    pub(crate) fn errors(&self) -> Value {
        json!([{"message": self.message, "extensions": {"code": self.code}}])
    }
}
