//! Result rows of Athena: text, whatever their type.

use std::str::FromStr;

use aws_sdk_athena::types::Row;
use marketlake_model::{Exact, Metric, Minute};

use super::error::AthenaError;
use crate::span::Point;

/// A result.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Table {
    columns: Vec<String>,
    /// Cells, row by row.
    cells: Vec<Box<str>>,
}

impl Table {
    /// Takes a page in; the first row of the first page names the columns.
    pub(crate) fn page(&mut self, rows: &[Row]) -> Result<(), AthenaError> {
        for row in rows {
            let cells = row.data().iter().map(|datum| datum.var_char_value());
            self.row(cells.map(Option::unwrap_or_default))?;
        }
        Ok(())
    }

    /// Reads the object that holds a whole result: CSV with a header, every cell in quotes.
    pub(crate) fn csv(bytes: &[u8]) -> Result<Self, AthenaError> {
        let mut table = Self::default();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(bytes);
        for record in reader.records() {
            let record = record.map_err(|error| AthenaError::Unexpected(error.to_string()))?;
            table.row(record.iter())?;
        }
        Ok(table)
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<(), AthenaError> {
        if self.columns.is_empty() {
            self.columns = cells.map(str::to_owned).collect();
            return Ok(());
        }
        let before = self.cells.len();
        self.cells.extend(cells.map(Box::from));
        let found = self.cells.len() - before;
        if found == self.columns.len() {
            return Ok(());
        }
        let expected = self.columns.len();
        Err(AthenaError::Unexpected(format!(
            "a row of {found} cells under {expected} columns"
        )))
    }

    /// Approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let cells = self.cells.iter().map(|cell| cell.len() as u64 + 16);
        cells.sum()
    }

    /// Its rows, whose cells are read by name.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Cells<'_>> {
        let width = self.columns.len().max(1);
        self.cells.chunks_exact(width).map(|cells| Cells {
            columns: &self.columns,
            cells,
        })
    }
}

/// A row.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    columns: &'a [String],
    cells: &'a [Box<str>],
}

impl<'a> Cells<'a> {
    pub(crate) fn text(self, name: &str) -> Result<&'a str, AthenaError> {
        let at = self.columns.iter().position(|column| column == name);
        at.map(|at| &*self.cells[at])
            .ok_or_else(|| AthenaError::Unexpected(format!("no column {name}")))
    }

    pub(crate) fn parse<T: FromStr>(self, name: &str) -> Result<T, AthenaError> {
        let text = self.text(name)?;
        let wrong = |_| AthenaError::Unexpected(format!("{name} is {text:?}"));
        text.parse().map_err(wrong)
    }

    pub(crate) fn metric(self) -> Result<Metric, AthenaError> {
        self.parse("metric")
    }

    pub(crate) fn minute(self, name: &str) -> Result<Minute, AthenaError> {
        self.parse(name).map(Minute::from_number)
    }

    pub(crate) fn point(self) -> Result<Point, AthenaError> {
        let (unscaled, scale) = (self.parse("unscaled")?, self.parse("scale")?);
        let value = Exact::new(unscaled, scale);
        let wrong = || AthenaError::Unexpected(format!("{unscaled} / 10^{scale} is no value"));
        Ok(Point {
            ts: self.minute("minute")?,
            value: value.ok_or_else(wrong)?,
        })
    }
}
