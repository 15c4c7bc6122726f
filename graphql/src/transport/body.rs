//! Responses as JSON, up to a maximum of bytes.

use std::io::{self, Write};
use std::time::Duration;

use async_graphql::{ErrorExtensionValues, Response, ServerError};
use bytes::Bytes;
use marketlake_http::limits::rate_limiter::Budget;
use marketlake_http::limits::response_size::{MaxBytes, ResponseTooLarge};
use marketlake_model::Millis;
use serde::Serialize;
use serde_json::{Value, json};

/// A response as JSON; what was not executed has no data, not even null. One that would be too
/// large is an error that says so.
pub(super) fn to_json(response: &Response, max: MaxBytes) -> String {
    // Serialised JSON is UTF-8.
    String::from_utf8(bytes(response, max)).unwrap_or_default()
}

/// The same without its last brace.
pub(super) fn head(response: &Response, max: MaxBytes) -> Bytes {
    let mut json = bytes(response, max);
    json.pop();
    json.into()
}

/// A response that another layer serialises, and its size; an error where it would be too large.
pub(super) fn bounded(response: Response, max: MaxBytes) -> (Response, usize) {
    let mut counter = Counter { bytes: 0, max };
    match serde_json::to_writer(&mut counter, &response) {
        Ok(()) => (response, counter.bytes),
        Err(_) => {
            let message = max.exceeded().to_string();
            (error("TOO_LARGE", message), counter.bytes)
        }
    }
}

/// The response where as many requests run as may.
pub(super) fn overloaded() -> Response {
    let message = "the server is overloaded; try again in a second";
    error("OVERLOADED", message.to_owned())
}

fn error(code: &str, message: String) -> Response {
    let mut error = ServerError::new(message, None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    error.extensions = Some(extensions);
    Response::from_errors(vec![error])
}

/// Counts bytes up to a limit.
struct Counter {
    bytes: usize,
    max: MaxBytes,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        self.max.check(self.bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn bytes(response: &Response, max: MaxBytes) -> Vec<u8> {
    let written = if was_executed(response) {
        write(response, max)
    } else {
        write(&json!({"errors": response.errors}), max)
    };
    written.unwrap_or_else(|error| {
        let errors = json!([{"message": error.to_string(), "extensions": {"code": "TOO_LARGE"}}]);
        json!({"data": null, "errors": errors})
            .to_string()
            .into_bytes()
    })
}

fn write(value: &impl Serialize, max: MaxBytes) -> Result<Vec<u8>, ResponseTooLarge> {
    let mut buffer = max.buffer(1 << 10);
    // Names, texts and numbers can always be written, where there is room.
    serde_json::to_writer(&mut buffer, value).map_err(|_| max.exceeded())?;
    Ok(buffer.into_bytes())
}

/// Whether a response is one of fields; else all that went wrong did so before.
pub(super) fn was_executed(response: &Response) -> bool {
    let has_no_data = response.data == async_graphql::Value::Null;
    !(response.is_err() && has_no_data && response.errors.iter().all(|e| e.path.is_empty()))
}

/// `extensions.cost`; who is not limited has nothing that remains.
pub(super) fn cost(points: u32, budget: Option<Budget>, now: Option<Millis>) -> String {
    let whole = |reset: Duration| now.map(|now| now.plus(reset).to_string());
    let remaining = Value::from(budget.map(|budget| budget.remaining));
    let reset_at = Value::from(budget.and_then(|budget| whole(budget.reset)));
    format!("{{\"requested\":{points},\"remaining\":{remaining},\"resetAt\":{reset_at}}}")
}
