//! Errors as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use marketlake_alerts::AlertError;
use marketlake_common::excerpt;
use marketlake_entities::database::outage::with_cause;
use marketlake_lake::{AthenaError, LakeError};
use serde_json::{Value, json};

use crate::auth::error::AuthError;
use crate::auth::permissions::AccessDenied;
use crate::limits::response_size::ResponseTooLarge;
use crate::request_id::RequestId;

/// An error as the caller sees it.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    /// The parameter or metric that it is about.
    about: Option<(&'static str, String)>,
    /// The fields of the body that are wrong: field, message and code.
    fields: Vec<(String, String, &'static str)>,
}

impl Problem {
    /// Status 400: a parameter cannot be used.
    #[must_use]
    pub fn bad_parameter(name: &str, detail: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "Bad parameter",
            detail: format!("{}: {detail}", excerpt(name)),
            about: Some(("parameter", excerpt(name).into_owned())),
            fields: Vec::new(),
        }
    }

    /// Status 500: an unexpected error, which is logged.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        let id = RequestId::current();
        let id = id.as_str();
        tracing::error!(id, %error, "request failed");
        let detail = format!("see the server's log for {id}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error", detail)
    }

    /// Response to a client that exceeds the rate limit.
    pub fn too_many_requests() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many requests",
            "the rate limit is exceeded; retry after the time in Retry-After",
        )
    }

    /// More runs at once than can.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Overloaded",
            "the server is overloaded; try again in a second",
        )
    }

    /// A request took longer than it may.
    pub fn timeout(max: Duration) -> Self {
        let detail = format!(
            "the request took longer than {} seconds; request less, or try again later",
            max.as_secs()
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Timeout", detail)
    }

    /// Something is allowed to others only.
    fn access_denied(denied: AccessDenied) -> Self {
        let (status, title) = match denied.code {
            "UNAUTHENTICATED" => (StatusCode::UNAUTHORIZED, "Authentication is required"),
            "UNAVAILABLE" => (StatusCode::SERVICE_UNAVAILABLE, "Keys cannot be checked"),
            _ => (StatusCode::FORBIDDEN, "Not allowed"),
        };
        Self::new(status, title, denied.message)
    }

    /// Fields of a body that cannot be used.
    pub fn fields(fields: Vec<(String, String, &'static str)>) -> Self {
        let lines = fields
            .iter()
            .map(|(field, message, _)| format!("{field}: {message}"));
        let detail = lines.collect::<Vec<_>>().join("; ");
        Self {
            fields,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Bad fields", detail)
        }
    }

    fn unreadable(error: &(dyn std::error::Error + 'static)) -> Self {
        let (id, error) = (RequestId::current(), with_cause(error));
        let id = id.as_str();
        tracing::error!(id, error, "request failed");
        let detail =
            format!("the lake cannot be read at the moment; see the server's log for {id}");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The lake cannot be read",
            detail,
        )
    }

    /// A problem that is about no parameter.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            about: None,
            fields: Vec::new(),
        }
    }

    /// Status 404: a metric was never recorded.
    #[must_use]
    pub fn unknown_metric(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Unknown metric",
            detail: format!(
                "no metric {:?} was ever recorded; GET /v1/metrics lists the known ones",
                excerpt(name)
            ),
            about: Some(("metric", excerpt(name).into_owned())),
            fields: Vec::new(),
        }
    }
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::Athena(error @ AthenaError::TooLarge { .. }) => {
                Self::bad_parameter("from", &error.to_string())
            }
            LakeError::Busy => Self::overloaded(),
            error => Self::unreadable(&error),
        }
    }
}

impl From<ResponseTooLarge> for Problem {
    fn from(error: ResponseTooLarge) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Response too large",
            error.to_string(),
        )
    }
}

impl From<AlertError> for Problem {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Samples(LakeError::Busy) => Self::overloaded(),
            error => Self::unreadable(&error),
        }
    }
}

impl From<AccessDenied> for Problem {
    fn from(denied: AccessDenied) -> Self {
        Self::access_denied(denied)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Refused(message) => Self::access_denied(AccessDenied {
                code: "UNAUTHENTICATED",
                message,
            }),
            AuthError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Keys cannot be checked",
                error.to_string(),
            ),
            AuthError::Unavailable(reason) => {
                tracing::error!(reason, "keys and tokens cannot be checked");
                let detail =
                    "keys and tokens cannot be checked at the moment; see the server's log";
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Keys cannot be checked",
                    detail,
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some((field, value)) = self.about {
            body[field] = Value::String(value);
        }
        if !self.fields.is_empty() {
            let errors = self.fields.into_iter().map(
                |(field, message, code)| json!({"field": field, "message": message, "code": code}),
            );
            body["errors"] = Value::Array(errors.collect());
        }
        let typed = [(CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, typed, body.to_string()).into_response();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let scheme = HeaderValue::from_static("Bearer realm=\"marketlake\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(RETRY_AFTER, 1.into());
            }
            _ => (),
        }
        response
    }
}

/// Fallback for unknown routes: status 404.
#[expect(clippy::unused_async, reason = "handlers of axum are async")]
pub async fn not_found(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", excerpt(uri.path()));
    Problem::new(StatusCode::NOT_FOUND, "No such route", detail)
}
