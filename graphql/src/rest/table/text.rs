//! Tables as text. Numbers have exactly the digits that the exchange sent, trailing zeros aside.

use std::fmt::Write;

use serde_json::Value;

use super::{Column, Table, Values};

/// `{"data":[{..}],"next":..}`.
pub(super) fn rows(table: &Table, next: Option<&str>) -> Vec<u8> {
    let mut text = String::with_capacity(table.rows() * 96 + 64);
    text.push_str("{\"data\":[");
    for row in 0..table.rows() {
        if row > 0 {
            text.push(',');
        }
        object(&mut text, table, row);
    }
    text.push_str("],\"next\":");
    text.push_str(&Value::from(next).to_string());
    text.push('}');
    text.into_bytes()
}

/// An object a line.
pub(super) fn ndjson(table: &Table) -> Vec<u8> {
    let mut text = String::with_capacity(table.rows() * 96);
    for row in 0..table.rows() {
        object(&mut text, table, row);
        text.push('\n');
    }
    text.into_bytes()
}

/// What rows share, the columns' names, and an array for each, named in the plural.
pub(super) fn columns(table: &Table, next: Option<&str>) -> Vec<u8> {
    let own = || table.columns.iter().filter(|column| !column.is_shared);
    let mut text = String::with_capacity(table.rows() * 40 + 256);
    text.push('{');
    for (name, value) in &table.shared {
        let _ = write!(text, "{}:{value},", Value::from(*name));
    }
    let names: Vec<Value> = own().map(|column| column.name.into()).collect();
    let _ = write!(text, "\"columns\":{}", Value::Array(names));
    for column in own() {
        let _ = write!(text, ",\"{}\":[", plural(column.name));
        for row in 0..table.rows() {
            if row > 0 {
                text.push(',');
            }
            value(&mut text, column, row);
        }
        text.push(']');
    }
    if let Some(next) = next {
        let _ = write!(text, ",\"next\":{}", Value::from(next));
    }
    text.push('}');
    text.into_bytes()
}

/// RFC 4180, with a line of names.
pub(super) fn csv(table: &Table) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(table.rows() * 48));
    writer.write_record(table.columns.iter().map(|column| column.name))?;
    let mut field = String::new();
    for row in 0..table.rows() {
        for column in &table.columns {
            if let Values::Text(values) = &column.values {
                writer.write_field(&values[row])?;
                continue;
            }
            field.clear();
            value(&mut field, column, row);
            let plain = field.trim_matches('"');
            writer.write_field(if plain == "null" { "" } else { plain })?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?)
}

fn object(text: &mut String, table: &Table, row: usize) {
    text.push('{');
    for (index, column) in table.columns.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        let _ = write!(text, "\"{}\":", column.name);
        value(text, column, row);
    }
    text.push('}');
}

/// One value as JSON.
fn value(text: &mut String, column: &Column, row: usize) {
    let _ = match &column.values {
        Values::Text(values) => write!(text, "{}", Value::from(values[row].as_str())),
        Values::Time(values) => write!(text, "\"{}\"", values[row]),
        Values::Exact(values) | Values::Number(values) => write!(text, "{}", values[row]),
        Values::Float(values) => write!(text, "{}", Value::from(values[row])),
        Values::Count(values) => write!(text, "{}", values[row]),
    };
}

fn plural(name: &str) -> String {
    format!("{name}s")
}
