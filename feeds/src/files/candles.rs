//! JSON candles `[[ms,open,high,low,close,volume],..]`: a price (the close) and a volume a row.

use std::io::Read;
use std::path::Path;

use marketlake_entities::{Metric, Millis, PRICE, Sample, VOLUME};
use serde_json::value::RawValue;

use super::{FileError, FileOptions, Samples, check_minute, check_value, open, unreadable};
use crate::json::decimal_text;

pub(super) fn read(path: &Path, options: &FileOptions) -> Result<Samples, FileError> {
    let unusable = |reason: String| FileError::Unusable {
        path: path.to_owned(),
        reason,
    };
    let market = options.market.as_deref().ok_or_else(|| {
        unusable("candles do not name their market: expected --market".to_owned())
    })?;
    let pair = options.pair.clone().unwrap_or_else(|| pair_of(path));
    let metric =
        |measure| Metric::new(market, &pair, measure).map_err(|error| unusable(error.to_string()));
    let (price, volume) = (metric(PRICE)?, metric(VOLUME)?);
    let mut text = String::new();
    open(path)?
        .read_to_string(&mut text)
        .map_err(|error| unreadable(path, &error))?;
    let rows: Vec<Box<RawValue>> = serde_json::from_str(&text).map_err(|error| {
        unusable(format!(
            "expected JSON candles [[ms,o,h,l,c,v],..]: {error}"
        ))
    })?;
    let (path, options) = (path.to_owned(), options.clone());
    let samples = (1_u64..).zip(rows).flat_map(move |(line, row)| {
        match parse(&row, &price, &volume, &options) {
            Ok([price, volume]) => vec![Ok(price), Ok(volume)],
            Err(reason) => vec![Err(FileError::Line {
                path: path.clone(),
                line,
                reason,
            })],
        }
    });
    Ok(Box::new(samples))
}

fn parse(
    row: &RawValue,
    price: &Metric,
    volume: &Metric,
    options: &FileOptions,
) -> Result<[Sample; 2], String> {
    let shape = |_| format!("expected a candle [ms,o,h,l,c,v], got {}", start(row.get()));
    let fields: Vec<&RawValue> = serde_json::from_str(row.get()).map_err(shape)?;
    let [time, _, _, _, close, traded] = fields[..] else {
        return Err(format!(
            "expected 6 numbers [ms,o,h,l,c,v], got {}",
            fields.len()
        ));
    };
    let millis = decimal_text(time)
        .parse()
        .map_err(|_| format!("ms: expected epoch milliseconds, got {}", start(time.get())))?;
    let ts = check_minute(Millis(millis), time.get(), options)?;
    let sample = |metric: &Metric, field, value| {
        Ok::<_, String>(Sample {
            metric: metric.clone(),
            ts,
            value: check_value(field, decimal_text(value), metric.measure())?,
        })
    };
    Ok([
        sample(price, "close", close)?,
        sample(volume, "volume", traded)?,
    ])
}

fn start(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The file's name up to the first `-` or `.`, in lower case, letters and digits only: `ETH_BTC-1m.json.gz` is `ethbtc`.
fn pair_of(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let stem = name.split(['-', '.']).next().unwrap_or_default();
    stem.chars().filter(|c| c.is_alphanumeric()).collect()
}
