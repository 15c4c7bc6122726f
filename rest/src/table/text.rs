//! Tables as text. Numbers have exactly the digits that the exchange sent, trailing zeros aside.

use std::fmt::{self, Write};

use marketlake_http::limits::response_size::{BoundedBuffer, MaxBytes, ResponseTooLarge};
use marketlake_http::problem::Problem;
use serde_json::Value;

use super::{Column, Table, Values};

/// `{"data":[{..}],"next":..}`.
pub(super) fn rows(
    table: &Table,
    max: MaxBytes,
    next: Option<&str>,
) -> Result<Vec<u8>, ResponseTooLarge> {
    let write = |text: &mut BoundedBuffer| {
        text.write_str("{\"data\":[")?;
        for row in 0..table.rows() {
            if row > 0 {
                text.write_char(',')?;
            }
            object(text, table, row)?;
        }
        write!(text, "],\"next\":{}}}", Value::from(next))
    };
    written(max, table.rows() * 96 + 64, write)
}

/// An object a line.
pub(super) fn ndjson(table: &Table, max: MaxBytes) -> Result<Vec<u8>, ResponseTooLarge> {
    let write = |text: &mut BoundedBuffer| {
        for row in 0..table.rows() {
            object(text, table, row)?;
            text.write_char('\n')?;
        }
        Ok(())
    };
    written(max, table.rows() * 96, write)
}

/// Metadata, the names of the columns, and an array for each, named in the plural.
pub(super) fn columns(
    table: &Table,
    max: MaxBytes,
    next: Option<&str>,
) -> Result<Vec<u8>, ResponseTooLarge> {
    let own = || table.columns.iter().filter(|column| !column.is_shared);
    let write = |text: &mut BoundedBuffer| {
        text.write_char('{')?;
        for (name, value) in &table.shared {
            write!(text, "{}:{value},", Value::from(*name))?;
        }
        let names: Vec<Value> = own().map(|column| column.name.into()).collect();
        write!(text, "\"columns\":{}", Value::Array(names))?;
        for column in own() {
            write!(text, ",\"{}\":[", plural(column.name))?;
            for row in 0..table.rows() {
                if row > 0 {
                    text.write_char(',')?;
                }
                value(text, column, row)?;
            }
            text.write_char(']')?;
        }
        if let Some(next) = next {
            write!(text, ",\"next\":{}", Value::from(next))?;
        }
        text.write_char('}')
    };
    written(max, table.rows() * 40 + 256, write)
}

/// A text, up to a maximum of bytes.
fn written(
    max: MaxBytes,
    expected: usize,
    write: impl FnOnce(&mut BoundedBuffer) -> fmt::Result,
) -> Result<Vec<u8>, ResponseTooLarge> {
    let mut text = max.buffer(expected);
    write(&mut text).map_err(|_| max.exceeded())?;
    Ok(text.into_bytes())
}

/// RFC 4180, with a line of names.
pub(super) fn csv(table: &Table, max: MaxBytes) -> Result<Vec<u8>, Problem> {
    let failed = |error: csv::Error| match error.kind() {
        csv::ErrorKind::Io(_) => Problem::from(max.exceeded()),
        _ => Problem::internal(error),
    };
    let mut writer = csv::Writer::from_writer(max.buffer(table.rows() * 48));
    let names = table.columns.iter().map(|column| column.name);
    writer.write_record(names).map_err(failed)?;
    let mut field = String::new();
    for row in 0..table.rows() {
        for column in &table.columns {
            if let Values::Text(values) = &column.values {
                writer.write_field(&values[row]).map_err(failed)?;
                continue;
            }
            field.clear();
            let _ = value(&mut field, column, row);
            let plain = field.trim_matches('"');
            let plain = if plain == "null" { "" } else { plain };
            writer.write_field(plain).map_err(failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    let written = writer.into_inner().map_err(|_| max.exceeded())?;
    Ok(written.into_bytes())
}

fn object(text: &mut impl Write, table: &Table, row: usize) -> fmt::Result {
    text.write_char('{')?;
    for (index, column) in table.columns.iter().enumerate() {
        if index > 0 {
            text.write_char(',')?;
        }
        write!(text, "\"{}\":", column.name)?;
        value(text, column, row)?;
    }
    text.write_char('}')
}

/// One value as JSON.
fn value(text: &mut impl Write, column: &Column, row: usize) -> fmt::Result {
    match &column.values {
        Values::Text(values) => write!(text, "{}", Value::from(values[row].as_str())),
        Values::Time(values) => write!(text, "\"{}\"", values[row]),
        Values::Exact(values) | Values::Number(values) => write!(text, "{}", values[row]),
        Values::Float(values) => write!(text, "{}", Value::from(values[row])),
        Values::Count(values) => write!(text, "{}", values[row]),
    }
}

fn plural(name: &str) -> String {
    match name.ends_with('s') {
        true => name.to_owned(),
        false => format!("{name}s"),
    }
}
