//! CSV: `metric,ts,value`, with or without that header.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use marketlake_entities::{Metric, Millis, Sample, parse_time};

use super::{FileError, FileOptions, Samples, check_minute, check_value, open, unreadable};

pub(super) fn read(path: &Path, options: &FileOptions) -> Result<Samples, FileError> {
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(open(path)?);
    let (path, options) = (path.to_owned(), options.clone());
    let mut broken = false;
    let samples = reader.into_records().filter_map(move |record| {
        if broken {
            return None;
        }
        let line_of = |record: &StringRecord| record.position().map_or(0, csv::Position::line);
        let parsed = match record {
            Ok(record) if line_of(&record) == 1 && record.iter().eq(["metric", "ts", "value"]) => {
                return None;
            }
            Ok(record) => parse(&record, &options).map_err(|reason| FileError::Line {
                path: path.clone(),
                line: line_of(&record),
                reason,
            }),
            Err(error) => match error.position().map(csv::Position::line) {
                Some(line) if !error.is_io_error() => Err(FileError::Line {
                    path: path.clone(),
                    line,
                    reason: error.to_string(),
                }),
                _ => {
                    broken = true;
                    Err(unreadable(&path, &error))
                }
            },
        };
        Some(parsed)
    });
    Ok(Box::new(samples))
}

fn parse(record: &StringRecord, options: &FileOptions) -> Result<Sample, String> {
    let fields: Vec<&str> = record.iter().collect();
    let [metric, ts, value] = fields[..] else {
        return Err(format!(
            "expected 3 fields metric,ts,value, got {}",
            fields.len()
        ));
    };
    let metric = parse_metric(metric, options)?;
    let time = match ts.parse::<i64>() {
        Ok(millis) => Millis(millis),
        Err(_) => parse_time(ts).map_err(|_| {
            format!(
                "ts: expected RFC 3339 (2026-11-24T10:31:00Z) or epoch milliseconds, got {ts:?}"
            )
        })?,
    };
    Ok(Sample {
        ts: check_minute(time, ts, options)?,
        value: check_value("value", value, metric.measure())?,
        metric,
    })
}

/// An id as it is; a pair alone, or `pair:measure`, only with a market: then the market comes before it.
fn parse_metric(text: &str, options: &FileOptions) -> Result<Metric, String> {
    let parsed = match (&options.market, text.split_once(':')) {
        (None, None) => {
            return Err(format!(
                "metric: {text:?} is a pair alone, expected an id like binance:hottry, or --market"
            ));
        }
        (Some(market), None) => Metric::new(market, text, marketlake_entities::PRICE),
        (Some(market), Some((first, _))) if first != market && text.split(':').count() == 2 => {
            format!("{market}:{text}").parse()
        }
        _ => text.parse(),
    };
    parsed.map_err(|error| format!("metric: {error}"))
}
