//! Responses in the shapes of Prometheus' HTTP API.

use std::fmt::{self, Write};

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use marketlake_http::limits::response_size::{BoundedBuffer, MaxBytes};
use serde_json::{Value as Json, json};

use super::labels::Labels;
use super::value::{Element, PromError, Samples, Value};

/// A number as Prometheus writes it.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds with three digits behind the point"
)]
fn sample(text: &mut BoundedBuffer, ts: i64, value: &str) -> fmt::Result {
    let value = Json::from(value);
    if ts % 1_000 == 0 {
        write!(text, "[{},{value}]", ts / 1_000)
    } else {
        write!(text, "[{},{value}]", Json::from(ts as f64 / 1_000.0))
    }
}

pub(super) fn success(data: &Json, max: MaxBytes) -> Result<Response, PromError> {
    written(max, |text| write!(text, "{data}"))
}

/// Value of an expression at one instant.
pub(super) fn instant(value: Value, ts: i64, max: MaxBytes) -> Result<Response, PromError> {
    let one = |kind: &str, value: &str| {
        written(max, |text| {
            write!(text, "{{\"resultType\":\"{kind}\",\"result\":")?;
            sample(text, ts, value)?;
            text.write_char('}')
        })
    };
    match value {
        Value::Scalar(value) => one("scalar", &number(value)),
        Value::Text(value) => one("string", &value),
        Value::Vector(elements) => written(max, |text| {
            text.write_str("{\"resultType\":\"vector\",\"result\":[")?;
            for (index, Element { labels, value }) in elements.iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                write!(text, "{comma}{{\"metric\":{},\"value\":", labels.to_json())?;
                sample(text, ts, &number(*value))?;
                text.write_char('}')?;
            }
            text.write_str("]}")
        }),
        Value::Matrix(series, _) => matrix(series, max),
    }
}

/// Series, by their labels.
pub(super) fn matrix(
    mut series: Vec<(Labels, Samples)>,
    max: MaxBytes,
) -> Result<Response, PromError> {
    series.sort_by(|a, b| a.0.cmp(&b.0));
    written(max, |text| {
        text.write_str("{\"resultType\":\"matrix\",\"result\":[")?;
        for (index, (labels, samples)) in series.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(
                text,
                "{comma}{{\"metric\":{},\"values\":[",
                labels.to_json()
            )?;
            for (index, (ts, value)) in samples.iter().enumerate() {
                if index > 0 {
                    text.write_char(',')?;
                }
                sample(text, *ts, &number(*value))?;
            }
            text.write_str("]}")?;
        }
        text.write_str("]}")
    })
}

/// A successful response, up to a maximum of bytes.
fn written(
    max: MaxBytes,
    write: impl FnOnce(&mut BoundedBuffer) -> fmt::Result,
) -> Result<Response, PromError> {
    let mut text = max.buffer(1 << 10);
    let whole = |text: &mut BoundedBuffer| {
        text.write_str("{\"status\":\"success\",\"data\":")?;
        write(text)?;
        text.write_char('}')
    };
    whole(&mut text).map_err(|_| PromError::Execution(max.exceeded().to_string()))?;
    let typed = [(CONTENT_TYPE, "application/json")];
    Ok((StatusCode::OK, typed, text.into_bytes()).into_response())
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let (status, kind) = match &self {
            Self::BadData(_) => (StatusCode::BAD_REQUEST, "bad_data"),
            Self::Execution(_) => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            Self::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let body = json!({"status": "error", "errorType": kind, "error": self.to_string()});
        let typed = [(CONTENT_TYPE, "application/json")];
        (status, typed, body.to_string()).into_response()
    }
}
