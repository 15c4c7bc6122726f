//! OKX's `GET /api/v5/market/history-candles`: 100 minutes of an instrument.
//!
//! Source: okx.com/docs-v5, "Get candlesticks history". A row is `[ts, open, high, low, close, vol,
//! volCcy, volCcyQuote, confirm]` of texts, the time in milliseconds, the newest first. `vol` of
//! a spot pair is in the base currency; `confirm` is 0 while the minute is not over. `before` and
//! `after` are not included: candles between them are returned.

use std::time::Duration;

use marketlake_model::Minute;
use serde::Deserialize;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{Columns, Row, TimeUnit, encoded};
use crate::json::{decimal_text, from_json};
use crate::poll::api_error::{ReadApiError, okx};
use crate::stream::StreamProtocol;
use crate::stream::okx::OkxStream;

const MAX_ROWS: usize = 100;
/// Position of the flag that the minute is over.
const CONFIRM: usize = 8;
const COLUMNS: Columns = Columns {
    unit: TimeUnit::Millis,
    high: 2,
    low: 3,
    close: 4,
    volume: 5,
    trades: None,
};

/// OKX's spot market.
pub(crate) struct OkxHistory;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Row<'a>>,
}

impl HistoryProtocol for OkxHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &OkxStream
    }

    /// 20 requests in two seconds are allowed for an address.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: MAX_ROWS,
            request_interval: Duration::from_millis(110),
            concurrency: 4,
            max_age_minutes: None,
            omits_quiet_minutes: false,
        }
    }

    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String {
        format!(
            "/api/v5/market/history-candles?instId={}&bar=1m&before={}&after={}&limit={MAX_ROWS}",
            encoded(symbol),
            from.start().0 - 1,
            to.start().0 + 1
        )
    }

    fn parse_candles<'a>(
        &self,
        _symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String> {
        let mut answer: Answer<'a> = from_json(body)?;
        let is_open = |row: &Row<'a>| {
            let confirm = row.get(CONFIRM).copied();
            confirm.is_some_and(|confirm| decimal_text(confirm) == "0")
        };
        answer.data.retain(|row| !is_open(row));
        COLUMNS.candles(&answer.data)
    }

    fn api_error(&self) -> ReadApiError {
        okx
    }
}

#[cfg(test)]
mod tests {
    use marketlake_model::Millis;

    use super::*;

    #[test]
    fn a_minute_that_is_not_over_is_left_out() {
        let body = r#"{"code":"0","msg":"","data":[
            ["120000","1","3","1","2","5","10","10","0"],
            ["60000","1","3","1","2","5","10","10","1"]]}"#;
        let candles = OkxHistory.parse_candles("BTC-USDT", body).expect("candles");
        let starts: Vec<Millis> = candles.iter().map(|candle| candle.start).collect();
        assert_eq!(starts, [Millis(60_000)]);
    }
}
