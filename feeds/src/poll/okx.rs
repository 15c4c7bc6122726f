//! OKX's `GET /api/v5/market/tickers?instType=SPOT`: the tickers of all spot instruments.
//!
//! Source: okx.com/docs-v5, "Get tickers". Of spot instruments `vol24h` is in the base currency and
//! `volCcy24h` in the quote currency. An instrument's id is `BASE-QUOTE`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{PollProtocol, Ticker, Tickers};
use crate::json::{decimal_text, from_json};
use crate::stream::Listing;

/// OKX's spot market.
pub(crate) struct OkxPoll;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    last: &'a RawValue,
    #[serde(borrow)]
    vol24h: &'a RawValue,
}

impl PollProtocol for OkxPoll {
    fn market(&self) -> &'static str {
        "okx"
    }

    fn path(&self) -> &'static str {
        "/api/v5/market/tickers?instType=SPOT"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        let answer: Answer<'a> = from_json(body)?;
        Ok(Tickers::of(answer.data, ticker))
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::okx
    }
}

fn ticker(entry: &str) -> Result<Option<Ticker<'_>>, String> {
    let entry: Entry<'_> = from_json(entry)?;
    let id = &*entry.inst_id;
    let parts = id.split_once('-');
    let (base, quote) = parts.ok_or_else(|| format!("instId: expected BASE-QUOTE, got {id:?}"))?;
    Ok(Some(Ticker {
        pair: Some(Listing::new(id, base, quote).pair),
        symbol: entry.inst_id,
        price: decimal_text(entry.last),
        volume24h: decimal_text(entry.vol24h),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_has_the_last_price_and_the_volume_of_the_base_currency() {
        let body = r#"{"code":"0","msg":"","data":[
            {"instType":"SPOT","instId":"CRV-USDT","last":"0.4335","lastSz":"1.05",
             "askPx":"0.4337","askSz":"2364.479373","open24h":"0.4335","high24h":"0.4413",
             "low24h":"0.426","volCcy24h":"3002548.0479120105","vol24h":"6913880.197854",
             "ts":"1694923550711"},
            {"instId":"NEW-USDT","last":"","vol24h":"0"},
            {"instId":"ODD","last":"1","vol24h":"0"}]}"#;
        let tickers = OkxPoll.parse(body).expect("tickers");
        let ticker = |symbol, pair: &str, price, volume24h| Ticker {
            symbol: Cow::Borrowed(symbol),
            pair: Some(pair.to_owned()),
            price,
            volume24h,
        };
        let expected = [
            ticker("CRV-USDT", "crvusdt", "0.4335", "6913880.197854"),
            ticker("NEW-USDT", "newusdt", "", "0"),
        ];
        assert_eq!(tickers.found, expected);
        let reason = "instId: expected BASE-QUOTE, got \"ODD\"";
        assert_eq!(tickers.rejected[0].reason, reason);
        assert!(OkxPoll.parse(r#"{"code":"0"}"#).is_err());
    }
}
