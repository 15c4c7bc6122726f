//! Bitstamp's `GET /api/v2/ticker/`: the tickers of all markets.
//!
//! Source: bitstamp.net/api, "All currency pairs". `volume` is that of the last 24 hours, in the
//! base currency. `pair` is `BASE/QUOTE`, and of perpetual futures `BTC/USD-PERP`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{PollProtocol, Ticker, Tickers};
use crate::json::{Text, decimal_text, from_json};
use crate::stream::Listing;

/// Bitstamp's spot market.
pub(crate) struct BitstampPoll;

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    pair: Cow<'a, str>,
    #[serde(borrow)]
    last: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
    #[serde(borrow)]
    market_type: Option<Text<'a>>,
}

impl PollProtocol for BitstampPoll {
    fn market(&self) -> &'static str {
        "bitstamp"
    }

    fn path(&self) -> &'static str {
        "/api/v2/ticker/"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        Ok(Tickers::of(from_json(body)?, ticker))
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::bitstamp
    }
}

/// Ticker of an entry; old answers have no `market_type`.
fn ticker(entry: &str) -> Result<Option<Ticker<'_>>, String> {
    let entry: Entry<'_> = from_json(entry)?;
    let kind = entry.market_type.as_ref();
    if kind.is_some_and(|kind| !kind.0.eq_ignore_ascii_case("spot")) {
        return Ok(None);
    }
    let name = &*entry.pair;
    let parts = name.split_once('/');
    let (base, quote) = parts.ok_or_else(|| format!("pair: expected BASE/QUOTE, got {name:?}"))?;
    Ok(Some(Ticker {
        pair: Some(Listing::new(name, base, quote).pair),
        symbol: entry.pair,
        price: decimal_text(entry.last),
        volume24h: decimal_text(entry.volume),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_markets_have_tickers_and_perpetuals_have_none() {
        let body = r#"[{"timestamp":"1789455809","open":"78237","high":"79588","low":"77191",
            "last":"77265","volume":"108.78361","vwap":"78381","bid":"77239","ask":"77240",
            "side":"1","open_24":"77700","percent_change_24":"-0.56","market_type":"SPOT",
            "pair":"BTC/USD","market":"BTC/USD"},
            {"last":"77265","volume":"108.78361","market_type":"PERPETUAL","pair":"BTC/USD-PERP"},
            {"last":"1","volume":"1","pair":"ODD"}]"#;
        let tickers = BitstampPoll.parse(body).expect("tickers");
        let expected = [Ticker {
            symbol: Cow::Borrowed("BTC/USD"),
            pair: Some("btcusd".to_owned()),
            price: "77265",
            volume24h: "108.78361",
        }];
        assert_eq!(tickers.found, expected);
        let reason = "pair: expected BASE/QUOTE, got \"ODD\"";
        assert_eq!(tickers.rejected[0].reason, reason);
        assert!(BitstampPoll.parse(r#"{"code":"404.002"}"#).is_err());
    }
}
