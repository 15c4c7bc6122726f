//! Binance's `GET /api/v3/ticker/24hr`: the tickers of all symbols in one answer, of weight 80.
//!
//! Source: Binance's spot API documentation. Numbers are texts; `volume` is in the base asset. A
//! symbol is base and quote, joined.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{PollProtocol, Ticker, Tickers};
use crate::json::{decimal_text, from_json};

pub(crate) const MARKET: &str = "binance";

/// Binance's spot market.
pub(crate) struct BinancePoll;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    last_price: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
}

impl PollProtocol for BinancePoll {
    fn market(&self) -> &'static str {
        MARKET
    }

    fn path(&self) -> &'static str {
        "/api/v3/ticker/24hr"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        Ok(Tickers::of(from_json(body)?, ticker))
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::binance
    }
}

fn ticker(entry: &str) -> Result<Option<Ticker<'_>>, String> {
    let entry: Entry<'_> = from_json(entry)?;
    Ok(Some(Ticker {
        pair: Some(entry.symbol.to_lowercase()),
        symbol: entry.symbol,
        price: decimal_text(entry.last_price),
        volume24h: decimal_text(entry.volume),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_has_the_last_price_and_the_volume_of_the_base_asset() {
        let body = r#"[{"symbol":"ETHBTC","priceChange":"-0.00073400","lastPrice":"0.04103400",
            "lastQty":"1.06900000","openPrice":"0.04176800","volume":"410969.51200000",
            "quoteVolume":"16980.13811233","openTime":1611629004283,"closeTime":1611715404283,
            "firstId":221265272,"lastId":221725714,"count":460443},
            {"symbol":"NOPRICE","volume":"1"}]"#;
        let tickers = BinancePoll.parse(body).expect("tickers");
        let expected = [Ticker {
            symbol: Cow::Borrowed("ETHBTC"),
            pair: Some("ethbtc".to_owned()),
            price: "0.04103400",
            volume24h: "410969.51200000",
        }];
        assert_eq!(tickers.found, expected);
        let reason = &tickers.rejected[0].reason;
        assert!(reason.starts_with("missing field `lastPrice`"), "{reason}");
        assert!(BinancePoll.parse(r#"{"lastPrice":"1"}"#).is_err());
    }
}
