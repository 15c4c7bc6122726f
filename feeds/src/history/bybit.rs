//! Bybit's `GET /v5/market/kline`: a thousand minutes of a spot symbol.
//!
//! Source: Bybit's v5 API documentation, "Get Kline". A row is `[startTime, open, high, low, close,
//! volume, turnover]` of texts, the time in milliseconds, the newest first. `volume` of a spot
//! symbol is in the base currency. Both times of a request are included.

use std::time::Duration;

use marketlake_common::excerpt;
use marketlake_model::Minute;
use serde::Deserialize;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{Columns, Row, TimeUnit, check_pair, encoded};
use crate::json::{Text, from_json};
use crate::poll::api_error::{ReadApiError, bybit};
use crate::stream::StreamProtocol;
use crate::stream::bybit::BybitStream;

const MAX_ROWS: usize = 1_000;
const COLUMNS: Columns = Columns {
    unit: TimeUnit::Millis,
    high: 2,
    low: 3,
    close: 4,
    volume: 5,
    trades: None,
};

/// Bybit's spot market.
pub(crate) struct BybitHistory;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Klines<'a>,
}

#[derive(Deserialize)]
struct Klines<'a> {
    #[serde(borrow)]
    category: Text<'a>,
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    list: Vec<Row<'a>>,
}

impl HistoryProtocol for BybitHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &BybitStream
    }

    /// 600 requests in five seconds are allowed for an address; a third of that is used.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: MAX_ROWS,
            request_interval: Duration::from_millis(25),
            concurrency: 8,
            max_age_minutes: None,
            omits_quiet_minutes: false,
        }
    }

    fn candles_path(&self, symbol: &str, from: Minute, to: Minute) -> String {
        format!(
            "/v5/market/kline?category=spot&symbol={}&interval=1&start={}&end={}&limit={MAX_ROWS}",
            encoded(symbol),
            from.start().0,
            to.start().0
        )
    }

    fn parse_candles<'a>(
        &self,
        symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String> {
        let answer: Answer<'a> = from_json(body)?;
        check_pair(symbol, &answer.result.symbol.0, str::to_uppercase)?;
        let category = &answer.result.category.0;
        if category != "spot" {
            let got = excerpt(category);
            return Err(format!("category: expected spot, got {got:?}"));
        }
        COLUMNS.candles(&answer.result.list)
    }

    fn api_error(&self) -> ReadApiError {
        bybit
    }
}
