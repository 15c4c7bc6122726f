//! Request ids: each request has a log span with its id, and its response names the id in the
//! header `X-Request-Id`.
//!
//! A client or proxy may supply the id, by `X-Request-Id` or by the trace id of `traceparent`
//! ([W3C Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header)). An id of
//! another form is replaced: it may hold anything.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tokio::task_local;
use tracing::{Instrument, Span, error_span, field};
use uuid::Uuid;

task_local! {
    static CURRENT: RequestId;
}

/// Name of the header.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of an id that a client supplies.
const MAX_LEN: usize = 64;

/// Id of a request: 1 to 64 letters, digits, dots, hyphens and underscores. An extension of each
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Id that the client supplies, or else a new one.
    #[must_use]
    pub fn new(headers: &HeaderMap) -> Self {
        Self::supplied(headers).unwrap_or_else(Self::random)
    }

    fn supplied(headers: &HeaderMap) -> Option<Self> {
        let own = single(headers, "x-request-id").filter(|id| is_well_formed(id));
        let id = own.or_else(|| single(headers, "traceparent").and_then(trace_id))?;
        HeaderValue::from_str(id).ok().map(Self)
    }

    fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::now_v7().simple().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    /// Id of the request that this task belongs to; a new one outside of a request.
    #[must_use]
    pub fn current() -> Self {
        CURRENT
            .try_with(Clone::clone)
            .unwrap_or_else(|_| Self::random())
    }

    /// Lets a future that runs in a task of its own belong to this request, as long as it runs.
    pub fn inherit<F: Future>(future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(Self::current(), future)
    }

    /// The id as the value of [`X_REQUEST_ID`].
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Value of a header that occurs once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn is_well_formed(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_LEN).contains(&id.len()) && id.bytes().all(allowed)
}

/// Trace id of a `traceparent`: `version-trace_id-parent_id-flags`, 32 hexadecimal digits of which
/// one is not 0.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, len: usize| {
        let digits = text.bytes();
        text.len() == len
            && digits
                .into_iter()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_valid = is_hex(version, 2) && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let has_digit = |text: &str| text.bytes().any(|b| b != b'0');
    // A later version may append fields.
    let ends = version != "00" || parts.next().is_none();
    (is_valid && version != "ff" && has_digit(id) && has_digit(parent) && ends).then_some(id)
}

/// Gives a request its id and its log span, and the response the header.
pub(crate) async fn assign_request_id(mut request: Request, next: Next) -> Response {
    let id = RequestId::new(request.headers());
    let route = request.extensions().get::<MatchedPath>();
    // Of the highest level, so that lines have their span whatever the filter.
    let span = error_span!(
        "request",
        id = id.as_str(),
        method = %request.method(),
        route = route.map_or("none", MatchedPath::as_str),
        status = field::Empty,
        duration_ms = field::Empty,
    );
    request.extensions_mut().insert(id.clone());
    let respond = CURRENT.scope(id.clone(), respond(request, next));
    let mut response = respond.instrument(span).await;
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response
}

async fn respond(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let duration = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let span = Span::current();
    span.record("status", response.status().as_u16());
    span.record("duration_ms", duration);
    tracing::debug!("request completed");
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &'static str, value: &str) -> RequestId {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        headers.insert(name, value);
        RequestId::new(&headers)
    }

    #[test]
    fn a_well_formed_id_is_kept() {
        assert_eq!(id("x-request-id", "a.B_9-z").as_str(), "a.B_9-z");
        let long = "x".repeat(MAX_LEN);
        assert_eq!(id("x-request-id", &long).as_str(), long);
    }

    #[test]
    fn the_trace_id_of_a_traceparent_is_the_id() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let header = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(id("traceparent", &header).as_str(), trace);
    }

    #[test]
    fn an_id_of_another_form_is_replaced() {
        for bad in ["", "a b", "a\"b", "é", &"x".repeat(MAX_LEN + 1)] {
            let given = id("x-request-id", bad);
            assert_eq!(given.as_str().len(), 32, "{bad:?}: {given:?}");
        }
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-xx",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(!bad.contains(id("traceparent", bad).as_str()), "{bad}");
        }
    }

    #[test]
    fn an_id_that_is_given_twice_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.append("x-request-id", HeaderValue::from_static("one"));
        headers.append("x-request-id", HeaderValue::from_static("two"));
        assert_eq!(RequestId::new(&headers).as_str().len(), 32);
    }
}
