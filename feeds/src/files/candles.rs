//! JSON candles `[[ms,open,high,low,close,volume],..]`: a price (the close) and a volume a row.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use marketlake_common::excerpt_message;
use marketlake_model::{Metric, Millis, PRICE, Sample, VOLUME};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limited::Limited;
use super::{FileError, FileOptions, Samples, check_minute, check_value, open, unreadable};
use crate::json::decimal_text;

/// Bytes of a file, which is held in memory.
const MAX_TEXT_BYTES: usize = 256 << 20;
/// Rows of a file: minutes of seven years.
const MAX_ROWS: usize = 4_000_000;

/// Rows of a file, up to a maximum.
struct Rows(Vec<Box<RawValue>>);

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtMost;
        impl<'de> Visitor<'de> for AtMost {
            type Value = Rows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of candles")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Rows, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = items.next_element()? {
                    if rows.len() == MAX_ROWS {
                        let problem = format!("expected at most {MAX_ROWS} candles in a file");
                        return Err(A::Error::custom(problem));
                    }
                    rows.push(row);
                }
                Ok(Rows(rows))
            }
        }
        deserializer.deserialize_seq(AtMost)
    }
}

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
    // Unpacked; what is packed may be a thousandth of it.
    let count = Arc::new(AtomicUsize::new(0));
    Limited::new(open(path)?, MAX_TEXT_BYTES, &count)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(path, &error))?;
    let Rows(rows) = serde_json::from_str(&text).map_err(|error| {
        let error = error.to_string();
        unusable(format!(
            "expected JSON candles [[ms,o,h,l,c,v],..]: {}",
            excerpt_message(&error)
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

/// The file's name up to the first `-` or `.`, in lower case, letters and digits only:
/// `ETH_BTC-1m.json.gz` is `ethbtc`.
fn pair_of(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    let stem = name.split(['-', '.']).next().unwrap_or_default();
    stem.chars().filter(|c| c.is_alphanumeric()).collect()
}
