//! Pages of rows: `{"data":[..],"next":..}`, with a `Link` to the next one.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use marketlake_entities::{Exact, Minute};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cursor;

#[derive(Serialize)]
struct Page<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// Answers with rows; `next` is the place behind which the next page begins, where there is one.
pub(super) fn page<T: Serialize>(uri: &Uri, data: Vec<T>, next: Option<&str>) -> Response {
    let next = next.map(cursor::encode);
    let link = next.as_ref().map(|cursor| link_to(uri, cursor));
    linked(Json(Page { data, next }).into_response(), link)
}

/// The same of rows that are JSON already, with commas between.
pub(super) fn rendered_page(uri: &Uri, rows: &str, next: Option<&str>) -> Response {
    let next = next.map(cursor::encode);
    let link = next.as_ref().map(|cursor| link_to(uri, cursor));
    let mut body = String::with_capacity(rows.len() + 100);
    body.push_str("{\"data\":[");
    body.push_str(rows);
    body.push_str("],\"next\":");
    // A cursor has no character that JSON escapes.
    match &next {
        Some(cursor) => body.extend(["\"", cursor, "\""]),
        None => body.push_str("null"),
    }
    body.push('}');
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    linked(([json], body).into_response(), link)
}

fn linked(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// Answers with the first rows; each item gives its minute, behind which a next page begins, and its row.
pub(super) fn limited<I, T: Serialize>(
    uri: &Uri,
    mut items: Vec<I>,
    limit: usize,
    row: impl Fn(&I) -> (Minute, T),
) -> Response {
    let more = items.len() > limit;
    items.truncate(limit);
    let (minutes, data): (Vec<Minute>, Vec<T>) = items.iter().map(row).unzip();
    let next = minutes.last().filter(|_| more).map(ToString::to_string);
    page(uri, data, next.as_deref())
}

fn link_to(uri: &Uri, cursor: &str) -> String {
    let others = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = others
        .map(str::to_owned)
        .chain([format!("cursor={cursor}")])
        .collect();
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}

/// Marks an answer that holds made-up values, whatever its shape has room for.
pub(super) fn marked(mut response: Response, simulated: bool) -> Response {
    if simulated {
        response
            .headers_mut()
            .insert("marketlake-simulated", HeaderValue::from_static("true"));
    }
    response
}

/// A JSON number with exactly the value's digits.
pub(super) fn number(value: Exact) -> Box<RawValue> {
    // Plain decimal text is a JSON number; the fallback cannot be reached.
    RawValue::from_string(value.to_string()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
