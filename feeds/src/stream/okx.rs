//! OKX's WebSocket v5: the public channel `trades`.
//!
//! Source: okx.com/docs-v5, "WebSocket", "Trades channel" and "Get instruments". A message of
//! trades has no `event`; one entry may stand for several trades at one price (`count`). A
//! connection without data for 30 seconds is ended: the text `ping` is answered by the text `pong`.
//! The end of a connection is announced 30 to 60 seconds before, by a notice of code 64008.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Millis;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Keepalive, Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{
    decimal, from_json, integer, listings, or_no_reason, part_of, push_entries, trade_id,
};
use crate::json::{Text, decimal_text};

const CHANNEL: &str = "trades";
/// Code of the notice that the connection will be closed for an upgrade.
const UPGRADE: &str = "64008";
const PONG: &str = "pong";

/// OKX's spot market.
pub(crate) struct OkxStream;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    arg: Option<Arg<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    inst_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trade<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    trade_id: &'a RawValue,
    #[serde(borrow)]
    px: &'a RawValue,
    #[serde(borrow)]
    sz: &'a RawValue,
    #[serde(borrow)]
    ts: &'a RawValue,
    #[serde(borrow)]
    count: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Instruments<'a> {
    #[serde(borrow)]
    code: &'a RawValue,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instrument<'a> {
    #[serde(borrow)]
    inst_id: Cow<'a, str>,
    #[serde(borrow)]
    base_ccy: Cow<'a, str>,
    #[serde(borrow)]
    quote_ccy: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
}

impl StreamProtocol for OkxStream {
    fn market(&self) -> &'static str {
        "okx"
    }

    fn default_stream_url(&self) -> &'static str {
        "wss://ws.okx.com:8443/ws/v5/public"
    }

    fn listings_path(&self) -> &'static str {
        "/api/v5/public/instruments?instType=SPOT"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let answer: Instruments<'_> = from_json(body)?;
        let code = decimal_text(answer.code);
        if code != "0" {
            return Err(format!("{code}: {}", or_no_reason(answer.msg)));
        }
        Ok(listings(answer.data, listing))
    }

    /// 480 requests an hour on a connection, each of at most 64 KB, and 3 connections a second.
    /// Pongs are no data: a connection needs so many pairs that one is traded each minute.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 300,
            symbols_per_request: 100,
            request_interval: Duration::from_millis(350),
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(23 * 3_600),
        }
    }

    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let channel = |symbol: &String| json!({ "channel": CHANNEL, "instId": symbol });
        let message = json!({
            "id": id.to_string(),
            "op": "subscribe",
            "args": symbols.iter().map(channel).collect::<Vec<_>>(),
        });
        vec![SubscribeRequest::new(id, &message, symbols)]
    }

    fn keepalive(&self) -> Option<Keepalive> {
        Some(Keepalive {
            interval: Duration::from_secs(20),
            message: "ping",
        })
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        if message == PONG {
            let kind = Cow::Borrowed(PONG);
            events.push(StreamEvent::Other { kind });
            return Ok(());
        }
        let mut message: Message<'a> = from_json(message)?;
        if let Some(Text(kind)) = message.event.take() {
            events.push(notice(kind, message));
            return Ok(());
        }
        let arg = message.arg.ok_or("expected an event or an arg")?;
        if arg.channel != CHANNEL {
            events.push(StreamEvent::Other { kind: arg.channel });
            return Ok(());
        }
        push_entries(message.data.ok_or("expected data")?, events, trade)
    }
}

fn trade(entry: &str) -> Result<StreamEvent<'_>, String> {
    let trade: Trade<'_> = from_json(entry)?;
    let count = trade.count.map(integer::<u64>).transpose()?;
    Ok(StreamEvent::Trade {
        symbol: trade.inst_id,
        id: trade_id(trade.trade_id)?,
        time: Millis(integer(trade.ts)?),
        price: decimal(trade.px),
        quantity: decimal(trade.sz),
        count: count.unwrap_or(1),
    })
}

/// Event of a message that has a type.
fn notice<'a>(kind: Cow<'a, str>, message: Message<'a>) -> StreamEvent<'a> {
    let symbol = message.arg.and_then(|arg| arg.inst_id);
    let code = message.code.map(decimal_text);
    match &*kind {
        "subscribe" => match symbol {
            Some(Text(symbol)) => StreamEvent::Subscribed { symbol },
            None => StreamEvent::Other { kind },
        },
        "error" => refusal(symbol, message.id, code, message.msg),
        "notice" if code == Some(UPGRADE) => StreamEvent::Ending {
            reason: or_no_reason(message.msg),
        },
        _ => StreamEvent::Other { kind },
    }
}

/// Refusal of a symbol, or of a whole request.
fn refusal<'a>(
    symbol: Option<Text<'a>>,
    id: Option<&RawValue>,
    code: Option<&str>,
    msg: Option<Text<'a>>,
) -> StreamEvent<'a> {
    let msg = or_no_reason(msg);
    let symbol = symbol.map(|text| text.0);
    StreamEvent::Refused {
        symbol: symbol.or_else(|| part_of(&msg, named_symbol)),
        id: id.and_then(|id| integer(id).ok()),
        reason: match code {
            Some(code) => Cow::Owned(format!("{code}: {msg}")),
            None => msg,
        },
    }
}

/// Symbol of a reason like "channel:trades,instId:X-USDT doesn't exist".
fn named_symbol(reason: &str) -> Option<&str> {
    let (_, rest) = reason.split_once("instId:")?;
    let symbol = rest.split([' ', ',']).next();
    symbol.filter(|symbol| !symbol.is_empty())
}

fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let instrument: Instrument<'_> = from_json(entry)?;
    if instrument.state != "live" {
        return Ok(None);
    }
    let (base, quote) = (&instrument.base_ccy, &instrument.quote_ccy);
    Ok(Some(Listing::new(&instrument.inst_id, base, quote)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::wire::events_of;
    use super::*;

    fn parsed(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&OkxStream, message)
    }

    fn traded<'a>(id: &'a str, price: &'a str, count: u64) -> StreamEvent<'a> {
        StreamEvent::Trade {
            symbol: Cow::Borrowed("SOL-USDT"),
            id: Cow::Borrowed(id),
            time: Millis(1_772_600_767_685),
            price: Cow::Borrowed(price),
            quantity: Cow::Borrowed("0.10"),
            count,
        }
    }

    #[test]
    fn an_entry_stands_for_as_many_trades_as_it_counts() {
        let message = r#"{"arg":{"channel":"trades","instId":"SOL-USDT"},"data":[
            {"instId":"SOL-USDT","tradeId":"674510826","px":"95634.90","sz":"0.10","side":"buy",
             "ts":"1772600767685","count":"3","seqId":1},
            {"instId":"SOL-USDT","tradeId":674510827,"px":95.123456789012345678901234567890,
             "sz":0.10,"side":"sell","ts":1772600767685,"count":2},
            {"instId":"SOL-USDT","tradeId":"674510828","px":"95635","sz":"0.10","side":"sell",
             "ts":"1772600767685"}]}"#;
        let expected = vec![
            traded("674510826", "95634.90", 3),
            traded("674510827", "95.123456789012345678901234567890", 2),
            traded("674510828", "95635", 1),
        ];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn a_bad_trade_does_not_hide_a_good_one() {
        let bad = r#"{"instId":"SOL-USDT","tradeId":"1","px":"9","sz":"1","ts":"soon"}"#;
        let good = concat!(
            r#"{"instId":"SOL-USDT","tradeId":"2","px":"9.50","sz":"0.10","#,
            r#""ts":"1772600767685","count":"1"}"#
        );
        let message = format!(r#"{{"arg":{{"channel":"trades"}},"data":[{bad},{good}]}}"#);
        let expected = vec![
            StreamEvent::Invalid {
                entry: Cow::Borrowed(bad),
                reason: "expected a whole number, got \"soon\"".to_owned(),
            },
            traded("2", "9.50", 1),
        ];
        assert_eq!(parsed(&message), Ok(expected));
    }

    #[test]
    fn each_symbol_is_acknowledged() {
        let message = r#"{"id":"7","event":"subscribe","connId":"a4d3ae55",
            "arg":{"channel":"trades","instId":"SOL-USDT"}}"#;
        let symbol = Cow::Borrowed("SOL-USDT");
        assert_eq!(
            parsed(message),
            Ok(vec![StreamEvent::Subscribed { symbol }])
        );
    }

    #[test]
    fn an_error_refuses_the_symbol_that_it_names_or_the_request() {
        let message = r#"{"id":"7","event":"error","code":"60018","connId":"a4d3ae55",
            "msg":"Wrong URL or channel:trades,instId:NO-USDT doesn't exist."}"#;
        let reason = "60018: Wrong URL or channel:trades,instId:NO-USDT doesn't exist.";
        let expected = vec![StreamEvent::Refused {
            symbol: Some(Cow::Borrowed("NO-USDT")),
            id: Some(7),
            reason: Cow::Borrowed(reason),
        }];
        assert_eq!(parsed(message), Ok(expected));

        let message = r#"{"event":"error","code":"60012","msg":"Invalid request"}"#;
        let expected = vec![StreamEvent::Refused {
            symbol: None,
            id: None,
            reason: Cow::Borrowed("60012: Invalid request"),
        }];
        assert_eq!(parsed(message), Ok(expected));
    }

    #[test]
    fn a_notice_of_an_upgrade_announces_the_end() {
        let message = r#"{"event":"notice","code":"64008","msg":"Please reconnect."}"#;
        let reason = Cow::Borrowed("Please reconnect.");
        assert_eq!(parsed(message), Ok(vec![StreamEvent::Ending { reason }]));
    }

    #[test]
    fn other_messages_are_named_by_their_type() {
        let messages = [
            ("pong", "pong"),
            (r#"{"event":"notice","code":"64000","msg":""}"#, "notice"),
            (r#"{"event":"channel-conn-count"}"#, "channel-conn-count"),
            (r#"{"arg":{"channel":"status"},"data":{}}"#, "status"),
        ];
        for (message, kind) in messages {
            let kind = Cow::Borrowed(kind);
            assert_eq!(parsed(message), Ok(vec![StreamEvent::Other { kind }]));
        }
    }

    #[test]
    fn a_message_that_is_no_json_or_has_no_type_is_an_error() {
        for message in ["", "ping", "[1]", "{}", r#"{"arg":{"channel":"trades"}}"#] {
            assert!(parsed(message).is_err(), "{message}");
        }
    }

    #[test]
    fn a_request_has_a_channel_for_each_symbol() {
        let symbols = ["BTC-USDT".to_owned(), "SOL-USDT".to_owned()];
        let requests = OkxStream.subscribe(7, &symbols);
        let message: Value = serde_json::from_str(&requests[0].message).expect("JSON");
        let expected = json!({"id": "7", "op": "subscribe", "args": [
            {"channel": "trades", "instId": "BTC-USDT"},
            {"channel": "trades", "instId": "SOL-USDT"},
        ]});
        assert_eq!((requests.len(), message), (1, expected));
        assert_eq!(requests[0].symbols, symbols);
    }

    #[test]
    fn live_instruments_are_listed() {
        let body = r#"{"code":"0","msg":"","data":[
            {"instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","state":"live"},
            {"instId":"OLD-USDT","baseCcy":"OLD","quoteCcy":"USDT","state":"suspend"},
            {"instId":"ODD-USDT"}]}"#;
        let listings = OkxStream.parse_listings(body).expect("listings");
        let expected = [Listing::new("BTC-USDT", "BTC", "USDT")];
        assert_eq!(listings.tradable, expected);
        let rejected = listings.rejected.iter();
        let entries: Vec<_> = rejected.map(|rejected| rejected.entry.as_str()).collect();
        assert_eq!(entries, [r#"{"instId":"ODD-USDT"}"#]);

        let body = r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#;
        let error = OkxStream.parse_listings(body).expect_err("an error");
        assert_eq!(error, "50011: Too Many Requests");
    }
}
