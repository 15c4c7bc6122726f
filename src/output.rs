//! Output on stdout: a table for people, JSON or CSV for programs.

use std::io::Write;

use clap::ValueEnum;
use serde_json::value::RawValue;

use crate::logs;

/// Output formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// An array of objects.
    Json,
    /// With a header.
    Csv,
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Text(String),
    /// A number with exactly these digits.
    Number(String),
    Null,
}

impl Cell {
    pub(crate) fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    pub(crate) fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Null => "",
        }
    }

    fn json(&self) -> serde_json::Result<Box<RawValue>> {
        match self {
            Self::Text(text) => RawValue::from_string(serde_json::to_string(text)?),
            Self::Number(number) => RawValue::from_string(number.clone()),
            Self::Null => Ok(RawValue::NULL.to_owned()),
        }
    }
}

/// Writes rows to stdout. A closed pipe is no error.
pub(crate) fn print(format: Format, columns: &[&str], rows: &[Vec<Cell>]) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table(columns, rows),
        Format::Csv => csv(columns, rows),
        Format::Json => json(columns, rows)?,
    };
    line(&text)
}

/// Notes on stderr that data is simulated, if it is.
pub(crate) fn note_simulated<'a>(metrics: impl IntoIterator<Item = &'a marketlake_model::Metric>) {
    if metrics
        .into_iter()
        .any(marketlake_model::Metric::is_simulated)
    {
        note("note: these values are simulated");
    }
}

/// Writes a note to stderr.
#[expect(clippy::print_stderr, reason = "a note beside the answer")]
pub(crate) fn note(text: &str) {
    if logs::is_json() {
        // Each line of stderr is an object then.
        tracing::warn!("{text}");
    } else {
        eprintln!("{text}");
    }
}

/// Writes a line to stdout.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn table(columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().map(|row| row[index].shown().chars().count());
        cells.chain([columns[index].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let header: Vec<Cell> = columns
        .iter()
        .map(|name| Cell::text(name.to_uppercase()))
        .collect();
    let line = |row: &Vec<Cell>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| match cell {
                Cell::Number(number) => format!("{number:>width$}"),
                _ => format!("{:width$}", cell.shown()),
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = std::iter::once(&header).chain(rows).map(line).collect();
    lines.join("\n")
}

fn csv(columns: &[&str], rows: &[Vec<Cell>]) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let header = columns.join(",");
    let body = rows.iter().map(|row| {
        row.iter()
            .map(|cell| quoted(cell.shown()))
            .collect::<Vec<_>>()
            .join(",")
    });
    std::iter::once(header)
        .chain(body)
        .collect::<Vec<_>>()
        .join("\n")
}

fn json(columns: &[&str], rows: &[Vec<Cell>]) -> anyhow::Result<String> {
    let mut objects = Vec::with_capacity(rows.len());
    for row in rows {
        let mut fields = Vec::with_capacity(columns.len());
        for (name, cell) in columns.iter().zip(row) {
            fields.push(format!(
                "{}:{}",
                serde_json::to_string(name)?,
                cell.json()?.get()
            ));
        }
        objects.push(format!("{{{}}}", fields.join(",")));
    }
    Ok(format!("[{}]", objects.join(",\n ")))
}
