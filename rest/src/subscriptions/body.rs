//! Bodies of requests: JSON objects, and errors that name the field.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use marketlake_common::{excerpt, excerpt_message, one_of, plain_type};
use marketlake_http::problem::Problem;

/// Reads a body.
///
/// # Errors
/// Status 415, 400 or 413 if it is not JSON or too long; 422 with the field if a field is wrong.
pub(super) fn read<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body)
        .map_err(|rejection| match &rejection {
            JsonRejection::JsonDataError(_) => wrong_field(&rejection.body_text()),
            _ => {
                let (status, detail) = (rejection.status(), rejection.body_text());
                Problem::new(status, "Bad body", excerpt_message(&detail))
            }
        })
}

/// The problem of an error of serde: `[path: ]reason at line 1 column 2`.
fn wrong_field(text: &str) -> Problem {
    let (_, text) = text.split_once("target type: ").unwrap_or(("", text));
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    let starts = [
        "invalid ",
        "unknown field ",
        "missing field ",
        "duplicate field ",
        "data did",
    ];
    let at = starts.iter().filter_map(|start| text.find(start)).min();
    let (path, reason) = text.split_at(at.unwrap_or(0));
    let path = path.trim_end_matches(": ").trim_start_matches('.');
    let (field, message) = match named(reason) {
        Some((named, message)) => (named, message),
        None if path.is_empty() => ("body", in_words(reason)),
        None => (path, in_words(reason)),
    };
    let field = excerpt(field).into_owned();
    let message = excerpt_message(&message).into_owned();
    Problem::fields(vec![(field, message, "INVALID")])
}

/// The field that a reason names itself, and what is wrong with it.
fn named(reason: &str) -> Option<(&str, String)> {
    let mut parts = reason.split('`');
    let (kind, field) = (parts.next()?, parts.next()?);
    let message = match kind {
        "unknown field " => {
            let known: Vec<&str> = parts.skip(1).step_by(2).collect();
            format!("unknown, expected {}", one_of(&known))
        }
        "missing field " => "expected a value, got none".to_owned(),
        "duplicate field " => "expected the field once, got it twice".to_owned(),
        _ => return None,
    };
    Some((field, message))
}

/// `invalid type: floating point `1.5`, expected i64` as `expected a whole number, got 1.5`.
fn in_words(reason: &str) -> String {
    if reason.starts_with("data did") {
        return "expected a number, or a text with its digits".to_owned();
    }
    let Some((got, expected)) = reason.rsplit_once(", expected ") else {
        return reason.to_owned();
    };
    let got = match got.split_once(": ").map_or(got, |(_, got)| got) {
        "map" => "an object",
        "sequence" => "a list",
        // Of an object only: a list stands in its place.
        got if got.starts_with("invalid length") => "a list",
        got => got,
    };
    let got = match got.split('`').nth(1) {
        Some(value) => value.to_owned(),
        None => got.trim_start_matches("string ").to_owned(),
    };
    format!("expected {}, got {got}", plain_type(expected, "an object"))
}
