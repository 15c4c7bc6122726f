//! Negotiation of the response format (GraphQL over HTTP, "Media Types").

use axum::http::HeaderMap;
use marketlake_http::accept;

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseFormat {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    ResponseJson,
    /// `application/json`: as it always was.
    Json,
    /// `text/event-stream`: one event a result.
    Events,
}

impl ResponseFormat {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::ResponseJson => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Events => "text/event-stream",
        }
    }

    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/graphql-response+json" => Some(Self::ResponseJson),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/event-stream" => Some(Self::Events),
            _ => None,
        }
    }
}

/// Format that the client prefers; JSON without an `Accept` header, `None` if it accepts none.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<ResponseFormat> {
    accept::best(headers, ResponseFormat::Json, ResponseFormat::of)
}
