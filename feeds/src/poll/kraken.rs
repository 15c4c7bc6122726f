//! Kraken's `GET /0/public/Ticker`: the tickers of all pairs in one answer.
//!
//! Source: docs.kraken.com, "Get Ticker Information" and "Get Tradable Asset Pairs". An entry has
//! the last trade as `c`, of price and amount, and the volumes of today and of the last 24 hours as
//! `v`, in the base currency. Its name is that of an asset pair (`XXBTZUSD`): only the list of
//! asset pairs says by `wsname` (`XBT/USD`) which base and quote it is.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{MAX_PAIRS, PairList, PairNames, PollProtocol, Ticker, Tickers};
use crate::json::{Entries, Text, decimal_text, from_json};
use crate::stream::Listing;

/// Kraken's spot market.
pub(crate) struct KrakenPoll;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<Entries<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    c: Vec<&'a RawValue>,
    #[serde(borrow)]
    v: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct AssetPair<'a> {
    #[serde(borrow)]
    altname: Option<Text<'a>>,
    #[serde(borrow)]
    wsname: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

impl PollProtocol for KrakenPoll {
    fn market(&self) -> &'static str {
        "kraken"
    }

    fn path(&self) -> &'static str {
        "/0/public/Ticker"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        let answer: Answer<'a> = from_json(body)?;
        let entries = answer.result.ok_or("expected a result")?;
        let mut tickers = Tickers::default();
        for (name, entry) in entries.0 {
            tickers.add(&name, ticker(name.clone(), entry));
        }
        Ok(tickers)
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::kraken
    }

    fn pair_list(&self) -> Option<PairList> {
        Some(PairList {
            path: "/0/public/AssetPairs",
            parse: pair_names,
        })
    }
}

fn ticker<'a>(symbol: Cow<'a, str>, entry: &'a RawValue) -> Result<Option<Ticker<'a>>, String> {
    let entry: Entry<'a> = from_json(entry.get())?;
    let price = entry.c.first().ok_or("c: expected the last price")?;
    let volume = entry.v.get(1).ok_or("v: expected the volume of 24 hours")?;
    Ok(Some(Ticker {
        symbol,
        pair: None,
        price: decimal_text(price),
        volume24h: decimal_text(volume),
    }))
}

/// Pairs by the names of asset pairs and by their other names.
fn pair_names(body: &str) -> Result<PairNames, String> {
    let answer: Answer<'_> = from_json(body)?;
    let pairs = answer.result.ok_or("expected a result")?;
    let mut names = PairNames::new();
    for (name, entry) in pairs.0.into_iter().take(MAX_PAIRS) {
        let pair: Result<AssetPair<'_>, String> = from_json(entry.get());
        let name = name.into_owned();
        match pair {
            Err(reason) => names.insert(name, Err(reason)),
            Ok(pair) => {
                let found = pair_name(&pair);
                if let Some(Text(altname)) = pair.altname {
                    let altname = names.entry(altname.into_owned());
                    altname.or_insert_with(|| found.clone());
                }
                names.insert(name, found)
            }
        };
    }
    Ok(names)
}

/// Pair of an asset pair; dark pools have no `wsname`, and old answers no `status`.
fn pair_name(pair: &AssetPair<'_>) -> Result<Option<String>, String> {
    let Some(Text(name)) = &pair.wsname else {
        return Ok(None);
    };
    let status = pair.status.as_ref();
    if status.is_some_and(|status| status.0 != "online") {
        return Ok(None);
    }
    let parts = name.split_once('/');
    let (base, quote) = parts.ok_or_else(|| format!("expected BASE/QUOTE, got {name:?}"))?;
    Ok(Some(Listing::new(name, base, quote).pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_has_the_last_price_and_the_volume_of_24_hours() {
        let body = r#"{"error":[],"result":{
            "XXBTZUSD":{"a":["105944.30000","1","1.000"],"b":["105944.20000","3","3.000"],
                "c":["105899.40000","0.00009443"],"v":["3.64201498","1240.27160000"],
                "p":["105904.09","105502.6"],"t":[35,3276],"l":["1","1"],"h":["2","2"],
                "o":"106021.60000"},
            "ODD":{"c":[],"v":["1","2"]},
            "SHORT":{"c":["1","1"],"v":["1"]}}}"#;
        let tickers = KrakenPoll.parse(body).expect("tickers");
        let expected = [Ticker {
            symbol: Cow::Borrowed("XXBTZUSD"),
            pair: None,
            price: "105899.40000",
            volume24h: "1240.27160000",
        }];
        assert_eq!(tickers.found, expected);
        let rejected = tickers.rejected.iter();
        let rejected: Vec<_> = rejected.map(|r| (&*r.entry, &*r.reason)).collect();
        let reasons = [
            ("ODD", "c: expected the last price"),
            ("SHORT", "v: expected the volume of 24 hours"),
        ];
        assert_eq!(rejected, reasons);
        assert!(KrakenPoll.parse(r#"{"error":[]}"#).is_err());
    }

    #[test]
    fn names_of_asset_pairs_are_base_and_quote_by_their_common_names() {
        let body = r#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","status":"online"},
            "XDGXBT":{"altname":"XDGXBT","wsname":"XDG/XBT"},
            "OLDUSD":{"altname":"OLDUSD","wsname":"OLD/USD","status":"cancel_only"},
            "XXBTZUSD.d":{"altname":"XBTUSD.d"},
            "ODD":{"wsname":"ODDUSD","status":"online"},
            "BAD":7}}"#;
        let names = pair_names(body).expect("pairs");
        let btc = Ok(Some("btcusd".to_owned()));
        assert_eq!((&names["XXBTZUSD"], &names["XBTUSD"]), (&btc, &btc));
        assert_eq!(names["XDGXBT"], Ok(Some("dogebtc".to_owned())));
        assert_eq!(names["OLDUSD"], Ok(None));
        assert_eq!(names["XXBTZUSD.d"], Ok(None));
        let odd = Err("expected BASE/QUOTE, got \"ODDUSD\"".to_owned());
        assert_eq!(names["ODD"], odd);
        assert!(names["BAD"].is_err());
    }
}
