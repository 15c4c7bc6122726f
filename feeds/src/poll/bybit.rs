//! Bybit's `GET /v5/market/tickers?category=spot`: the tickers of all spot symbols.
//!
//! Source: Bybit's v5 API documentation, "Get Tickers". `volume24h` is in the base coin. A symbol
//! is base and quote, joined.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{PollProtocol, Ticker, Tickers};
use crate::json::{decimal_text, from_json};

/// Bybit's spot market.
pub(crate) struct BybitPoll;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: List<'a>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    list: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    last_price: &'a RawValue,
    #[serde(borrow)]
    volume24h: &'a RawValue,
}

impl PollProtocol for BybitPoll {
    fn market(&self) -> &'static str {
        "bybit"
    }

    fn path(&self) -> &'static str {
        "/v5/market/tickers?category=spot"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        let answer: Answer<'a> = from_json(body)?;
        Ok(Tickers::of(answer.result.list, ticker))
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::bybit
    }
}

fn ticker(entry: &str) -> Result<Option<Ticker<'_>>, String> {
    let entry: Entry<'_> = from_json(entry)?;
    Ok(Some(Ticker {
        pair: Some(entry.symbol.to_lowercase()),
        symbol: entry.symbol,
        price: decimal_text(entry.last_price),
        volume24h: decimal_text(entry.volume24h),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_has_the_last_price_and_the_volume_of_the_base_coin() {
        let body = r#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[
            {"symbol":"BTCUSDT","bid1Price":"20517.96","lastPrice":"20533.13",
             "prevPrice24h":"20393.48","turnover24h":"243765620.65899866",
             "volume24h":"11801.27771","usdIndexPrice":"20784.12009279"},
            {"symbol":"ODDUSDT","lastPrice":"1"}]},"retExtInfo":{},"time":1673859087947}"#;
        let tickers = BybitPoll.parse(body).expect("tickers");
        let expected = [Ticker {
            symbol: Cow::Borrowed("BTCUSDT"),
            pair: Some("btcusdt".to_owned()),
            price: "20533.13",
            volume24h: "11801.27771",
        }];
        assert_eq!(tickers.found, expected);
        let reason = &tickers.rejected[0].reason;
        assert!(reason.starts_with("missing field `volume24h`"), "{reason}");
        assert!(BybitPoll.parse(r#"{"retCode":0,"result":{}}"#).is_err());
    }
}
