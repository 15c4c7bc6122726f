//! Bitstamp's WebSocket v2: the channels `live_trades_<market>`.
//!
//! Source: bitstamp.net/websocket/v2 and "Markets" of its HTTP API, the successor of
//! `trading-pairs-info`. Each channel needs a request of its own. Amounts come as JSON numbers and,
//! with their trailing zeros, as texts. `bts:request_reconnect` comes a few seconds before a
//! connection is ended. A `bts:heartbeat` is answered by one.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Millis;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Keepalive, Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{decimal, from_json, integer, listings, or_no_reason, part_of, trade_id};
use crate::json::Text;

/// Name of a market's channel, up to the market.
const CHANNEL: &str = "live_trades_";
const MICROS_PER_MILLI: i64 = 1_000;

/// Bitstamp's spot market.
pub(crate) struct BitstampStream;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    /// Microseconds. `timestamp` is seconds, or milliseconds on some markets.
    #[serde(borrow)]
    microtimestamp: &'a RawValue,
    #[serde(borrow)]
    price_str: Option<&'a RawValue>,
    #[serde(borrow)]
    price: Option<&'a RawValue>,
    #[serde(borrow)]
    amount_str: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Market<'a> {
    #[serde(borrow)]
    market_symbol: Cow<'a, str>,
    #[serde(borrow)]
    base_currency: Cow<'a, str>,
    #[serde(borrow)]
    counter_currency: Cow<'a, str>,
    #[serde(borrow)]
    trading: Cow<'a, str>,
    #[serde(borrow)]
    market_type: Option<Text<'a>>,
}

impl StreamProtocol for BitstampStream {
    fn market(&self) -> &'static str {
        "bitstamp"
    }

    fn default_stream_url(&self) -> &'static str {
        "wss://ws.bitstamp.net"
    }

    fn listings_path(&self) -> &'static str {
        "/api/v2/markets/"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let markets: Vec<&RawValue> = from_json(body)?;
        Ok(listings(markets, listing))
    }

    /// The 1,025th channel ends a connection without a word. Heartbeats are no data: a connection
    /// needs so many pairs that one is traded each minute.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 1_000,
            symbols_per_request: 1,
            request_interval: Duration::from_millis(50),
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(23 * 3_600),
        }
    }

    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let request = |symbol: &String| SubscribeRequest {
            id,
            message: json!({
                "event": "bts:subscribe",
                "data": { "channel": format!("{CHANNEL}{symbol}") },
            })
            .to_string(),
            symbols: vec![symbol.clone()],
        };
        symbols.iter().map(request).collect()
    }

    fn keepalive(&self) -> Option<Keepalive> {
        Some(Keepalive {
            interval: Duration::from_secs(20),
            message: r#"{"event":"bts:heartbeat"}"#,
        })
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        let message: Message<'a> = from_json(message)?;
        let (kind, data) = (message.event, message.data);
        let channel = message.channel;
        let symbol = channel.and_then(|channel| part_of(&channel.0, market_of));
        let event = match &*kind {
            "bts:error" => refusal(symbol, data),
            "bts:request_reconnect" => StreamEvent::Ending { reason: kind },
            _ => match symbol {
                Some(symbol) if kind == "trade" => trade(symbol, data.ok_or("expected data")?)?,
                Some(symbol) if kind == "bts:subscription_succeeded" => {
                    StreamEvent::Subscribed { symbol }
                }
                _ => StreamEvent::Other { kind },
            },
        };
        events.push(event);
        Ok(())
    }
}

/// Market of a channel of trades.
fn market_of(channel: &str) -> Option<&str> {
    channel.strip_prefix(CHANNEL)
}

fn trade<'a>(symbol: Cow<'a, str>, data: &'a RawValue) -> Result<StreamEvent<'a>, String> {
    let trade: Trade<'a> = from_json(data.get())?;
    let price = trade.price_str.or(trade.price);
    let amount = trade.amount_str.or(trade.amount);
    let micros: i64 = integer(trade.microtimestamp)?;
    Ok(StreamEvent::Trade {
        symbol,
        id: trade_id(trade.id)?,
        time: Millis(micros.div_euclid(MICROS_PER_MILLI)),
        price: decimal(price.ok_or("expected a price")?),
        quantity: decimal(amount.ok_or("expected an amount")?),
        count: 1,
    })
}

/// Refusal of a market, where its channel is named, or of a request that is not named.
fn refusal<'a>(symbol: Option<Cow<'a, str>>, data: Option<&'a RawValue>) -> StreamEvent<'a> {
    let failure = data.and_then(|data| from_json::<Failure<'a>>(data.get()).ok());
    StreamEvent::Refused {
        symbol,
        id: None,
        reason: or_no_reason(failure.and_then(|failure| failure.message)),
    }
}

/// Listing of a spot market; perpetuals have symbols like `btcusd-perp`.
fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let market: Market<'_> = from_json(entry)?;
    let kind = market.market_type.as_ref();
    let is_spot = kind.is_none_or(|kind| kind.0.eq_ignore_ascii_case("spot"));
    if !is_spot || market.trading != "Enabled" {
        return Ok(None);
    }
    let (base, quote) = (&market.base_currency, &market.counter_currency);
    Ok(Some(Listing::new(&market.market_symbol, base, quote)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::wire::events_of;
    use super::*;

    fn parsed(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&BitstampStream, message)
    }

    fn traded<'a>(price: &'a str, quantity: &'a str) -> StreamEvent<'a> {
        StreamEvent::Trade {
            symbol: Cow::Borrowed("solusd"),
            id: Cow::Borrowed("216000477"),
            time: Millis(1_772_600_767_596),
            price: Cow::Borrowed(price),
            quantity: Cow::Borrowed(quantity),
            count: 1,
        }
    }

    #[test]
    fn a_trade_has_the_texts_of_its_numbers() {
        let message = r#"{"data":{"id":216000477,"timestamp":"1772600767","amount":0.0792,
            "amount_str":"0.07920000","price":3805.4,"price_str":"3805.40","type":0,
            "microtimestamp":"1772600767596999","buy_order_id":14,"sell_order_id":15},
            "channel":"live_trades_solusd","event":"trade"}"#;
        assert_eq!(parsed(message), Ok(vec![traded("3805.40", "0.07920000")]));
    }

    #[test]
    fn a_trade_without_texts_has_its_numbers_as_they_stand() {
        let message = r#"{"event":"trade","channel":"live_trades_solusd","data":{
            "id":"216000477","amount":1e-8,"price":0.123456789012345678901234567890,
            "microtimestamp":1772600767596000}}"#;
        let expected = traded("0.123456789012345678901234567890", "1e-8");
        assert_eq!(parsed(message), Ok(vec![expected]));
    }

    #[test]
    fn a_channel_is_acknowledged() {
        let message = r#"{"event":"bts:subscription_succeeded","channel":"live_trades_solusd",
            "data":{}}"#;
        let symbol = Cow::Borrowed("solusd");
        assert_eq!(
            parsed(message),
            Ok(vec![StreamEvent::Subscribed { symbol }])
        );
    }

    #[test]
    fn an_error_refuses_the_market_that_it_names() {
        let refused = |symbol: Option<&'static str>, reason: &'static str| StreamEvent::Refused {
            symbol: symbol.map(Cow::Borrowed),
            id: None,
            reason: Cow::Borrowed(reason),
        };
        let message = r#"{"event":"bts:error","channel":"","data":{"code":null,
            "message":"Bad subscription string."}}"#;
        let expected = refused(None, "Bad subscription string.");
        assert_eq!(parsed(message), Ok(vec![expected]));

        let message = r#"{"event":"bts:error","channel":"live_trades_no","data":"?"}"#;
        let expected = refused(Some("no"), "no reason given");
        assert_eq!(parsed(message), Ok(vec![expected]));
    }

    #[test]
    fn a_wish_to_reconnect_announces_the_end() {
        let message = r#"{"event":"bts:request_reconnect","channel":"","data":""}"#;
        let reason = Cow::Borrowed("bts:request_reconnect");
        assert_eq!(parsed(message), Ok(vec![StreamEvent::Ending { reason }]));
    }

    #[test]
    fn other_messages_are_named_by_their_type() {
        let messages = [
            (
                r#"{"event":"bts:heartbeat","data":{"status":"success"}}"#,
                "bts:heartbeat",
            ),
            (
                r#"{"event":"data","channel":"diff_order_book_solusd","data":[]}"#,
                "data",
            ),
            (
                r#"{"event":"trade","channel":"private-my_trades"}"#,
                "trade",
            ),
        ];
        for (message, kind) in messages {
            let kind = Cow::Borrowed(kind);
            assert_eq!(parsed(message), Ok(vec![StreamEvent::Other { kind }]));
        }
    }

    #[test]
    fn a_message_that_is_no_json_or_lacks_a_field_is_an_error() {
        let messages = [
            "",
            "pong",
            "[1]",
            "{}",
            r#"{"event":"trade","channel":"live_trades_solusd"}"#,
            r#"{"event":"trade","channel":"live_trades_solusd","data":{"id":1,"price":2,
                "microtimestamp":"1772600767596000"}}"#,
        ];
        for message in messages {
            assert!(parsed(message).is_err(), "{message}");
        }
    }

    #[test]
    fn each_market_has_a_request() {
        let symbols = ["btcusd".to_owned(), "solusd".to_owned()];
        let requests = BitstampStream.subscribe(7, &symbols);
        assert_eq!(requests.len(), 2);
        for (request, symbol) in requests.iter().zip(&symbols) {
            let message: Value = serde_json::from_str(&request.message).expect("JSON");
            let channel = format!("live_trades_{symbol}");
            let expected = json!({"event": "bts:subscribe", "data": {"channel": channel}});
            assert_eq!(message, expected);
            assert_eq!(request.symbols, std::slice::from_ref(symbol));
        }
    }

    #[test]
    fn spot_markets_that_can_be_traded_are_listed() {
        let body = r#"[
            {"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC",
                "counter_currency":"USD","trading":"Enabled","market_type":"SPOT"},
            {"name":"OLD/USD","market_symbol":"oldusd","base_currency":"OLD",
                "counter_currency":"USD","trading":"Disabled","market_type":"SPOT"},
            {"name":"BTC/USD-PERP","market_symbol":"btcusd-perp","base_currency":"BTC",
                "counter_currency":"USD","trading":"Enabled","market_type":"PERPETUAL"},
            {"market_symbol":"odd"}]"#;
        let listings = BitstampStream.parse_listings(body).expect("listings");
        assert_eq!(listings.tradable, [Listing::new("btcusd", "BTC", "USD")]);
        let rejected = listings.rejected.iter();
        let entries: Vec<_> = rejected.map(|rejected| rejected.entry.as_str()).collect();
        assert_eq!(entries, [r#"{"market_symbol":"odd"}"#]);
        assert!(
            BitstampStream
                .parse_listings(r#"{"status":"error"}"#)
                .is_err()
        );
    }
}
