//! Answers in the shapes of Prometheus' HTTP API.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
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
fn sample(ts: i64, value: f64) -> Json {
    if ts % 1_000 == 0 {
        json!([ts / 1_000, number(value)])
    } else {
        json!([ts as f64 / 1_000.0, number(value)])
    }
}

pub(super) fn success(data: &Json) -> Response {
    json_response(StatusCode::OK, &json!({"status": "success", "data": data}))
}

/// What an expression comes to at one instant.
pub(super) fn instant(value: Value, ts: i64) -> Json {
    match value {
        Value::Scalar(value) => json!({"resultType": "scalar", "result": sample(ts, value)}),
        Value::Text(text) => {
            let mut result = sample(ts, 0.0);
            result[1] = text.into();
            json!({"resultType": "string", "result": result})
        }
        Value::Vector(elements) => {
            let result: Vec<Json> = elements
                .iter()
                .map(|Element { labels, value }| {
                    json!({"metric": labels.to_json(), "value": sample(ts, *value)})
                })
                .collect();
            json!({"resultType": "vector", "result": result})
        }
        Value::Matrix(series, _) => matrix(series),
    }
}

/// Series, by their labels.
pub(super) fn matrix(mut series: Vec<(Labels, Samples)>) -> Json {
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let result: Vec<Json> = series
        .iter()
        .map(|(labels, samples)| {
            let values: Vec<Json> = samples
                .iter()
                .map(|(ts, value)| sample(*ts, *value))
                .collect();
            json!({"metric": labels.to_json(), "values": values})
        })
        .collect();
    json!({"resultType": "matrix", "result": result})
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
        json_response(status, &body)
    }
}

fn json_response(status: StatusCode, body: &Json) -> Response {
    let typed = [(CONTENT_TYPE, "application/json")];
    (status, typed, body.to_string()).into_response()
}
