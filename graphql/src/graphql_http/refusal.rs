//! Why a request is not executed.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A request that is not executed, and why.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// More than a request may hold.
    pub(crate) fn too_much(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TOO_COMPLEX", message)
    }

    pub(crate) fn rate_limited() -> Self {
        let message =
            "the points of this minute are used up; Retry-After says when there are enough again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message)
    }

    /// As a list of GraphQL errors.
    pub(crate) fn errors(&self) -> Value {
        json!([{"message": self.message, "extensions": {"code": self.code}}])
    }
}
