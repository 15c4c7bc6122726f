//! Settings' values as text.

use figment::value::Value;
use marketlake_common::redact_url;

/// Formats a value.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => redact_url(text),
        Value::Bool(_, it) => it.to_string(),
        Value::Char(_, it) => it.to_string(),
        Value::Num(_, it) => {
            let whole = it.to_i128().map(|number| number.to_string());
            let whole = whole.or_else(|| it.to_u128().map(|number| number.to_string()));
            let number = whole.or_else(|| it.to_f64().map(|number| number.to_string()));
            number.unwrap_or_default()
        }
        Value::Array(..) => "[]".to_owned(),
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}
