//! Coinbase Exchange's WebSocket feed: channels `matches` and `heartbeat`.
//!
//! Source: docs.cdp.coinbase.com, "Exchange WebSocket Feed" and "Get all known trading pairs". A
//! connection without a request within 5 seconds is ended. A subscription begins with a
//! `last_match` of each product: an old trade, repeated each time. `subscriptions` lists all that a
//! connection has subscribed to, not only by the last request. New message types may come at
//! any time.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{decimal, from_json, listings, or_no_reason, part_of, time, trade_id};
use crate::json::Text;

const CHANNEL: &str = "matches";

/// Coinbase Exchange's spot market.
pub(crate) struct CoinbaseStream;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Match<'a> {
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    size: &'a RawValue,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

#[derive(Deserialize)]
struct LastMatch<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
}

#[derive(Deserialize)]
struct Heartbeat<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Subscriptions<'a> {
    #[serde(borrow)]
    channels: Vec<Channel<'a>>,
}

#[derive(Deserialize)]
struct Channel<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    product_ids: Option<Vec<Text<'a>>>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    base_currency: Cow<'a, str>,
    #[serde(borrow)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    trading_disabled: Option<bool>,
}

impl StreamProtocol for CoinbaseStream {
    fn market(&self) -> &'static str {
        "coinbase"
    }

    fn default_stream_url(&self) -> &'static str {
        "wss://ws-feed.exchange.coinbase.com"
    }

    fn listings_path(&self) -> &'static str {
        "/products"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let products: Vec<&RawValue> = from_json(body)?;
        Ok(listings(products, listing))
    }

    /// 8 connections a second and 100 messages a second are allowed. A heartbeat comes each second.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 500,
            symbols_per_request: 100,
            request_interval: Duration::from_millis(200),
            idle_timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(23 * 3_600),
        }
    }

    /// Heartbeats come per product; those of the first one show that the connection lives.
    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let first = symbols.first();
        let message = json!({
            "type": "subscribe",
            "channels": [
                { "name": CHANNEL, "product_ids": symbols },
                { "name": "heartbeat", "product_ids": first.as_slice() },
            ],
        });
        vec![SubscribeRequest::new(id, &message, symbols)]
    }

    fn refuses_whole_requests(&self) -> bool {
        true
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        let Message { kind } = from_json(message)?;
        let event = match &*kind {
            "match" => trade(message)?,
            "last_match" => last_price(message)?,
            "heartbeat" => heartbeat(message)?,
            "error" => refusal(message)?,
            "subscriptions" => return push_subscribed(message, events),
            _ => StreamEvent::Other { kind },
        };
        events.push(event);
        Ok(())
    }
}

fn trade(message: &str) -> Result<StreamEvent<'_>, String> {
    let trade: Match<'_> = from_json(message)?;
    Ok(StreamEvent::Trade {
        symbol: trade.product_id,
        id: trade_id(trade.trade_id)?,
        time: time(&trade.time)?,
        price: decimal(trade.price),
        quantity: decimal(trade.size),
        count: 1,
    })
}

fn last_price(message: &str) -> Result<StreamEvent<'_>, String> {
    let last: LastMatch<'_> = from_json(message)?;
    Ok(StreamEvent::LastPrice {
        symbol: last.product_id,
        price: decimal(last.price),
    })
}

fn heartbeat(message: &str) -> Result<StreamEvent<'_>, String> {
    let heartbeat: Heartbeat<'_> = from_json(message)?;
    Ok(StreamEvent::Heartbeat {
        time: Some(time(&heartbeat.time)?),
    })
}

fn push_subscribed<'a>(message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
    let subscriptions: Subscriptions<'a> = from_json(message)?;
    let channels = subscriptions.channels.into_iter();
    let products = channels
        .filter(|channel| channel.name == CHANNEL)
        .flat_map(|channel| channel.product_ids.unwrap_or_default());
    events.extend(products.map(|Text(symbol)| StreamEvent::Subscribed { symbol }));
    Ok(())
}

/// Refusal of a whole request; its reason may name the product that is to blame.
fn refusal(message: &str) -> Result<StreamEvent<'_>, String> {
    let Failure { message, reason } = from_json(message)?;
    let symbol = reason
        .as_ref()
        .and_then(|reason| part_of(&reason.0, named_product));
    let reason = match (message, reason) {
        (Some(Text(message)), Some(Text(reason))) => Cow::Owned(format!("{message}: {reason}")),
        (message, reason) => or_no_reason(reason.or(message)),
    };
    Ok(StreamEvent::Refused {
        symbol,
        id: None,
        reason,
    })
}

/// Product of a reason like "X-USD is not a valid product".
fn named_product(reason: &str) -> Option<&str> {
    let (product, _) = reason.split_once(" is ")?;
    (product.contains('-') && !product.contains(' ')).then_some(product)
}

fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let product: Product<'_> = from_json(entry)?;
    if product.status != "online" || product.trading_disabled == Some(true) {
        return Ok(None);
    }
    let (base, quote) = (&product.base_currency, &product.quote_currency);
    Ok(Some(Listing::new(&product.id, base, quote)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::wire::events_of;
    use super::*;

    fn parsed(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&CoinbaseStream, message)
    }

    fn subscribed(symbol: &str) -> StreamEvent<'_> {
        let symbol = Cow::Borrowed(symbol);
        StreamEvent::Subscribed { symbol }
    }

    #[test]
    fn a_match_is_a_trade_with_the_numbers_as_they_stand() {
        let message = r#"{"type":"match","trade_id":9007199254740993,"maker_order_id":"a",
            "taker_order_id":"b","side":"sell","size":"985.10",
            "price":0.123456789012345678901234567890,"product_id":"SOL-USD","sequence":7,
            "time":"2026-03-04T05:06:07.089723Z"}"#;
        let expected = vec![StreamEvent::Trade {
            symbol: Cow::Borrowed("SOL-USD"),
            id: Cow::Borrowed("9007199254740993"),
            time: time("2026-03-04T05:06:07.089Z").expect("a time"),
            price: Cow::Borrowed("0.123456789012345678901234567890"),
            quantity: Cow::Borrowed("985.10"),
            count: 1,
        }];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn the_last_match_before_a_subscription_is_a_price_and_no_trade() {
        let message = r#"{"type":"last_match","trade_id":8,"size":"0.04","price":"14.77",
            "side":"sell","product_id":"SOL-USD","time":"2026-03-03T05:06:07.244075Z"}"#;
        let expected = vec![StreamEvent::LastPrice {
            symbol: Cow::Borrowed("SOL-USD"),
            price: Cow::Borrowed("14.77"),
        }];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn a_heartbeat_has_the_time_of_the_exchange() {
        let message = r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,
            "product_id":"SOL-USD","time":"2026-03-04T05:06:08.464459Z"}"#;
        let time = time("2026-03-04T05:06:08.464Z").ok();
        assert_eq!(parsed(message), Ok(vec![StreamEvent::Heartbeat { time }]));
    }

    #[test]
    fn products_of_the_channel_of_trades_are_acknowledged() {
        let message = r#"{"type":"subscriptions","channels":[
            {"name":"heartbeat","product_ids":["SOL-USD"],"account_ids":null},
            {"name":"status","product_ids":null},
            {"name":"matches","product_ids":["SOL-USD","BTC-USD"]}]}"#;
        let expected = vec![subscribed("SOL-USD"), subscribed("BTC-USD")];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn a_refusal_names_the_product_where_its_reason_does() {
        let refused = |symbol: Option<&'static str>, reason: &'static str| {
            Ok(vec![StreamEvent::Refused {
                symbol: symbol.map(Cow::Borrowed),
                id: None,
                reason: Cow::Borrowed(reason),
            }])
        };
        let message = r#"{"type":"error","message":"Failed to subscribe",
            "reason":"NO-USD is not a valid product"}"#;
        let reason = "Failed to subscribe: NO-USD is not a valid product";
        assert_eq!(parsed(message), refused(Some("NO-USD"), reason));

        let message = r#"{"type":"error","message":"Malformed JSON"}"#;
        assert_eq!(parsed(message), refused(None, "Malformed JSON"));
        assert_eq!(
            parsed(r#"{"type":"error"}"#),
            refused(None, "no reason given")
        );
    }

    #[test]
    fn an_unknown_type_is_named() {
        let kind = Cow::Borrowed("received");
        let message = r#"{"type":"received","price":{},"product_id":7}"#;
        assert_eq!(parsed(message), Ok(vec![StreamEvent::Other { kind }]));
    }

    #[test]
    fn a_message_that_is_no_json_or_lacks_a_field_is_an_error() {
        let messages = [
            "",
            "pong",
            "[1]",
            "{}",
            r#"{"type":"heartbeat","time":"soon"}"#,
            r#"{"type":"match","trade_id":null,"product_id":"SOL-USD","price":"1","size":"1",
                "time":"2026-03-04T05:06:07Z"}"#,
        ];
        for message in messages {
            assert!(parsed(message).is_err(), "{message}");
        }
    }

    #[test]
    fn a_request_asks_for_trades_of_all_and_heartbeats_of_one() {
        let symbols = ["BTC-USD".to_owned(), "SOL-USD".to_owned()];
        let requests = CoinbaseStream.subscribe(7, &symbols);
        let message: Value = serde_json::from_str(&requests[0].message).expect("JSON");
        let expected = json!({"type": "subscribe", "channels": [
            {"name": "matches", "product_ids": ["BTC-USD", "SOL-USD"]},
            {"name": "heartbeat", "product_ids": ["BTC-USD"]},
        ]});
        assert_eq!((requests.len(), message), (1, expected));
        assert_eq!(requests[0].symbols, symbols);
    }

    #[test]
    fn products_that_can_be_traded_are_listed() {
        let body = r#"[
            {"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"online",
                "trading_disabled":false},
            {"id":"OLD-USD","base_currency":"OLD","quote_currency":"USD","status":"delisted",
                "trading_disabled":true},
            {"id":"OFF-USD","base_currency":"OFF","quote_currency":"USD","status":"online",
                "trading_disabled":true},
            {"id":"ODD-USD"},
            {"id":"SOL-EUR","base_currency":"SOL","quote_currency":"EUR","status":"online"}]"#;
        let listings = CoinbaseStream.parse_listings(body).expect("listings");
        let expected = [
            Listing::new("BTC-USD", "BTC", "USD"),
            Listing::new("SOL-EUR", "SOL", "EUR"),
        ];
        assert_eq!(listings.tradable, expected);
        let rejected = listings
            .rejected
            .iter()
            .map(|rejected| rejected.entry.as_str());
        assert_eq!(rejected.collect::<Vec<_>>(), [r#"{"id":"ODD-USD"}"#]);
        assert!(
            CoinbaseStream
                .parse_listings(r#"{"message":"down"}"#)
                .is_err()
        );
    }
}
