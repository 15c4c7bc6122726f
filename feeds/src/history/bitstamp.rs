//! Bitstamp's `GET /api/v2/ohlc/PAIR/`: a thousand minutes of a pair.
//!
//! Source: bitstamp.net/api, "OHLC data". The answer is `{"data":{"ohlc":[{"timestamp":"..",
//! "open":"..","high":"..","low":"..","close":"..","volume":".."}],"pair":"BTC/USD"}}`, times in
//! seconds. Of `start` and `end` only the latter counts where both are given, and `limit` candles
//! up to it are returned: the limit is the number of requested minutes.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Minute;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{TimeUnit, check_pair, check_row_count, encoded};
use crate::json::{Text, decimal_text, from_json};
use crate::poll::api_error::{ReadApiError, bitstamp};
use crate::stream::StreamProtocol;
use crate::stream::bitstamp::BitstampStream;

/// Seconds of a candle.
const STEP: u32 = 60;

/// Bitstamp's spot market.
pub(crate) struct BitstampHistory;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    pair: Text<'a>,
    #[serde(borrow)]
    ohlc: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Ohlc<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

impl HistoryProtocol for BitstampHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &BitstampStream
    }

    /// 10,000 requests in ten minutes are allowed for an address; 6,000 are used.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: 1_000,
            request_interval: Duration::from_millis(100),
            concurrency: 4,
            max_age_minutes: None,
            omits_quiet_minutes: false,
        }
    }

    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String {
        format!(
            "/api/v2/ohlc/{}/?step={STEP}&limit={}&start={}&end={}",
            encoded(symbol),
            to.number() - from.number() + 1,
            from.start().0 / 1_000,
            to.start().0 / 1_000
        )
    }

    fn parse_candles<'a>(
        &self,
        symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String> {
        let answer: Answer<'a> = from_json(body)?;
        check_pair(symbol, &answer.data.pair.0, plain)?;
        let rows = answer.data.ohlc;
        check_row_count(rows.len())?;
        let numbered = |(number, row): (usize, &'a RawValue)| {
            candle(row).map_err(|problem| format!("row {number}: {problem}"))
        };
        rows.into_iter().enumerate().map(numbered).collect()
    }

    fn api_error(&self) -> ReadApiError {
        bitstamp
    }
}

/// A pair without its separator: `BTC/USD` is `btcusd`.
fn plain(name: &str) -> String {
    name.replace(['/', '-', '_'], "").to_lowercase()
}

fn candle(row: &RawValue) -> Result<HistoryCandle<'_>, String> {
    let row: Ohlc<'_> = from_json(row.get())?;
    let start = TimeUnit::Seconds.parse(decimal_text(row.timestamp));
    let decimal = |value| Cow::Borrowed(decimal_text(value));
    Ok(HistoryCandle {
        start: start.map_err(|problem| format!("timestamp: {problem}"))?,
        close: decimal(row.close),
        high: decimal(row.high),
        low: decimal(row.low),
        volume: decimal(row.volume),
        trades: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_field_is_named() {
        let good = r#"{"timestamp":"60","high":"2","low":"1","close":"1.50","volume":"3"}"#;
        let body = format!(r#"{{"data":{{"ohlc":[{good},{{"timestamp":"120"}}],"pair":"x"}}}}"#);
        let error = BitstampHistory
            .parse_candles("x", &body)
            .expect_err("no price");
        assert!(error.starts_with("row 1: missing field `high`"), "{error}");
        let body = format!(r#"{{"data":{{"ohlc":[{good}],"pair":"x"}}}}"#);
        let candles = BitstampHistory.parse_candles("x", &body).expect("candles");
        let closes: Vec<&str> = candles.iter().map(|candle| &*candle.close).collect();
        assert_eq!(closes, ["1.50"]);
    }
}
