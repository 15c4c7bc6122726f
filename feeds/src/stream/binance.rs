//! Binance's spot candles: `<symbol>@kline_1m` on the combined stream.
//!
//! Source: Binance's spot API documentation. A candle is sent every two seconds while it changes:
//! `{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":..,"s":"BTCUSDT","k":{..}}}`.
//!
//! A request is acknowledged even where it names an unknown symbol, or one in upper case: such a
//! stream stays silent. Only data shows that a symbol is subscribed.

use std::borrow::Cow;
use std::time::Duration;

use marketlake_model::Millis;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;

use super::protocol::{
    Listing, Listings, StreamEvent, StreamLimits, StreamProtocol, SubscribeRequest,
};
use super::wire::{decimal, from_json, integer, listings};
use crate::json::Text;
use crate::poll::binance::MARKET;

/// Protocol of Binance's spot market.
pub(crate) struct BinanceStream;

/// A message, the payload that it wraps, or the error that it holds.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    stream: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    msg: Option<Text<'a>>,
    /// Type of an event.
    #[serde(borrow)]
    e: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct KlineEvent<'a> {
    #[serde(borrow, rename = "E")]
    time: &'a RawValue,
    #[serde(borrow, rename = "s")]
    symbol: Cow<'a, str>,
    #[serde(borrow, rename = "k")]
    kline: Kline<'a>,
}

#[derive(Deserialize)]
struct Kline<'a> {
    #[serde(borrow, rename = "t")]
    start: &'a RawValue,
    #[serde(borrow, rename = "T")]
    end: &'a RawValue,
    #[serde(borrow, rename = "i")]
    interval: Cow<'a, str>,
    #[serde(borrow, rename = "c")]
    close: &'a RawValue,
    #[serde(borrow, rename = "h")]
    high: &'a RawValue,
    #[serde(borrow, rename = "l")]
    low: &'a RawValue,
    #[serde(borrow, rename = "v")]
    volume: &'a RawValue,
    #[serde(borrow, rename = "n")]
    trades: &'a RawValue,
    #[serde(rename = "x")]
    closed: bool,
}

/// Answer of `GET /api/v3/exchangeInfo`.
#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolInfo<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    base_asset: Cow<'a, str>,
    #[serde(borrow)]
    quote_asset: Cow<'a, str>,
    is_spot_trading_allowed: Option<bool>,
}

impl StreamProtocol for BinanceStream {
    fn market(&self) -> &'static str {
        MARKET
    }

    /// Host of market data alone, as that of the polled prices.
    fn default_stream_url(&self) -> &'static str {
        "wss://data-stream.binance.vision/stream"
    }

    fn listings_path(&self) -> &'static str {
        "/api/v3/exchangeInfo?permissions=SPOT&showPermissionSets=false&symbolStatus=TRADING"
    }

    fn parse_listings(&self, body: &str) -> Result<Listings, String> {
        let info: ExchangeInfo<'_> = from_json(body)?;
        Ok(listings(info.symbols, listing))
    }

    /// Documented are 1,024 streams, five messages a second with pongs, and an end after 24 hours.
    /// Clients report that a request every 250 ms is too often, and that one of more than 4,096
    /// bytes gets no answer.
    ///
    /// A pair without a trade sends nothing in its minute. A few quiet pairs thus cost up to one
    /// connection a minute, of 300 allowed in five; among many pairs a silent minute is a stall.
    fn limits(&self) -> StreamLimits {
        StreamLimits {
            max_symbols: 1_024,
            symbols_per_request: 100,
            request_interval: Duration::from_millis(500),
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(23 * 3_600),
        }
    }

    fn subscribe(&self, id: u64, symbols: &[String]) -> Vec<SubscribeRequest> {
        let stream = |symbol: &String| format!("{}@kline_1m", symbol.to_lowercase());
        let streams: Vec<String> = symbols.iter().map(stream).collect();
        let message = json!({"method": "SUBSCRIBE", "params": streams, "id": id});
        vec![SubscribeRequest::new(id, &message, symbols)]
    }

    fn parse<'a>(&self, message: &'a str, events: &mut Vec<StreamEvent<'a>>) -> Result<(), String> {
        events.push(from_json::<Message<'a>>(message)?.into_event(message));
        Ok(())
    }
}

/// Listing of a pair, if it can be traded now.
fn listing(entry: &str) -> Result<Option<Listing>, String> {
    let info: SymbolInfo<'_> = from_json(entry)?;
    let is_tradable = info.status == "TRADING" && info.is_spot_trading_allowed != Some(false);
    let listing = || Listing::new(&info.symbol, &info.base_asset, &info.quote_asset);
    Ok(is_tradable.then(listing))
}

impl<'a> Message<'a> {
    /// Event of a message, of which `text` is the whole.
    fn into_event(self, text: &'a str) -> StreamEvent<'a> {
        let id: Option<u64> = self.id.and_then(|id| integer(id).ok());
        if let Some(data) = self.data {
            return stream_event(self.stream, data.get());
        }
        // The older form of an error is not nested.
        let error = self.error.map(RawValue::get);
        if let Some(error) = error.or(self.msg.map(|_| text)) {
            return refused(id, error);
        }
        match (self.result.map(RawValue::get), id) {
            (Some("null"), Some(id)) => StreamEvent::RequestAccepted { id },
            (Some(_), _) => other("result"),
            (None, _) => stream_event(None, text),
        }
    }
}

/// Refusal of a request, with the message of an error.
fn refused(id: Option<u64>, error: &str) -> StreamEvent<'_> {
    let message = from_json::<Message<'_>>(error).ok().and_then(|m| m.msg);
    let reason = message.map_or(Cow::Borrowed(error), |message| message.0);
    let symbol = None;
    StreamEvent::Refused { symbol, id, reason }
}

fn other(kind: &str) -> StreamEvent<'_> {
    let kind = Cow::Borrowed(kind);
    StreamEvent::Other { kind }
}

/// Event of a payload; one without a type has the type of its stream.
fn stream_event<'a>(stream: Option<Text<'a>>, payload: &'a str) -> StreamEvent<'a> {
    let kind = from_json::<Message<'a>>(payload).ok().and_then(|m| m.e);
    let kind = kind.or(stream).map_or(Cow::Borrowed("unknown"), |k| k.0);
    let entry = Cow::Borrowed(payload);
    match &*kind {
        "kline" => candle(payload).unwrap_or_else(|reason| StreamEvent::Invalid { entry, reason }),
        "serverShutdown" | "!serverShutdown" => StreamEvent::Ending { reason: kind },
        _ => StreamEvent::Other { kind },
    }
}

/// State of a candle of one minute, which begins and ends in whole milliseconds.
fn candle(payload: &str) -> Result<StreamEvent<'_>, String> {
    let event: KlineEvent<'_> = from_json(payload)?;
    let kline = event.kline;
    if kline.interval != "1m" {
        return Err(format!("i: expected 1m, got {}", kline.interval));
    }
    let start = Millis(integer(kline.start)?);
    let minute = start.minute();
    if minute.start() != start {
        return Err(format!("t: expected a whole minute, got {}", start.0));
    }
    // Also tells microseconds from milliseconds, in which a whole minute is whole, too.
    let end: i64 = integer(kline.end)?;
    let expected = minute.plus(1).start().0 - 1;
    if end != expected {
        return Err(format!("T: expected {expected}, got {end}"));
    }
    Ok(StreamEvent::Candle {
        symbol: event.symbol,
        minute,
        time: Millis(integer(event.time)?),
        close: decimal(kline.close),
        high: decimal(kline.high),
        low: decimal(kline.low),
        volume: decimal(kline.volume),
        trades: Some(integer(kline.trades)?),
        closed: kline.closed,
    })
}

/// A value that may be `null`, which `Option` alone takes for an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&'de RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::wire::events_of;
    use super::*;

    const PAYLOAD: &str = r#"{"e":"kline","E":1795516262013,"s":"BTCUSDT","k":{
        "t":1795516260000,"T":1795516319999,"s":"BTCUSDT","i":"1m","f":71,"L":94,
        "o":"68100.10000000","c":"68123.45000000","h":"68130.00000000","l":"68099.90000000",
        "v":"1.20340000","n":24,"x":false,"q":"81980.1","V":"0.7","Q":"47686.2","B":"0"}}"#;

    fn events(message: &str) -> Result<Vec<StreamEvent<'_>>, String> {
        events_of(&BinanceStream, message)
    }

    fn wrapped(payload: &str) -> String {
        format!(r#"{{"stream":"btcusdt@kline_1m","data":{payload}}}"#)
    }

    fn refusal(id: Option<u64>, reason: &str) -> StreamEvent<'_> {
        let (symbol, reason) = (None, reason.into());
        StreamEvent::Refused { symbol, id, reason }
    }

    fn candle_event<'a>(symbol: &'a str, close: &'a str, trades: u64) -> StreamEvent<'a> {
        StreamEvent::Candle {
            symbol: symbol.into(),
            minute: Millis(1_795_516_260_000).minute(),
            time: Millis(1_795_516_262_013),
            close: close.into(),
            high: "68130.00000000".into(),
            low: "68099.90000000".into(),
            volume: "1.20340000".into(),
            trades: Some(trades),
            closed: false,
        }
    }

    #[test]
    fn a_candle_keeps_its_decimal_texts() {
        let expected = vec![candle_event("BTCUSDT", "68123.45000000", 24)];
        assert_eq!(events(&wrapped(PAYLOAD)), Ok(expected));
    }

    #[test]
    fn json_numbers_keep_all_digits_and_symbols_may_be_of_any_script() {
        let close = "123456789012345.678901234567890";
        for base in ["龙", r"\u9f99"] {
            let payload = PAYLOAD
                .replace(r#""68123.45000000""#, close)
                .replace(":24,", r#":"25","#)
                .replace("BTC", base);
            let expected = vec![candle_event("龙USDT", close, 25)];
            assert_eq!(events(&wrapped(&payload)), Ok(expected));
        }
    }

    #[test]
    fn a_candle_that_is_not_of_one_whole_minute_is_invalid() {
        let start = "t: expected a whole minute, got 1795516260001";
        let end = "T: expected 1795516319999, got 1795516319998";
        let cases = [
            (r#""1m""#, r#""3m""#, "i: expected 1m, got 3m"),
            ("6260000,", "6260001,", start),
            ("6319999,", "6319998,", end),
            (":24,", ":-1,", "expected a whole number, got \"-1\""),
        ];
        for (good, bad, reason) in cases {
            let payload = PAYLOAD.replace(good, bad);
            let (entry, reason) = (payload.as_str().into(), reason.to_owned());
            let expected = vec![StreamEvent::Invalid { entry, reason }];
            assert_eq!(events(&wrapped(&payload)), Ok(expected));
        }
    }

    #[test]
    fn a_request_is_accepted_by_its_id_and_refused_in_either_form_of_an_error() {
        let accepted = vec![StreamEvent::RequestAccepted { id: 7 }];
        assert_eq!(events(r#"{"result":null,"id":7}"#), Ok(accepted));
        let nested = r#"{"error":{"code":4,"msg":"Too many"},"id":7}"#;
        assert_eq!(events(nested), Ok(vec![refusal(Some(7), "Too many")]));
        let flat = r#"{"code":2,"msg":"Invalid \"x\""}"#;
        assert_eq!(events(flat), Ok(vec![refusal(None, "Invalid \"x\"")]));
        let bare = r#"{"error":"down","id":null}"#;
        assert_eq!(events(bare), Ok(vec![refusal(None, "\"down\"")]));
    }

    #[test]
    fn a_shutdown_is_an_ending_and_other_messages_are_named_by_their_type_or_stream() {
        let bare = r#"{"e":"serverShutdown","E":1795516262013}"#;
        let wrapped = format!(r#"{{"stream":"!serverShutdown","data":{bare}}}"#);
        let reason = Cow::Borrowed("serverShutdown");
        let expected = vec![StreamEvent::Ending { reason }];
        assert_eq!(events(bare), Ok(expected.clone()));
        assert_eq!(events(&wrapped), Ok(expected));
        let trade = r#"{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","p":"1"}}"#;
        assert_eq!(events(trade), Ok(vec![other("trade")]));
        let list = r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}"#;
        assert_eq!(events(list), Ok(vec![other("!miniTicker@arr")]));
        let subscriptions = r#"{"result":["btcusdt@kline_1m"],"id":3}"#;
        assert_eq!(events(subscriptions), Ok(vec![other("result")]));
        assert_eq!(events("{}"), Ok(vec![other("unknown")]));
    }

    #[test]
    fn a_message_that_is_no_json_object_is_an_error() {
        for message in ["", "pong", "7", r#"{"stream":"btcusdt@kline_1m","#] {
            assert!(events(message).is_err(), "{message}");
        }
    }

    #[test]
    fn listings_are_pairs_that_trade_now_and_a_bad_entry_costs_no_other() {
        let body = r#"{"timezone":"UTC","symbols":[{"symbol":17},
            {"symbol":"ETHBTC","status":"TRADING","baseAsset":"ETH","quoteAsset":"BTC"},
            {"symbol":"OLDBTC","status":"BREAK","baseAsset":"OLD","quoteAsset":"BTC"},
            {"symbol":"LVGUSDT","status":"TRADING","baseAsset":"LVG","quoteAsset":"USDT",
             "isSpotTradingAllowed":false},
            {"symbol":"龙USDT","status":"TRADING","baseAsset":"龙","quoteAsset":"USDT",
             "isSpotTradingAllowed":true}]}"#;
        let listings = BinanceStream.parse_listings(body).expect("a list");
        let eth = Listing::new("ETHBTC", "ETH", "BTC");
        let dragon = Listing::new("龙USDT", "龙", "USDT");
        assert_eq!(listings.tradable, [eth, dragon]);
        assert_eq!(listings.rejected.len(), 1);
        assert_eq!(listings.rejected[0].entry, r#"{"symbol":17}"#);
        assert!(BinanceStream.parse_listings(r#"{"code":-1003}"#).is_err());
    }

    #[test]
    fn a_request_names_streams_in_lower_case_and_stays_below_4096_bytes() {
        let symbols = ["BTCUSDT".to_owned(), "龙USDT".to_owned()];
        let streams = ["btcusdt@kline_1m", "龙usdt@kline_1m"];
        let message = json!({"method": "SUBSCRIBE", "params": streams, "id": 9}).to_string();
        let requests = BinanceStream.subscribe(9, &symbols);
        assert_eq!((requests[0].id, &requests[0].message), (9, &message));
        assert_eq!(requests[0].symbols, symbols);
        let long = vec!["ABCDEFGHIJKLMNOPQRSTUVW".to_owned(); 100];
        let request = &BinanceStream.subscribe(u64::MAX, &long)[0];
        assert!(request.message.len() < 4_088);
    }
}
