//! Messages of the exchanges about trades.

use marketlake_model::{Exact, Millis, Minute};
use serde_json::json;

use crate::support::samples::start;

/// One trade.
#[derive(Clone, Copy)]
pub struct Trade {
    pub id: u64,
    /// Milliseconds after [`start`].
    pub at: i64,
    pub price: &'static str,
    pub quantity: &'static str,
}

/// State of a candle.
#[derive(Clone, Copy)]
pub struct Candle {
    pub minute: Minute,
    pub time: Millis,
    pub open: Exact,
    pub close: Exact,
    pub high: Exact,
    pub low: Exact,
    pub volume: Exact,
    pub trades: u64,
    pub closed: bool,
}

impl Trade {
    pub fn time(&self) -> Millis {
        Millis(start().start().0 + self.at)
    }
}

impl Candle {
    /// State after a trade.
    pub fn after(before: Option<Self>, trade: &Trade) -> Self {
        let price: Exact = trade.price.parse().unwrap();
        let quantity: Exact = trade.quantity.parse().unwrap();
        let time = trade.time();
        match before.filter(|before| before.minute == time.minute()) {
            Some(before) => Self {
                time,
                close: price,
                high: before.high.max(price),
                low: before.low.min(price),
                volume: before.volume.plus(quantity).unwrap(),
                trades: before.trades + 1,
                ..before
            },
            None => Self {
                minute: time.minute(),
                time,
                open: price,
                close: price,
                high: price,
                low: price,
                volume: quantity,
                trades: 1,
                closed: false,
            },
        }
    }
}

pub fn binance_candle(symbol: &str, candle: &Candle) -> String {
    let begin = candle.minute.start().0;
    let kline = json!({"t": begin, "T": begin + 59_999, "s": symbol, "i": "1m", "f": 71, "L": 94,
        "o": candle.open.to_string(), "c": candle.close.to_string(),
        "h": candle.high.to_string(), "l": candle.low.to_string(),
        "v": candle.volume.to_string(), "n": candle.trades, "x": candle.closed,
        "q": "1", "V": "0.7", "Q": "1", "B": "0"});
    json!({"stream": format!("{}@kline_1m", symbol.to_lowercase()),
        "data": {"e": "kline", "E": candle.time.0, "s": symbol, "k": kline}})
    .to_string()
}

/// Candles in one message, at the time of the last one.
pub fn kraken_candles(kind: &str, symbol: &str, candles: &[Candle]) -> String {
    let data = candles.iter().map(|candle| {
        format!(
            r#"{{"symbol":"{symbol}","interval":1,"interval_begin":"{}","open":{},"close":{},
            "high":{},"low":{},"volume":{},"trades":{},"vwap":1.5,"timestamp":"{}"}}"#,
            candle.minute,
            candle.open,
            candle.close,
            candle.high,
            candle.low,
            candle.volume,
            candle.trades,
            candle.minute.plus(1),
        )
    });
    let data: Vec<String> = data.collect();
    let time = candles.last().unwrap().time;
    format!(
        r#"{{"channel":"ohlc","type":"{kind}","timestamp":"{time}","data":[{}]}}"#,
        data.join(",")
    )
}

pub fn coinbase_match(symbol: &str, trade: &Trade) -> String {
    json!({"type": "match", "trade_id": trade.id, "maker_order_id": "2a0da34e",
        "taker_order_id": "3c82abaa", "side": "sell", "size": trade.quantity,
        "price": trade.price, "product_id": symbol, "sequence": 177_100_030 + trade.id,
        "time": trade.time().to_string()})
    .to_string()
}

pub fn okx_trade(symbol: &str, trade: &Trade) -> String {
    let entry = json!({"instId": symbol, "tradeId": trade.id.to_string(), "px": trade.price,
        "sz": trade.quantity, "side": "buy", "ts": trade.time().0.to_string(), "count": "1"});
    json!({"arg": {"channel": "trades", "instId": symbol}, "data": [entry]}).to_string()
}

pub fn bybit_trade(symbol: &str, trade: &Trade) -> String {
    let entry = json!({"T": trade.time().0, "s": symbol, "S": "Buy", "v": trade.quantity,
        "p": trade.price, "L": "PlusTick", "i": trade.id.to_string(), "BT": false});
    json!({"topic": format!("publicTrade.{symbol}"), "type": "snapshot", "ts": trade.time().0,
        "data": [entry]})
    .to_string()
}

pub fn bitstamp_trade(symbol: &str, trade: &Trade) -> String {
    let seconds = trade.time().0.div_euclid(1_000);
    json!({"event": "trade", "channel": format!("live_trades_{symbol}"), "data": {
        "id": trade.id, "timestamp": seconds.to_string(), "amount_str": trade.quantity,
        "price_str": trade.price, "type": 0, "buy_order_id": 14, "sell_order_id": 15,
        "microtimestamp": format!("{}000", trade.time().0)}})
    .to_string()
}
