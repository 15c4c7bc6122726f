//! Errors as `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use marketlake_lake::LakeError;
use serde_json::{Value, json};

/// An error as the caller sees it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
    /// The parameter or metric that it is about.
    about: Option<(&'static str, String)>,
}

impl Problem {
    pub(crate) fn bad_parameter(name: &str, detail: &str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            title: "Bad parameter",
            detail: format!("{name}: {detail}"),
            about: Some(("parameter", name.to_owned())),
        }
    }

    /// What cannot happen, and is logged where it does.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            title: "Internal error",
            detail: "the server's log says what went wrong".to_owned(),
            about: None,
        }
    }

    pub(crate) fn unknown_metric(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            title: "Unknown metric",
            detail: format!(
                "no metric {name:?} was ever recorded; GET /v1/metrics lists those there are"
            ),
            about: Some(("metric", name.to_owned())),
        }
    }
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        tracing::error!(%error, "request failed");
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "The lake cannot be read",
            detail: "the lake cannot be read at the moment; the server's log says why".to_owned(),
            about: None,
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
        let typed = [(CONTENT_TYPE, "application/problem+json")];
        (self.status, typed, Json(body).into_response().into_body()).into_response()
    }
}

/// Every route that there is not.
pub(crate) async fn not_found(uri: Uri) -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        title: "No such route",
        detail: format!("there is nothing at {}", uri.path()),
        about: None,
    }
}
