//! Coinbase Exchange's `GET /products/ID/candles`: 300 minutes of a product.
//!
//! Source: docs.cdp.coinbase.com, "Get product candles". A row is `[time, low, high, open, close,
//! volume]` of JSON numbers, the time in seconds, the newest first. Both times of a request are
//! included; some candles may precede the first. A minute without a trade has none.

use std::time::Duration;

use marketlake_model::Minute;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{Columns, Row, TimeUnit, encoded};
use crate::json::from_json;
use crate::poll::api_error::{ReadApiError, coinbase};
use crate::stream::StreamProtocol;
use crate::stream::coinbase::CoinbaseStream;

const COLUMNS: Columns = Columns {
    unit: TimeUnit::Seconds,
    low: 1,
    high: 2,
    close: 4,
    volume: 5,
    trades: None,
};

/// Coinbase Exchange's spot market.
pub(crate) struct CoinbaseHistory;

impl HistoryProtocol for CoinbaseHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &CoinbaseStream
    }

    /// 10 requests a second are allowed for an address.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: 300,
            request_interval: Duration::from_millis(125),
            concurrency: 4,
            max_age_minutes: None,
            omits_quiet_minutes: true,
        }
    }

    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String {
        let symbol = encoded(symbol);
        format!("/products/{symbol}/candles?granularity=60&start={from}&end={to}")
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
        coinbase
    }
}
