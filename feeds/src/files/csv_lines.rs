//! CSV: `metric,ts,value`, with or without that header.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, ReaderBuilder};
use marketlake_model::{Millis, Sample, parse_time};

use super::limited::Limited;
use super::names::Names;
use super::{FileError, FileOptions, Samples, check_minute, check_value, open, unreadable};

/// Bytes of a line, or of a quoted field that goes on for several.
const MAX_RECORD_BYTES: usize = 1 << 20;

pub(super) fn read(path: &Path, options: &FileOptions) -> Result<Samples, FileError> {
    // A line that never ends must not fill the memory, packed as small as it may be.
    let read_since = Arc::new(AtomicUsize::new(0));
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 18)
        .from_reader(Limited::new(open(path)?, MAX_RECORD_BYTES, &read_since));
    let (path, options) = (path.to_owned(), options.clone());
    let mut names = Names::new(options.market.clone());
    let mut record = ByteRecord::new();
    let mut broken = false;
    Ok(Box::new(std::iter::from_fn(move || {
        loop {
            if broken {
                return None;
            }
            read_since.store(0, Ordering::Relaxed);
            let read = reader.read_byte_record(&mut record);
            let line = record.position().map_or(0, csv::Position::line);
            return match read {
                Ok(false) => None,
                Ok(true) if line == 1 && is_header(&record) => continue,
                Ok(true) => {
                    Some(
                        parse(&record, &mut names, &options).map_err(|reason| FileError::Line {
                            path: path.clone(),
                            line,
                            reason,
                        }),
                    )
                }
                Err(error) => {
                    broken = true;
                    Some(Err(unreadable(&path, &error)))
                }
            };
        }
    })))
}

fn is_header(record: &ByteRecord) -> bool {
    let fields = record.iter().map(<[u8]>::trim_ascii);
    fields.eq([&b"metric"[..], b"ts", b"value"])
}

fn parse(record: &ByteRecord, names: &mut Names, options: &FileOptions) -> Result<Sample, String> {
    let (Some(metric), Some(ts), Some(value), None) =
        (record.get(0), record.get(1), record.get(2), record.get(3))
    else {
        return Err(format!(
            "expected 3 fields metric,ts,value, got {}",
            record.len()
        ));
    };
    let metric = names.metric(metric.trim_ascii())?;
    let ts = text("ts", ts)?;
    Ok(Sample {
        ts: check_minute(time(ts)?, ts, options)?,
        value: check_value("value", text("value", value)?, metric.measure())?,
        metric,
    })
}

fn text<'a>(field: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(bytes.trim_ascii()).map_err(|_| format!("{field}: expected UTF-8"))
}

fn time(ts: &str) -> Result<Millis, String> {
    if let Ok(millis) = ts.parse::<i64>() {
        return Ok(Millis(millis));
    }
    parse_time(ts).map_err(|_| {
        format!("ts: expected RFC 3339 (2026-11-24T10:31:00Z) or epoch milliseconds, got {ts:?}")
    })
}
