//! Bybit's spot trades: `publicTrade.SYMBOL` of its v5 API.
//!
//! Source: Bybit's v5 API documentation. A message holds up to 1,024 trades of a symbol:
//! `{"topic":"publicTrade.BTCUSDT","data":[{"T":..,"s":"BTCUSDT","v":"..","p":"..","i":".."}]}`.
//!
//! A request is answered as a whole. One bad topic refuses all of it, and only that one is named:
//! `{"success":false,"ret_msg":"error:handler not found,topic:publicTrade.X","req_id":"7"}`.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::{Millis, Rejected};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Keepalive, Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{decimal, from_json, integer, listings, or_no_reason, part_of, push_entries};
use crate::json::Text;

const MARKET: &str = "bybit";
/// Topic of a symbol's trades, before the symbol.
const TRADES: &str = "publicTrade.";
/// End of a refusal, before the symbol.
const REFUSED_TOPIC: &str = "topic:publicTrade.";

/// Protocol of Bybit's spot market.
pub(crate) struct BybitStream;

/// A message: events of a topic, or the answer to a request.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    topic: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    op: Option<Text<'a>>,
    success: Option<bool>,
    #[serde(borrow)]
    ret_msg: Option<Text<'a>>,
    #[serde(borrow)]
    req_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow, rename = "T")]
    time: &'a RawValue,
    #[serde(borrow, rename = "s")]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "v")]
    quantity: &'a RawValue,
    #[serde(borrow, rename = "p")]
    price: &'a RawValue,
    #[serde(borrow, rename = "i")]
    id: Cow<'a, str>,
}

/// Answer of the REST API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    ret_code: i64,
    #[serde(borrow)]
    ret_msg: Option<Text<'a>>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// Result of `GET /v5/market/instruments-info`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instruments<'a> {
    #[serde(borrow)]
    list: Vec<&'a RawValue>,
    #[serde(borrow)]
    next_page_cursor: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instrument<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    base_coin: Cow<'a, str>,
    #[serde(borrow)]
    quote_coin: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
}

impl StreamProtocol for BybitStream {
    fn market(&self) -> &'static str {
        MARKET
    }

    fn default_stream_url(&self) -> &'static str {
        "wss://stream.bybit.com/v5/public/spot"
    }

    /// All pairs: the documentation says that the list of spot pairs has no pages, whatever the
    /// limit.
    fn listings_path(&self) -> &'static str {
        "/v5/market/instruments-info?category=spot&limit=1000"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let answer: Answer<'_> = from_json(body)?;
        if answer.ret_code != 0 {
            return Err(format!(
                "{}: {}",
                answer.ret_code,
                or_no_reason(answer.ret_msg)
            ));
        }
        let result = answer.result.ok_or("expected a result")?;
        let instruments: Instruments<'_> = from_json(result.get())?;
        let mut listings = listings(instruments.list, listing);
        let cursor = instruments.next_page_cursor.map(|cursor| cursor.0);
        if cursor.is_some_and(|cursor| !cursor.is_empty()) {
            listings.rejected_count += 1;
            listings.rejected.push(Rejected {
                entry: "nextPageCursor".to_owned(),
                reason: "expected all pairs in one page; those of further ones are missing".into(),
            });
        }
        Ok(listings)
    }

    /// Documented are 10 topics a request, and 21,000 characters of topics a connection: 52 for
    /// each of 400. No pace of requests and no age of a connection is documented; a day bounds how
    /// long a topic that fell silent stays so.
    ///
    /// Pongs do not show that data flows, and there is no other heartbeat. Two minutes without a
    /// trade are a stall among many pairs; a few quiet pairs reconnect needlessly, far below the
    /// 500 connections in five minutes that are allowed.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 400,
            symbols_per_request: 10,
            request_interval: Duration::from_millis(100),
            idle_timeout: Duration::from_secs(120),
            max_age: Duration::from_secs(24 * 3_600),
        }
    }

    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let topic = |symbol: &String| format!("{TRADES}{symbol}");
        let topics: Vec<String> = symbols.iter().map(topic).collect();
        let message = json!({"req_id": id.to_string(), "op": "subscribe", "args": topics});
        vec![SubscribeRequest::new(id, &message, symbols)]
    }

    fn refuses_whole_requests(&self) -> bool {
        true
    }

    fn keepalive(&self) -> Option<Keepalive> {
        Some(Keepalive {
            interval: Duration::from_secs(20),
            message: r#"{"op":"ping"}"#,
        })
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        let message: Message<'a> = from_json(message)?;
        match message.topic {
            None => events.push(message.into_answer()),
            Some(Text(topic)) if topic.starts_with(TRADES) => {
                push_entries(message.data.ok_or("expected data")?, events, trade)?;
            }
            Some(Text(kind)) => events.push(StreamEvent::Other { kind }),
        }
        Ok(())
    }
}

/// Listing of a pair, if it can be traded now.
fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let pair: Instrument<'_> = from_json(entry)?;
    let listing = || Listing::new(&pair.symbol, &pair.base_coin, &pair.quote_coin);
    Ok((pair.status == "Trading").then(listing))
}

impl<'a> Message<'a> {
    /// Event of the answer to a request; that of a pong is [`StreamEvent::Other`].
    fn into_answer(self) -> StreamEvent<'a> {
        let id: Option<u64> = self.req_id.and_then(|id| integer(id).ok());
        let op = self.op.map_or(Cow::Borrowed("unknown"), |op| op.0);
        match (self.success, id) {
            (Some(false), id) => refused(id, or_no_reason(self.ret_msg)),
            (Some(true), Some(id)) if op == "subscribe" => StreamEvent::RequestAccepted { id },
            _ => StreamEvent::Other { kind: op },
        }
    }
}

/// Refusal of a request, with the symbol for whose sake it was refused, if it is named.
fn refused(id: Option<u64>, reason: Cow<'_, str>) -> StreamEvent<'_> {
    let symbol = part_of(&reason, named_symbol);
    StreamEvent::Refused { symbol, id, reason }
}

/// Symbol of a reason like `error:handler not found,topic:publicTrade.XUSDT`.
fn named_symbol(reason: &str) -> Option<&str> {
    let (_, symbol) = reason.rsplit_once(REFUSED_TOPIC)?;
    (!symbol.is_empty()).then_some(symbol)
}

/// A trade. Ids of spot trades are digits, those of other markets are not.
fn trade(entry: &str) -> Result<StreamEvent<'_>, String> {
    let trade: Trade<'_> = from_json(entry)?;
    if trade.id.is_empty() {
        return Err("expected a trade id, got none".to_owned());
    }
    Ok(StreamEvent::Trade {
        symbol: trade.symbol,
        id: trade.id,
        time: Millis(integer(trade.time)?),
        price: decimal(trade.price),
        quantity: decimal(trade.quantity),
        count: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::events_of;
    use super::*;

    const GOOD: &str = r#"{"i":"2290000000700000017","T":1795516262013,"p":"68123.45",
        "v":"0.000317","S":"Sell","seq":79001122334,"s":"BTCUSDT","BT":false,"RPI":false}"#;

    fn events(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&BybitStream, message)
    }

    fn wrapped(trades: &str) -> String {
        let topic = "publicTrade.BTCUSDT";
        format!(r#"{{"topic":"{topic}","ts":1795516262014,"type":"snapshot","data":[{trades}]}}"#)
    }

    fn good_trade() -> StreamEvent<'static> {
        StreamEvent::Trade {
            symbol: "BTCUSDT".into(),
            id: "2290000000700000017".into(),
            time: Millis(1_795_516_262_013),
            price: "68123.45".into(),
            quantity: "0.000317".into(),
            count: 1,
        }
    }

    fn other(kind: &str) -> StreamEvent<'_> {
        let kind = Cow::Borrowed(kind);
        StreamEvent::Other { kind }
    }

    fn refusal<'a>(symbol: Option<&'a str>, id: Option<u64>, reason: &'a str) -> StreamEvent<'a> {
        let (symbol, reason) = (symbol.map(Cow::Borrowed), reason.into());
        StreamEvent::Refused { symbol, id, reason }
    }

    #[test]
    fn trades_keep_their_order_and_decimal_texts() {
        let message = wrapped(&format!(
            r#"{GOOD},{{"T":1795516262014,"s":"\u9f99USDT","v":1e-7,
               "p":123456789012345.678901234567890,"i":"9dc75fca"}}"#
        ));
        let second = StreamEvent::Trade {
            symbol: "龙USDT".into(),
            id: "9dc75fca".into(),
            time: Millis(1_795_516_262_014),
            price: "123456789012345.678901234567890".into(),
            quantity: "1e-7".into(),
            count: 1,
        };
        assert_eq!(events(&message), Ok(vec![good_trade(), second]));
        assert_eq!(events(&wrapped("")), Ok(Vec::new()));
    }

    #[test]
    fn a_bad_trade_costs_none_beside_it() {
        let cases = [
            (r#""T":"x","i":"7""#, "expected a whole number, got \"x\""),
            (r#""T":1,"i":"""#, "expected a trade id, got none"),
        ];
        for (fields, reason) in cases {
            let bad = format!(r#"{{"s":"BTCUSDT","v":"1","p":"2",{fields}}}"#);
            let (entry, reason) = (bad.as_str().into(), reason.to_owned());
            let invalid = StreamEvent::Invalid { entry, reason };
            let expected = vec![good_trade(), invalid, good_trade()];
            let message = wrapped(&format!("{GOOD},{bad},{GOOD}"));
            assert_eq!(events(&message), Ok(expected));
        }
        let no_price = r#"{"T":1,"s":"BTCUSDT","v":"1","i":"7"}"#;
        let reason = trade(no_price).expect_err("an error");
        assert!(reason.starts_with("missing field `p`"), "{reason}");
    }

    #[test]
    fn a_request_is_accepted_by_its_id() {
        let ack = r#"{"success":true,"ret_msg":"subscribe","conn_id":"d9","req_id":"7",
            "op":"subscribe"}"#;
        assert_eq!(
            events(ack),
            Ok(vec![StreamEvent::RequestAccepted { id: 7 }])
        );
        let unnamed = r#"{"success":true,"ret_msg":"","req_id":"","op":"subscribe"}"#;
        assert_eq!(events(unnamed), Ok(vec![other("subscribe")]));
    }

    #[test]
    fn a_refusal_names_the_symbol_for_whose_sake_it_is() {
        let reason = "error:handler not found,topic:publicTrade.NOUSDT";
        let (head, tail) = (r#""success":false"#, r#""req_id":"7","op":"subscribe""#);
        let unknown = format!(r#"{{{head},"ret_msg":"{reason}",{tail}}}"#);
        let expected = vec![refusal(Some("NOUSDT"), Some(7), reason)];
        assert_eq!(events(&unknown), Ok(expected));
        let too_many = r#"{"success":false,"ret_msg":"args size \u003e10","op":"subscribe"}"#;
        let expected = vec![refusal(None, None, "args size >10")];
        assert_eq!(events(too_many), Ok(expected));
    }

    #[test]
    fn a_pong_is_no_sign_of_data_and_other_messages_are_named_by_their_type() {
        let pong = r#"{"success":true,"ret_msg":"pong","conn_id":"d9","op":"ping"}"#;
        assert_eq!(events(pong), Ok(vec![other("ping")]));
        let pong = r#"{"req_id":"7","op":"pong","args":["1795516262013"]}"#;
        assert_eq!(events(pong), Ok(vec![other("pong")]));
        let ticker = r#"{"topic":"tickers.BTCUSDT","type":"snapshot","data":{"lastPrice":"1"}}"#;
        assert_eq!(events(ticker), Ok(vec![other("tickers.BTCUSDT")]));
        assert_eq!(events("{}"), Ok(vec![other("unknown")]));
    }

    #[test]
    fn a_message_that_cannot_be_read_is_an_error() {
        let no_trades = r#"{"topic":"publicTrade.BTCUSDT"}"#;
        let no_list = r#"{"topic":"publicTrade.BTCUSDT","data":{}}"#;
        for message in ["", "pong", "7", no_trades, no_list] {
            assert!(events(message).is_err(), "{message}");
        }
    }

    #[test]
    fn listings_are_pairs_that_trade_now_and_a_bad_entry_costs_no_other() {
        let body = r#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[
            {"symbol":"ETHBTC","baseCoin":"ETH","quoteCoin":"BTC","status":"Trading"},
            {"symbol":"OLDBTC","baseCoin":"OLD","quoteCoin":"BTC","status":"Closed"},
            {"symbol":17},
            {"symbol":"龙USDT","baseCoin":"龙","quoteCoin":"USDT","status":"Trading"}],
            "nextPageCursor":"more"},"time":1795516262013}"#;
        let listings = BybitStream.parse_listings(body).expect("a list");
        let eth = Listing::new("ETHBTC", "ETH", "BTC");
        let dragon = Listing::new("龙USDT", "龙", "USDT");
        assert_eq!(listings.tradable, [eth, dragon]);
        let rejected: Vec<&str> = listings.rejected.iter().map(|r| &*r.entry).collect();
        assert_eq!(rejected, [r#"{"symbol":17}"#, "nextPageCursor"]);
        let error = r#"{"retCode":10006,"retMsg":"Too many visits!","result":{}}"#;
        let reason = BybitStream.parse_listings(error).expect_err("an error");
        assert_eq!(reason, "10006: Too many visits!");
    }

    #[test]
    fn a_request_names_topics_and_its_id_as_text() {
        let symbols = ["BTCUSDT".to_owned(), "龙USDT".to_owned()];
        let topics = ["publicTrade.BTCUSDT", "publicTrade.龙USDT"];
        let message = json!({"req_id": "9", "op": "subscribe", "args": topics}).to_string();
        let requests = BybitStream.subscribe(9, &symbols);
        assert_eq!((requests[0].id, &requests[0].message), (9, &message));
        assert_eq!(requests[0].symbols, symbols);
    }
}
