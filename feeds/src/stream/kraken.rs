//! Kraken's WebSocket v2: the candles of channel `ohlc`, of one minute.
//!
//! Source: docs.kraken.com, "Spot WebSocket v2" (`ohlc`, `heartbeat`, `status`) and "Get Tradable
//! Asset Pairs". Numbers are JSON numbers. A candle has no flag that says that it is closed, and
//! its own `timestamp` is the end of its minute: only that of the message is the time of the event.
//! A snapshot holds the candles of the last ten minutes or so. A heartbeat comes each second in
//! which nothing else does. Symbols are those of REST's `wsname` with BTC for XBT and DOGE for XDG.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Millis;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{add_listing, decimal, from_json, or_no_reason, push_entries, time};
use crate::json::{Entries, Text};

const CHANNEL: &str = "ohlc";
/// Minutes of a candle.
const INTERVAL: u64 = 1;

/// Kraken's spot market.
pub(crate) struct KrakenStream;

/// A message of a channel, or the reply to a request.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    channel: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Text<'a>>,
    success: Option<bool>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    symbol: Option<Text<'a>>,
    req_id: Option<u64>,
}

#[derive(Deserialize)]
struct Candle<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    interval: u64,
    #[serde(borrow)]
    interval_begin: Cow<'a, str>,
    #[serde(borrow)]
    high: &'a RawValue,
    #[serde(borrow)]
    low: &'a RawValue,
    #[serde(borrow)]
    close: &'a RawValue,
    #[serde(borrow)]
    volume: &'a RawValue,
    trades: Option<u64>,
}

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow)]
    symbol: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct AssetPairs<'a> {
    #[serde(default)]
    error: Vec<String>,
    #[serde(borrow)]
    result: Option<Entries<'a>>,
}

#[derive(Deserialize)]
struct AssetPair<'a> {
    #[serde(borrow)]
    wsname: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

impl StreamProtocol for KrakenStream {
    fn market(&self) -> &'static str {
        "kraken"
    }

    fn default_stream_url(&self) -> &'static str {
        "wss://ws.kraken.com/v2"
    }

    fn listings_path(&self) -> &'static str {
        "/0/public/AssetPairs"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let answer: AssetPairs<'_> = from_json(body)?;
        if !answer.error.is_empty() {
            return Err(answer.error.join(", "));
        }
        let pairs = answer.result.ok_or("expected a result")?;
        let mut listings = Listings::default();
        for (name, pair) in pairs.0 {
            add_listing(&mut listings, &name, listing(pair.get()));
        }
        Ok(listings)
    }

    /// No limit is documented; clients saw "Exceeded msg rate" after 15 requests at once.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 500,
            symbols_per_request: 50,
            request_interval: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(23 * 3_600),
        }
    }

    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let message = json!({
            "method": "subscribe",
            "params": {
                "channel": CHANNEL,
                "symbol": symbols,
                "interval": INTERVAL,
                "snapshot": true,
            },
            "req_id": id,
        });
        vec![SubscribeRequest::new(id, &message, symbols)]
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        let mut message: Message<'a> = from_json(message)?;
        let Some(Text(channel)) = message.channel.take() else {
            events.push(reply(message)?);
            return Ok(());
        };
        match &*channel {
            CHANNEL => return push_candles(&message, events),
            "heartbeat" => events.push(StreamEvent::Heartbeat { time: None }),
            _ => events.push(StreamEvent::Other { kind: channel }),
        }
        Ok(())
    }
}

fn push_candles<'a>(
    message: &Message<'a>,
    events: &mut Vec<StreamEvent<'a>>,
) -> Result<(), String> {
    let sent = message.timestamp.as_ref();
    let sent = sent.map(|text| time(&text.0)).transpose()?;
    let candles = message.data.ok_or("expected data")?;
    push_entries(candles, events, |entry| candle(entry, sent))
}

/// A candle, of a snapshot too, at the time at which its message was sent.
fn candle(entry: &str, sent: Option<Millis>) -> Result<StreamEvent<'_>, String> {
    let candle: Candle<'_> = from_json(entry)?;
    if candle.interval != INTERVAL {
        let interval = candle.interval;
        return Err(format!(
            "expected an interval of {INTERVAL}, got {interval}"
        ));
    }
    let begin = time(&candle.interval_begin)?;
    Ok(StreamEvent::Candle {
        symbol: candle.symbol,
        minute: begin.minute(),
        time: sent.unwrap_or(begin),
        close: decimal(candle.close),
        high: decimal(candle.high),
        low: decimal(candle.low),
        volume: decimal(candle.volume),
        trades: candle.trades,
        closed: false,
    })
}

/// Event of a reply: there is one for each symbol of a request.
fn reply(message: Message<'_>) -> Result<StreamEvent<'_>, String> {
    if message.success == Some(false) {
        return Ok(StreamEvent::Refused {
            symbol: message.symbol.map(|text| text.0),
            id: message.req_id,
            reason: or_no_reason(message.error),
        });
    }
    let Text(kind) = message.method.ok_or("expected a channel or a method")?;
    match message.result {
        Some(result) if kind == "subscribe" => {
            let subscription: Subscription<'_> = from_json(result.get())?;
            Ok(match subscription.symbol {
                Some(Text(symbol)) => StreamEvent::Subscribed { symbol },
                None => StreamEvent::Other { kind },
            })
        }
        _ => Ok(StreamEvent::Other { kind }),
    }
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
    let symbol = format!("{}/{}", stream_name(base), stream_name(quote));
    Ok(Some(Listing::new(&symbol, base, quote)))
}

/// Name of a currency in symbols of the stream.
fn stream_name(currency: &str) -> &str {
    match currency {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use marketlake_model::Rejected;
    use serde_json::Value;

    use super::super::wire::events_of;
    use super::*;

    fn parsed(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&KrakenStream, message)
    }

    fn at(text: &str) -> Millis {
        time(text).expect("a time")
    }

    fn candle_at<'a>(minute: &str, time: &str, close: &'a str) -> StreamEvent<'a> {
        StreamEvent::Candle {
            symbol: Cow::Borrowed("SOL/USD"),
            minute: at(minute).minute(),
            time: at(time),
            close: Cow::Borrowed(close),
            high: Cow::Borrowed("71.50"),
            low: Cow::Borrowed("70"),
            volume: Cow::Borrowed("1.25e-7"),
            trades: Some(3),
            closed: false,
        }
    }

    #[test]
    fn candles_of_a_snapshot_keep_their_minutes_and_numbers() {
        let message = r#"{"channel":"ohlc","type":"snapshot",
            "timestamp":"2026-03-04T05:08:01.806315597Z","data":[
            {"symbol":"SOL/USD","open":70.1,"high":71.50,"low":70,"close":70.30,"trades":3,
             "volume":1.25e-7,"vwap":70.2,"interval_begin":"2026-03-04T05:06:00.000000000Z",
             "interval":1,"timestamp":"2026-03-04T05:07:00.000000Z"},
            {"symbol":"SOL/USD","open":70.1,"high":71.50,"low":70,
             "close":70.123456789012345678901234567890,"trades":3,"volume":1.25e-7,"vwap":70.2,
             "interval_begin":"2026-03-04T05:07:00.000000000Z","interval":1}]}"#;
        let sent = "2026-03-04T05:08:01.806Z";
        let long = "70.123456789012345678901234567890";
        let expected = vec![
            candle_at("2026-03-04T05:06:00Z", sent, "70.30"),
            candle_at("2026-03-04T05:07:00Z", sent, long),
        ];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn a_bad_candle_does_not_hide_a_good_one() {
        let bad = concat!(
            r#"{"symbol":"ETH/USD","interval":5,"interval_begin":"2026-03-04T05:05:00Z","#,
            r#""high":2,"low":1,"close":2,"volume":9}"#
        );
        let good = concat!(
            r#"{"symbol":"SOL/USD","interval":1,"interval_begin":"2026-03-04T05:06:00Z","#,
            r#""high":71.50,"low":70,"close":70.30,"volume":1.25e-7,"trades":3}"#
        );
        // A message without a time: the candle has that of its minute.
        let message = format!(r#"{{"channel":"ohlc","data":[{bad},{good}]}}"#);
        let minute = "2026-03-04T05:06:00Z";
        let expected = vec![
            StreamEvent::Invalid {
                entry: Cow::Borrowed(bad),
                reason: "expected an interval of 1, got 5".to_owned(),
            },
            candle_at(minute, minute, "70.30"),
        ];
        assert_eq!(parsed(&message), Ok(expected));
    }

    #[test]
    fn each_symbol_is_acknowledged_or_refused() {
        let accepted = r#"{"method":"subscribe","req_id":7,"result":{"channel":"ohlc",
            "interval":1,"snapshot":true,"symbol":"SOL/USD"},"success":true,
            "time_in":"2026-03-04T05:06:01.1Z","time_out":"2026-03-04T05:06:01.2Z"}"#;
        let symbol = Cow::Borrowed("SOL/USD");
        assert_eq!(
            parsed(accepted),
            Ok(vec![StreamEvent::Subscribed { symbol }])
        );

        let refused = r#"{"error":"Currency pair not supported NO/USD","method":"subscribe",
            "req_id":7,"success":false,"symbol":"NO/USD","time_in":"2026-03-04T05:06:01.1Z"}"#;
        let expected = vec![StreamEvent::Refused {
            symbol: Some(Cow::Borrowed("NO/USD")),
            id: Some(7),
            reason: Cow::Borrowed("Currency pair not supported NO/USD"),
        }];
        assert_eq!(parsed(refused), Ok(expected));
    }

    #[test]
    fn heartbeats_have_no_time_and_other_messages_their_type() {
        let expected = vec![StreamEvent::Heartbeat { time: None }];
        assert_eq!(parsed(r#"{"channel":"heartbeat"}"#), Ok(expected));
        let messages = [
            (
                r#"{"channel":"status","data":[{"system":"online"}]}"#,
                "status",
            ),
            (r#"{"channel":"news","data":{"any":"thing"}}"#, "news"),
            (r#"{"method":"pong","req_id":42}"#, "pong"),
        ];
        for (message, kind) in messages {
            let kind = Cow::Borrowed(kind);
            assert_eq!(parsed(message), Ok(vec![StreamEvent::Other { kind }]));
        }
    }

    #[test]
    fn a_message_that_is_no_json_or_has_no_type_is_an_error() {
        for message in ["", "pong", "[1]", "{}", r#"{"channel":"ohlc"}"#] {
            assert!(parsed(message).is_err(), "{message}");
        }
    }

    #[test]
    fn a_request_names_its_symbols() {
        let symbols = ["BTC/USD".to_owned(), "SOL/USD".to_owned()];
        let requests = KrakenStream.subscribe(7, &symbols);
        let expected = json!({"method": "subscribe", "req_id": 7, "params": {
            "channel": "ohlc", "symbol": ["BTC/USD", "SOL/USD"], "interval": 1, "snapshot": true,
        }});
        let message: Value = serde_json::from_str(&requests[0].message).expect("JSON");
        assert_eq!((requests.len(), message), (1, expected));
        assert_eq!(requests[0].symbols, symbols);
    }

    #[test]
    fn pairs_that_can_be_traded_are_listed_by_their_stream_names() {
        let body = r#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD",
                "status":"online"},
            "XDGXBT":{"altname":"XDGXBT","wsname":"XDG/XBT"},
            "OLDUSD":{"altname":"OLDUSD","wsname":"OLD/USD","status":"cancel_only"},
            "XXBTZUSD.d":{"altname":"XBTUSD.d","base":"XXBT","quote":"ZUSD"},
            "ODD":{"wsname":"ODDUSD","status":"online"}}}"#;
        let listings = KrakenStream.parse_listings(body).expect("listings");
        let expected = [
            Listing::new("BTC/USD", "btc", "usd"),
            Listing::new("DOGE/BTC", "doge", "btc"),
        ];
        assert_eq!(listings.tradable, expected);
        let rejected = [Rejected {
            entry: "ODD".to_owned(),
            reason: "expected BASE/QUOTE, got \"ODDUSD\"".to_owned(),
        }];
        assert_eq!(listings.rejected, rejected);
    }

    #[test]
    fn an_answer_with_an_error_lists_nothing() {
        let body = r#"{"error":["EGeneral:Temporary lockout"]}"#;
        let error = KrakenStream.parse_listings(body).expect_err("an error");
        assert_eq!(error, "EGeneral:Temporary lockout");
    }
}
