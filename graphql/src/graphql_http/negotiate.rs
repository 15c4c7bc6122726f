//! In which form a GraphQL answer goes out (GraphQL over HTTP, "Media Types").

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    ResponseJson,
    /// `application/json`: as it always was.
    Json,
    /// `text/event-stream`: one event a result.
    Events,
}

impl Form {
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

/// The form that is liked best of those that there are; `None` where none is acceptable. JSON where nothing is said.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Form> {
    let texts: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    if texts.is_empty() {
        return Some(Form::Json);
    }
    let mut best: Option<(f32, Form)> = None;
    for range in texts.iter().flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
        if let Some(form) = Form::of(&media_type)
            && weight > 0.0
            && best.is_none_or(|(most, _)| weight > most)
        {
            best = Some((weight, form));
        }
    }
    best.map(|(_, form)| form)
}
