//! Recorded answers of real exchanges: what histories make of them.

use std::fs::read_to_string;

use marketlake_feeds::stream::Listing;
use marketlake_model::{Exact, Millis, Sample};
use serde_json::Value;

use super::feed;
use super::market::listed;
use crate::support::exchange::{Answer, Exchange};
use crate::support::recordings;

/// Positions of a candle's fields in a row.
struct Columns {
    market: &'static str,
    pair: &'static str,
    /// Milliseconds of a unit of time.
    unit: i64,
    high: usize,
    low: usize,
    close: usize,
    volume: usize,
    trades: usize,
}

impl Columns {
    /// Samples of a row, as [`listed`].
    fn samples(&self, row: &Value) -> Vec<String> {
        let ts = Millis(row[0].as_i64().unwrap() * self.unit).minute();
        let text = |column: usize| match &row[column] {
            Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        let line = |measure: &str, column: usize| {
            let value: Exact = text(column).parse().unwrap();
            format!("{ts} {}:{}{measure}={value}", self.market, self.pair)
        };
        vec![
            line("", self.close),
            line(":high", self.high),
            line(":low", self.low),
            line(":volume", self.volume),
            line(":trades", self.trades),
        ]
    }

    /// Checks that the samples of an answer are those of some rows of it, all but the last ones.
    async fn check(&self, symbol: &str, body: String, rows: &[Value]) {
        let exchange = Exchange::with([Answer::ok(body)]).await;
        let listing = Listing {
            symbol: symbol.to_owned(),
            pair: self.pair.to_owned(),
        };
        let minute = |row: &Value| Millis(row[0].as_i64().unwrap() * self.unit).minute();
        let (first, last) = (rows.first().unwrap(), rows.last().unwrap());
        let feed = feed(self.market, &exchange.url, None);
        let samples = feed.minutes(&listing, minute(first), minute(last)).await;
        let samples: Vec<Sample> = samples.unwrap();
        let mut expected: Vec<String> = rows.iter().flat_map(|row| self.samples(row)).collect();
        expected.sort();
        assert_eq!(listed(&samples), expected, "{}", self.market);
    }
}

#[tokio::test]
async fn recorded_candles_of_binance_are_read_digit_for_digit() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let path = folder.join("gocryptotrader/binance_klines_1m_60.json");
    let recorded: Value = serde_json::from_str(&read_to_string(path).unwrap()).unwrap();
    let rows = recorded[0]["data"].as_array().unwrap();
    assert_eq!(rows.len(), 60);
    let columns = Columns {
        market: "binance",
        pair: "btcusdt",
        unit: 1,
        high: 2,
        low: 3,
        close: 4,
        volume: 5,
        trades: 8,
    };
    let body = recorded[0]["data"].to_string();
    columns.check("BTCUSDT", body, rows).await;
}

#[tokio::test]
async fn recorded_candles_of_kraken_are_read_digit_for_digit() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let body = read_to_string(folder.join("xchange/kraken_ohlc.json")).unwrap();
    let recorded: Value = serde_json::from_str(&body).unwrap();
    let rows = recorded["result"]["XXBTZUSD"].as_array().unwrap();
    assert_eq!(rows.len(), 720);
    let columns = Columns {
        market: "kraken",
        pair: "btcusd",
        unit: 1_000,
        high: 2,
        low: 3,
        close: 4,
        volume: 6,
        trades: 7,
    };
    // The last one was not over.
    let (_, closed) = rows.split_last().unwrap();
    columns.check("XBTUSD", body, closed).await;
}

#[tokio::test]
async fn recorded_pairs_of_kraken_have_their_rest_symbols_and_common_names() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let body = read_to_string(folder.join("xchange/kraken_assetpairs.json")).unwrap();
    let recorded: Value = serde_json::from_str(&body).unwrap();
    let listing = |pair: &Value| {
        let name = pair["wsname"].as_str()?;
        let common = |currency: &str| match currency {
            "XBT" => "btc".to_owned(),
            "XDG" => "doge".to_owned(),
            other => other.to_lowercase(),
        };
        let (base, quote) = name.split_once('/')?;
        Some(Listing {
            symbol: pair["altname"].as_str()?.to_owned(),
            pair: format!("{}{}", common(base), common(quote)),
        })
    };
    let recorded = recorded["result"].as_object().unwrap();
    let mut expected: Vec<Listing> = recorded.values().filter_map(listing).collect();
    expected.sort_by(|one, other| one.symbol.cmp(&other.symbol));
    let exchange = Exchange::with([Answer::ok(body)]).await;
    let pairs = feed("kraken", &exchange.url, None).pairs().await.unwrap();
    assert!(pairs.iter().any(|pair| pair.pair == "btcusd"));
    assert_eq!(pairs, expected);
}
