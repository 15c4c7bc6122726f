//! Requests on their way to the executor, and the errors of those that are not executed.

use async_graphql::Request;
use axum::http::{HeaderMap, Method};
use marketlake_http::idempotency::{IdempotencyKey, MAX_KEY_LEN, check_key};
use marketlake_http::limits::rate_limiter::{Budget, RateLimited};

use super::document::DocumentStats;
use super::request_error::RequestError;

/// Method and idempotency key of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestMeta {
    pub(super) method: Method,
    pub(super) idempotency_key: IdempotencyKey,
}

/// A request that was not executed.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) error: RequestError,
    pub(super) rate_limited: Option<RateLimited>,
    /// Points that are left, where some were taken.
    pub(super) budget: Option<Budget>,
}

impl Rejected {
    pub(super) fn of(error: RequestError) -> Self {
        Self {
            error,
            rate_limited: None,
            budget: None,
        }
    }

    /// The same after points were taken.
    pub(super) fn charged(error: RequestError, budget: Option<Budget>) -> Self {
        Self {
            budget,
            ..Self::of(error)
        }
    }
}

/// A request that may be executed.
pub(super) struct PreparedRequest {
    pub(super) request: Request,
    pub(super) stats: DocumentStats,
    pub(super) budget: Option<Budget>,
    /// Points of the request itself.
    pub(super) points: u32,
    pub(super) question: String,
}

impl RequestMeta {
    pub(super) fn of(method: Method, headers: &HeaderMap) -> Result<Self, RequestError> {
        let key = match headers.get("idempotency-key") {
            None => None,
            Some(value) => Some(check_key(value.as_bytes()).ok_or_else(|| {
                let message = format!(
                    "Idempotency-Key: expected 1 to {MAX_KEY_LEN} visible characters of ASCII"
                );
                RequestError::bad_request(message)
            })?),
        };
        Ok(Self {
            method,
            idempotency_key: IdempotencyKey(key),
        })
    }

    /// Over a WebSocket, which a foreign page cannot open.
    pub(super) fn of_socket() -> Self {
        Self {
            method: Method::POST,
            idempotency_key: IdempotencyKey(None),
        }
    }
}
