//! Coinbase's `GET /api/v3/brokerage/market/products`: price and volume of all products.
//!
//! Source: docs.cdp.coinbase.com, "Advanced Trade REST API", "List Public Products". It is another
//! host than that of the Exchange API, which has no documented request for all prices. `volume_24h`
//! is in the base currency. `BTC-USDC` is an alias of `BTC-USD`: one order book by two names, of
//! which the Exchange API knows the latter. Prices are empty before the first trade.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_error::{self, ReadApiError};
use super::protocol::{PollProtocol, Ticker, Tickers};
use crate::json::{Text, decimal_text, from_json};
use crate::stream::Listing;

/// Coinbase's spot market.
pub(crate) struct CoinbasePoll;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    products: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    base_currency_id: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency_id: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    volume_24h: &'a RawValue,
    #[serde(borrow)]
    product_type: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    alias: Option<Text<'a>>,
    trading_disabled: Option<bool>,
}

impl PollProtocol for CoinbasePoll {
    fn market(&self) -> &'static str {
        "coinbase"
    }

    fn default_url(&self) -> Option<&'static str> {
        Some("https://api.coinbase.com")
    }

    fn path(&self) -> &'static str {
        "/api/v3/brokerage/market/products?product_type=SPOT"
    }

    fn parse<'a>(&self, body: &'a str) -> Result<Tickers<'a>, String> {
        let answer: Answer<'a> = from_json(body)?;
        Ok(Tickers::of(answer.products, ticker))
    }

    fn api_errors(&self) -> ReadApiError {
        api_error::coinbase
    }
}

fn ticker(entry: &str) -> Result<Option<Ticker<'_>>, String> {
    let product: Product<'_> = from_json(entry)?;
    let is = |field: &Option<Text<'_>>, text: &str| {
        let field = field.as_ref();
        field.is_none_or(|field| field.0 == text)
    };
    let is_tradable = is(&product.product_type, "SPOT")
        && is(&product.status, "online")
        && is(&product.alias, "")
        && product.trading_disabled != Some(true);
    if !is_tradable {
        return Ok(None);
    }
    let (base, quote) = (&product.base_currency_id, &product.quote_currency_id);
    Ok(Some(Ticker {
        pair: Some(Listing::new(&product.product_id, base, quote).pair),
        symbol: product.product_id,
        price: decimal_text(product.price),
        volume24h: decimal_text(product.volume_24h),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_the_spot_market_have_tickers_and_aliases_have_none() {
        let product = |id: &str, more: &str| {
            let (base, quote) = id.split_once('-').expect("two currencies");
            format!(
                r#"{{"product_id":"{id}","price":"68925.98","volume_24h":"11005.02587005",
                "base_currency_id":"{base}","quote_currency_id":"{quote}",{more}}}"#
            )
        };
        let products = [
            product(
                "BTC-USD",
                r#""status":"online","trading_disabled":false,"product_type":"SPOT","alias":"""#,
            ),
            product("BTC-USDC", r#""status":"online","alias":"BTC-USD""#),
            product("OLD-USD", r#""status":"delisted","alias":"""#),
            product("SHY-USD", r#""status":"online","trading_disabled":true"#),
            product("BIT-USD", r#""status":"online","product_type":"FUTURE""#),
            r#"{"product_id":"ODD-USD"}"#.to_owned(),
        ];
        let products = products.join(",");
        let body = format!(r#"{{"products":[{products}],"num_products":6,"pagination":null}}"#);
        let tickers = CoinbasePoll.parse(&body).expect("tickers");
        let expected = [Ticker {
            symbol: Cow::Borrowed("BTC-USD"),
            pair: Some("btcusd".to_owned()),
            price: "68925.98",
            volume24h: "11005.02587005",
        }];
        assert_eq!(tickers.found, expected);
        assert_eq!(tickers.rejected_count, 1);
        assert_eq!(tickers.rejected[0].entry, r#"{"product_id":"ODD-USD"}"#);
        assert!(CoinbasePoll.parse(r#"{"message":"down"}"#).is_err());
    }
}
