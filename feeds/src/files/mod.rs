//! History in files: CSV lines `metric,ts,value` and JSON candles, plain or `.gz`, and Parquet.

mod candles;
mod csv_lines;
mod limited;
mod names;
mod parquet_footer;
mod parquet_pages;
mod parquet_rows;
#[cfg(test)]
mod tests;
mod thrift;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use marketlake_model::{Exact, Millis, Minute, Sample};

/// Options for data that a file does not contain.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// The market of metrics that are named by their pair alone, and of candles.
    pub market: Option<String>,
    /// The pair of candles; else the file's name tells it.
    pub pair: Option<String>,
    /// The last minute that can be true: a later one is an error. `None` where all can.
    pub not_after: Option<Minute>,
}

/// Error of a file, or of a line of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        reason: String,
    },
    /// It is of no known kind, or lacks an option.
    #[error("cannot import {}: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Missing part.
        reason: String,
    },
    /// One line or row does not parse; the next ones may.
    #[error("{}:{line}: {reason}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1: a line of CSV, a row of candles or of Parquet.
        line: u64,
        /// Expected and actual content.
        reason: String,
    },
    /// The files hold no sample.
    #[error("the files hold no sample in the given time")]
    Nothing,
}

/// The samples of a file in its order, or the error of each line that does not parse.
pub type Samples = Box<dyn Iterator<Item = Result<Sample, FileError>> + Send>;

/// Opens a file by the end of its name: `.csv` or `.json`, each plain or with `.gz`, or `.parquet`.
///
/// # Errors
/// Fails if the file cannot be opened, is of no known kind, or needs an option that is not given.
pub fn read(path: &Path, options: &FileOptions) -> Result<Samples, FileError> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let kind = name.strip_suffix(".gz").unwrap_or(&name);
    if kind.ends_with(".csv") {
        csv_lines::read(path, options)
    } else if kind.ends_with(".json") {
        candles::read(path, options)
    } else if name.ends_with(".parquet") {
        parquet_rows::read(path, options)
    } else {
        Err(FileError::Unusable {
            path: path.to_owned(),
            reason: "expected a name that ends in .csv, .csv.gz, .json, .json.gz or .parquet"
                .to_owned(),
        })
    }
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, FileError> {
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let buffered = BufReader::with_capacity(1 << 16, file);
    Ok(
        if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"))
        {
            Box::new(MultiGzDecoder::new(buffered))
        } else {
            Box::new(buffered)
        },
    )
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> FileError {
    FileError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

/// A history's minute must lie between Bitcoin's first block and now; seconds taken for
/// milliseconds do not.
fn check_minute(time: Millis, text: &str, options: &FileOptions) -> Result<Minute, String> {
    const GENESIS: Millis = Millis(1_230_940_800_000);
    let minute = time.minute();
    if time < GENESIS {
        return Err(format!(
            "ts {text} is before 2009: expected RFC 3339 or epoch milliseconds"
        ));
    }
    match options.not_after {
        Some(last) if minute > last => Err(format!("ts {text} is in the future")),
        _ => Ok(minute),
    }
}

fn check_value(field: &str, text: &str, measure: &str) -> Result<Exact, String> {
    let value: Exact = text.parse().map_err(|error| format!("{field}: {error}"))?;
    check_sign(field, value, measure)
}

fn check_sign(field: &str, value: Exact, measure: &str) -> Result<Exact, String> {
    if !value.is_negative() {
        return Ok(value);
    }
    let must_not_be_negative =
        measure == marketlake_model::PRICE || measure.starts_with(marketlake_model::VOLUME);
    if must_not_be_negative {
        return Err(format!(
            "{field}: expected a {measure} of zero or more, got {value}"
        ));
    }
    Ok(value)
}
