//! Recorded messages of real streams: what protocols read in them, and what feeds make of them.
//!
//! Each line of a recording is the time of a message's arrival in seconds, and the message.

use std::collections::{BTreeMap, BTreeSet};

use marketlake_feeds::stream::{StreamEvent, StreamProtocol};
use marketlake_model::{Exact, Millis, parse_time};
use serde_json::Value;

use super::Setup;
use super::cases::{CASES, case};
use crate::support::recordings;

const BINANCE: &str = "BINANCE.ws.1.0";
const BITSTAMP: &str = "BITSTAMP.ws.1.0";
const COINBASE: &str = "COINBASE.ws.28.0.ticker-match";
const OKX: &str = "OKX.ws.1.0";
/// Recordings of protocols that are no longer, or not, spoken here.
const OTHERS: [&str; 5] = [
    "BITFINEX.ws.11.0",
    "BYBIT.ws.26.0",
    "GEMINI.ws.1.0",
    "KRAKEN.ws.48.0",
    "KRAKEN.ws.49.0",
];

/// Milliseconds of arrival and text of each message of a recording.
fn messages(file: &str) -> Option<Vec<(i64, String)>> {
    let path = recordings::folder()?.join("streams/cryptofeed").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    Some(text.lines().filter_map(message).collect())
}

/// Message of a line; lines of what was sent begin with an address.
fn message(line: &str) -> Option<(i64, String)> {
    let (time, text) = line.split_once(": ")?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds: i64 = seconds.parse().ok()?;
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().unwrap();
    Some((seconds * 1_000 + millis, text.to_owned()))
}

/// Number of events of each kind, and of messages that cannot be read.
fn kinds(
    protocol: &dyn StreamProtocol,
    messages: &[(i64, String)],
) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for (_, text) in messages {
        let mut events = Vec::new();
        if protocol.parse(text, &mut events).is_err() {
            *kinds.entry("error").or_default() += 1;
            continue;
        }
        for event in &events {
            *kinds.entry(kind(event)).or_default() += 1;
        }
    }
    kinds
}

fn kind(event: &StreamEvent<'_>) -> &'static str {
    match event {
        StreamEvent::Trade { .. } => "trade",
        StreamEvent::Candle { .. } => "candle",
        StreamEvent::LastPrice { .. } => "last price",
        StreamEvent::Subscribed { .. } => "subscribed",
        StreamEvent::RequestAccepted { .. } => "accepted",
        StreamEvent::Refused { .. } => "refused",
        StreamEvent::Heartbeat { .. } => "heartbeat",
        StreamEvent::Ending { .. } => "ending",
        StreamEvent::Other { .. } => "other",
        StreamEvent::Invalid { .. } => "invalid",
    }
}

#[test]
fn recorded_messages_are_read_as_events_of_these_kinds() {
    let binance = [("candle", 2_usize), ("other", 263)];
    let bitstamp = [("other", 727_usize), ("subscribed", 10), ("trade", 10)];
    let coinbase = [
        ("last price", 10_usize),
        ("other", 107),
        ("subscribed", 10),
        ("trade", 97),
    ];
    let okx = [("other", 318_usize), ("subscribed", 18), ("trade", 74)];
    for (file, name, expected) in [
        (BINANCE, "binance", &binance[..]),
        (BITSTAMP, "bitstamp", &bitstamp[..]),
        (COINBASE, "coinbase", &coinbase[..]),
        (OKX, "okx", &okx[..]),
    ] {
        let Some(messages) = messages(file) else {
            return;
        };
        let kinds = kinds(case(name).protocol(), &messages);
        let kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
        assert_eq!(kinds, expected, "{file}");
    }
}

#[test]
fn no_protocol_takes_a_message_of_another_one_for_a_trade() {
    let all = [&[BINANCE, BITSTAMP, COINBASE, OKX][..], &OTHERS].concat();
    for file in all {
        let Some(messages) = messages(file) else {
            return;
        };
        let exchange = file.split('.').next().unwrap().to_lowercase();
        let is_spoken = !OTHERS.contains(&file);
        for case in CASES
            .iter()
            .filter(|case| !is_spoken || case.name != exchange)
        {
            let kinds = kinds(case.protocol(), &messages);
            for kind in ["trade", "candle", "last price"] {
                assert!(
                    !kinds.contains_key(kind),
                    "{file} by {}: {kinds:?}",
                    case.name
                );
            }
            // An older protocol of the same exchange.
            if case.name == exchange {
                let is_unread = |kind: &&str| ["error", "invalid", "other"].contains(kind);
                assert!(kinds.keys().all(is_unread), "{file}: {kinds:?}");
            }
        }
    }
}

/// Trade of a recording, in the exchange's own texts.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    symbol: String,
    id: String,
    time: Millis,
    price: String,
    quantity: String,
}

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

/// Trades of a recording, found without the protocol.
fn rows(name: &str, messages: &[(i64, String)]) -> Vec<Row> {
    let read = |(_, text): &(i64, String)| -> Value { serde_json::from_str(text).unwrap() };
    messages
        .iter()
        .map(read)
        .flat_map(|message| rows_of(name, &message))
        .collect()
}

fn rows_of(name: &str, message: &Value) -> Vec<Row> {
    let row = |symbol: &str, id: &Value, time: Millis, price: &Value, quantity: &Value| Row {
        symbol: symbol.to_owned(),
        id: text(id),
        time,
        price: text(price),
        quantity: text(quantity),
    };
    let millis = |value: &Value| Millis(text(value).parse().unwrap());
    match name {
        "coinbase" if message["type"] == "match" => {
            let time = parse_time(message["time"].as_str().unwrap()).unwrap();
            let symbol = message["product_id"].as_str().unwrap();
            let (price, size) = (&message["price"], &message["size"]);
            vec![row(symbol, &message["trade_id"], time, price, size)]
        }
        "okx" if message["arg"]["channel"] == "trades" => {
            let entries = message["data"].as_array().into_iter().flatten();
            let row = |entry: &Value| {
                let symbol = entry["instId"].as_str().unwrap();
                let (price, size) = (&entry["px"], &entry["sz"]);
                row(symbol, &entry["tradeId"], millis(&entry["ts"]), price, size)
            };
            entries.map(row).collect()
        }
        "bitstamp" if message["event"] == "trade" => {
            let channel = message["channel"].as_str().unwrap();
            let data = &message["data"];
            let time = Millis(millis(&data["microtimestamp"]).0 / 1_000);
            let symbol = channel.trim_start_matches("live_trades_");
            let (price, amount) = (&data["price_str"], &data["amount_str"]);
            vec![row(symbol, &data["id"], time, price, amount)]
        }
        _ => Vec::new(),
    }
}

const TRADED: [(&str, &str); 3] = [(COINBASE, "coinbase"), (OKX, "okx"), (BITSTAMP, "bitstamp")];

#[test]
fn recorded_trades_are_read_digit_for_digit() {
    for (file, name) in TRADED {
        let Some(messages) = messages(file) else {
            return;
        };
        let mut events = Vec::new();
        for (_, text) in &messages {
            case(name).protocol().parse(text, &mut events).unwrap();
        }
        let row = |event: &StreamEvent<'_>| match event {
            StreamEvent::Trade {
                symbol,
                id,
                time,
                price,
                quantity,
                count: 1,
            } => Some(Row {
                symbol: symbol.to_string(),
                id: id.to_string(),
                time: *time,
                price: price.to_string(),
                quantity: quantity.to_string(),
            }),
            _ => None,
        };
        let read: Vec<Row> = events.iter().filter_map(row).collect();
        assert!(!read.is_empty(), "{file}");
        assert_eq!(read, rows(name, &messages), "{file}");
    }
}

#[test]
fn recorded_candles_are_read_digit_for_digit() {
    let Some(messages) = messages(BINANCE) else {
        return;
    };
    let is_candle = |(_, text): &&(i64, String)| text.contains("@kline_1m");
    let candles: Vec<&(i64, String)> = messages.iter().filter(is_candle).collect();
    assert_eq!(candles.len(), 2);
    for (_, text) in candles {
        let message: Value = serde_json::from_str(text).unwrap();
        let (data, kline) = (&message["data"], &message["data"]["k"]);
        let mut events = Vec::new();
        case("binance").protocol().parse(text, &mut events).unwrap();
        let start = Millis(kline["t"].as_i64().unwrap());
        let expected = StreamEvent::Candle {
            symbol: data["s"].as_str().unwrap().into(),
            minute: start.minute(),
            time: Millis(data["E"].as_i64().unwrap()),
            close: kline["c"].as_str().unwrap().into(),
            high: kline["h"].as_str().unwrap().into(),
            low: kline["l"].as_str().unwrap().into(),
            volume: kline["v"].as_str().unwrap().into(),
            trades: kline["n"].as_u64(),
            closed: false,
        };
        assert_eq!(events, [expected]);
    }
}

#[test]
fn a_documented_candle_of_kraken_is_read_digit_for_digit() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let path = folder.join("streams/nautilus/kraken.ws_ohlc_update.json");
    let message = std::fs::read_to_string(path).unwrap();
    let mut events = Vec::new();
    case("kraken")
        .protocol()
        .parse(&message, &mut events)
        .unwrap();
    let [
        StreamEvent::Candle {
            symbol,
            close,
            high,
            low,
            volume,
            trades,
            ..
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    for (field, value) in [
        ("close", close),
        ("high", high),
        ("low", low),
        ("volume", volume),
    ] {
        let text = format!("\"{field}\": {value}");
        assert!(message.contains(&text), "{text}");
    }
    assert_eq!((&**symbol, *trades), ("BTC/USD", Some(12)));
}

/// Base and quote currency of a symbol.
fn pair(name: &str, symbol: &str) -> (String, String) {
    let (base, quote) = match name {
        "bitstamp" => symbol.split_at(symbol.len() - 3),
        _ => symbol.split_once('-').unwrap(),
    };
    (base.to_owned(), quote.to_owned())
}

/// Samples of a symbol's trades in one minute, sorted; none where there are no trades.
fn samples(name: &str, symbol: &str, trades: &[&Row]) -> Vec<String> {
    let exact = |text: &String| text.parse::<Exact>().unwrap();
    let order = |row: &&&Row| (row.time, row.id.parse::<u64>().unwrap());
    let Some(last) = trades.iter().max_by_key(order) else {
        return Vec::new();
    };
    let prices: Vec<Exact> = trades.iter().map(|row| exact(&row.price)).collect();
    let quantities = trades.iter().map(|row| exact(&row.quantity));
    let volume = quantities.fold(Exact::ZERO, |sum, more| sum.plus(more).unwrap());
    let (base, quote) = pair(name, symbol);
    let metric = format!("{name}:{}{}", base.to_lowercase(), quote.to_lowercase());
    vec![
        format!("{metric}:high={}", prices.iter().max().unwrap()),
        format!("{metric}:low={}", prices.iter().min().unwrap()),
        format!("{metric}:trades={}", trades.len()),
        format!("{metric}:volume={volume}"),
        format!("{metric}={}", exact(&last.price)),
    ]
}

#[tokio::test]
async fn minutes_of_a_replayed_stream_are_those_of_its_trades() {
    for (file, name) in TRADED {
        let Some(messages) = messages(file) else {
            return;
        };
        let rows = rows(name, &messages);
        let symbols: BTreeSet<&str> = rows.iter().map(|row| row.symbol.as_str()).collect();
        let origin = Millis(messages[0].0).minute();
        let mut setup = Setup::new(case(name));
        setup.origin = origin;
        setup.pairs = symbols.iter().map(|symbol| pair(name, symbol)).collect();
        let rig = setup.start().await;
        rig.ready(0).await;
        let since = |(time, text): &(i64, String)| (*time - origin.start().0, text.clone());
        rig.deliver(&messages.iter().map(since).collect::<Vec<_>>())
            .await;
        let mut compared = 0;
        for offset in [0, 1] {
            let values = rig.values(offset).await;
            for symbol in &symbols {
                let minute = origin.plus(offset);
                let of_minute = |row: &&Row| row.symbol == *symbol && row.time.minute() == minute;
                let trades: Vec<&Row> = rows.iter().filter(of_minute).collect();
                for sample in samples(name, symbol, &trades) {
                    assert!(
                        values.contains(&sample),
                        "{file}: no {sample} in {values:?}"
                    );
                }
                compared += trades.len();
            }
        }
        let of_minutes = rows.iter().filter(|row| row.time.minute() >= origin);
        assert_eq!(compared, of_minutes.count(), "{file}");
        assert_eq!(rig.exchange.attempts(), 1, "{file}");
    }
}
