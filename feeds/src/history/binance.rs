//! Binance's `GET /api/v3/klines`: a thousand minutes of a symbol in an answer of weight 2.
//!
//! Source: Binance's spot API documentation. A row is `[open time, open, high, low, close, volume,
//! close time, quote volume, trades, ..]`, times in milliseconds. Both times of a request are
//! included. A quiet minute has a row with the price of the one before and no volume.

use std::time::Duration;

use marketlake_model::Minute;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{Columns, Row, TimeUnit, encoded};
use crate::json::from_json;
use crate::poll::api_error::{ReadApiError, binance};
use crate::stream::StreamProtocol;
use crate::stream::binance::BinanceStream;

const MAX_ROWS: usize = 1_000;
const COLUMNS: Columns = Columns {
    unit: TimeUnit::Millis,
    high: 2,
    low: 3,
    close: 4,
    volume: 5,
    trades: Some(8),
};

/// Binance's spot market.
pub(crate) struct BinanceHistory;

impl HistoryProtocol for BinanceHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &BinanceStream
    }

    /// 6,000 of weight a minute are allowed: 25 requests a second use 3,000.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: MAX_ROWS,
            request_interval: Duration::from_millis(40),
            concurrency: 8,
            max_age_minutes: None,
            omits_quiet_minutes: false,
        }
    }

    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String {
        format!(
            "/api/v3/klines?symbol={}&interval=1m&startTime={}&endTime={}&limit={MAX_ROWS}",
            encoded(symbol),
            from.start().0,
            to.start().0
        )
    }

    fn parse_candles<'a>(
        &self,
        _symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String> {
        let rows: Vec<Row<'a>> = from_json(body)?;
        COLUMNS.candles(&rows)
    }

    fn api_error(&self) -> ReadApiError {
        binance
    }
}
