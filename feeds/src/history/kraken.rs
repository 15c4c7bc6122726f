//! Kraken's `GET /0/public/OHLC`: the newest 720 minutes of a pair, and no older ones.
//!
//! Source: docs.kraken.com, "Get OHLC Data" and "Get Tradable Asset Pairs". The answer is
//! `{"error":[],"result":{"XXBTZUSD":[..],"last":1688671200}}`, under a name of its own for the
//! pair. A row is `[time, open, high, low, close, vwap, volume, count]`, the time in seconds. It
//! holds all minutes after `since`; the last row is the current minute. A quiet minute has a row
//! with the price of the one before and no volume.

use std::time::Duration;

use marketlake_model::Minute;
use serde::Deserialize;

use super::protocol::{HistoryCandle, HistoryLimits, HistoryProtocol};
use super::rows::{Columns, Row, TimeUnit, check_pair, encoded};
use crate::json::{Entries, Text, from_json};
use crate::poll::api_error::{ReadApiError, kraken};
use crate::stream::kraken::KrakenStream;
use crate::stream::wire::add_listing;
use crate::stream::{Listing, Listings, StreamProtocol};

const MAX_ROWS: usize = 720;
/// Less than the rows: the running minute is one of them, and a round over 1,000 pairs takes 17
/// minutes.
const MAX_AGE_MINUTES: i64 = 690;
const COLUMNS: Columns = Columns {
    unit: TimeUnit::Seconds,
    high: 2,
    low: 3,
    close: 4,
    volume: 6,
    trades: Some(7),
};

/// Kraken's spot market.
pub(crate) struct KrakenHistory;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Entries<'a>>,
}

#[derive(Deserialize)]
struct AssetPair<'a> {
    #[serde(borrow)]
    altname: Text<'a>,
    #[serde(borrow)]
    wsname: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

impl HistoryProtocol for KrakenHistory {
    fn stream(&self) -> &'static dyn StreamProtocol {
        &KrakenStream
    }

    /// One request a second stays within the limit of an address; a faster pace may not.
    fn limits(&self) -> HistoryLimits {
        HistoryLimits {
            max_rows: MAX_ROWS,
            request_interval: Duration::from_secs(1),
            concurrency: 2,
            max_age_minutes: Some(MAX_AGE_MINUTES),
            omits_quiet_minutes: false,
        }
    }

    /// Lists the pairs that the stream lists, by the names that REST has for them: `altname`.
    fn parse_pairs(&self, body: &str) -> Result<Listings, String> {
        let answer: Answer<'_> = from_json(body)?;
        let pairs = answer.result.ok_or("expected a result")?;
        let mut listings = Listings::default();
        for (name, pair) in pairs.0 {
            add_listing(&mut listings, &name, listing(pair.get()));
        }
        Ok(listings)
    }

    /// `since` is not included.
    fn candles_path(&self, symbol: &str, from: Minute, _to: Minute) -> String {
        let since = from.start().0 / 1_000 - 1;
        let symbol = encoded(symbol);
        format!("/0/public/OHLC?pair={symbol}&interval=1&since={since}")
    }

    fn returns_later_minutes(&self) -> bool {
        true
    }

    fn parse_candles<'a>(
        &self,
        symbol: &str,
        body: &'a str,
    ) -> Result<Vec<HistoryCandle<'a>>, String> {
        let answer: Answer<'a> = from_json(body)?;
        let entries = answer.result.ok_or("expected a result")?.0;
        let mut pairs = entries.into_iter().filter(|(name, _)| name != "last");
        let (Some((name, rows)), None) = (pairs.next(), pairs.next()) else {
            return Err("result: expected the candles of one pair".to_owned());
        };
        check_pair(symbol, &name, common_letters)?;
        let rows: Vec<Row<'a>> = from_json(rows.get())?;
        COLUMNS.candles(&rows)
    }

    fn api_error(&self) -> ReadApiError {
        kraken
    }
}

/// Letters of a pair in which its names agree: some have an `X` before a cryptocurrency and a `Z`
/// before a currency.
fn common_letters(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, 'X' | 'Z')).collect()
}

/// Listing of a pair; dark pools have no `wsname`, and old answers no `status`.
fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let pair: AssetPair<'_> = from_json(entry)?;
    let Some(Text(name)) = pair.wsname else {
        return Ok(None);
    };
    if pair.status.is_some_and(|status| status.0 != "online") {
        return Ok(None);
    }
    let parts = name.split_once('/');
    let (base, quote) = parts.ok_or_else(|| format!("expected BASE/QUOTE, got {name:?}"))?;
    Ok(Some(Listing::new(&pair.altname.0, base, quote)))
}

#[cfg(test)]
mod tests {
    use marketlake_model::Millis;

    use super::*;

    #[test]
    fn a_pair_has_its_rest_name_and_the_common_names_of_its_currencies() {
        let body = r#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","status":"online"},
            "XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD"},
            "OLD":{"altname":"OLDUSD","wsname":"OLD/USD","status":"cancel_only"},
            "DARK.d":{"altname":"DARK.d"},
            "BAD":{"altname":"BAD","wsname":"BAD"},
            "NONE":7}}"#;
        let listings = KrakenHistory.parse_pairs(body).expect("pairs");
        let expected = [
            Listing::new("XBTUSD", "btc", "usd"),
            Listing::new("XDGUSD", "doge", "usd"),
        ];
        assert_eq!(listings.tradable, expected);
        assert_eq!(listings.rejected_count, 2);
    }

    #[test]
    fn candles_are_found_under_any_name_of_the_pair() {
        let row = r#"[1502402520,"3449.992","3450.0","3449.9","3449.999","3449.997","1.012",7]"#;
        let body = format!(r#"{{"error":[],"result":{{"XXBTZUSD":[{row}],"last":1502402520}}}}"#);
        let candles = KrakenHistory
            .parse_candles("XBTUSD", &body)
            .expect("candles");
        assert_eq!(candles.len(), 1);
        let candle = candles.first().expect("one");
        assert_eq!(candle.start, Millis(1_502_402_520_000));
        assert_eq!(
            [&candle.close, &candle.high, &candle.low, &candle.volume],
            ["3449.999", "3450.0", "3449.9", "1.012"]
        );
        assert_eq!(candle.trades, Some(7));
        let none = KrakenHistory.parse_candles("XBTUSD", r#"{"error":[],"result":{"last":1}}"#);
        assert!(none.is_err());
        let other = KrakenHistory.parse_candles("ETHUSD", &body).err();
        let expected = "pair: expected ETHUSD, got \"XXBTZUSD\"";
        assert_eq!(other.as_deref(), Some(expected));
    }
}
