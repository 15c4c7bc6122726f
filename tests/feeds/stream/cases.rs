//! Table of the exchanges: how each lists its pairs, answers requests, and reports trades.
//!
//! Messages are those of the exchanges' documentation and of recordings.

use marketlake_feeds::stream::StreamProtocol;
use marketlake_feeds::stream_protocol;
use serde_json::{Map, Value, json};

use super::messages::{
    Candle, Trade, binance_candle, bitstamp_trade, bybit_trade, coinbase_match, kraken_candles,
    okx_trade,
};

/// Base and quote currency of the pair that is traded, and of the one that mostly is not.
pub const PAIRS: [(&str, &str); 2] = [("BTC", "USDT"), ("ETH", "USDT")];
/// Base and quote currency of the pair whose trades tell how far the exchange's clock has come.
pub const CLOCK: (&str, &str) = ("CLOCK", "USDT");

/// One exchange.
pub struct Case {
    pub name: &'static str,
    /// Symbol of a base and a quote currency in the stream.
    pub symbol: fn(&str, &str) -> String,
    /// Answer of the REST API that lists some pairs.
    pub listings: fn(&[(&str, &str)]) -> String,
    /// Answers to a request, of which some symbols are refused.
    pub answers: fn(&str, &[String]) -> Vec<String>,
    /// Part of the reason of a refusal.
    pub refusal: &'static str,
    pub reports: Reports,
    /// Announcement of a connection's end, if there is one.
    pub ending: Option<&'static str>,
    /// Sign of life, if there is one.
    pub heartbeat: Option<&'static str>,
}

/// Messages of an exchange about trades.
pub enum Reports {
    /// Each trade.
    Trades(fn(&str, &Trade) -> String),
    /// State of the minute's candle after each trade.
    Candles(fn(&str, &Candle) -> String),
}

impl Case {
    pub fn protocol(&self) -> &'static dyn StreamProtocol {
        stream_protocol(self.name).unwrap()
    }

    /// Symbol of the pair that is traded.
    pub fn active(&self) -> String {
        (self.symbol)(PAIRS[0].0, PAIRS[0].1)
    }

    /// Symbol of the pair that mostly is not.
    pub fn quiet(&self) -> String {
        (self.symbol)(PAIRS[1].0, PAIRS[1].1)
    }

    /// Symbol of the pair whose trades tell the exchange's time.
    pub fn clock(&self) -> String {
        (self.symbol)(CLOCK.0, CLOCK.1)
    }

    /// All messages that come while nothing is traded: the heartbeat, and answers to what a client
    /// sends from time to time.
    pub fn signs_of_life(&self) -> Vec<String> {
        let keepalive = self.protocol().keepalive();
        let answers = keepalive.map(|keepalive| (self.answers)(keepalive.message, &[]));
        let heartbeat = self.heartbeat.map(str::to_owned).into_iter();
        heartbeat.chain(answers.into_iter().flatten()).collect()
    }

    /// Whether it reports each trade, and not the minute's candle.
    pub fn reports_trades(&self) -> bool {
        matches!(self.reports, Reports::Trades(_))
    }

    /// Message after each trade, with the time at which it comes.
    pub fn messages(&self, symbol: &str, trades: &[Trade]) -> Vec<(i64, String)> {
        let mut candle = None;
        let mut message = |trade: &Trade| match self.reports {
            Reports::Trades(text) => text(symbol, trade),
            Reports::Candles(text) => {
                let next = Candle::after(candle, trade);
                candle = Some(next);
                text(symbol, &next)
            }
        };
        trades
            .iter()
            .map(|trade| (trade.at, message(trade)))
            .collect()
    }
}

/// The exchange of a name.
pub fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap()
}

pub static CASES: [Case; 6] = [
    Case {
        name: "binance",
        symbol: |base, quote| format!("{base}{quote}"),
        listings: |pairs| {
            let entry = |(base, quote): &(&str, &str)| {
                json!({"symbol": format!("{base}{quote}"), "status": "TRADING",
                    "baseAsset": base, "quoteAsset": quote, "isSpotTradingAllowed": true})
            };
            let symbols: Vec<Value> = pairs.iter().map(entry).collect();
            json!({"timezone": "UTC", "symbols": symbols}).to_string()
        },
        answers: |request, refused| {
            let request = parsed(request);
            let streams = texts(&request["params"]);
            let stream = |symbol: &String| format!("{}@kline_1m", symbol.to_lowercase());
            let is_refused = refused
                .iter()
                .any(|symbol| streams.contains(&stream(symbol)));
            let answer = match is_refused {
                true => json!({"error": {"code": 2, "msg": "Invalid symbol"}, "id": request["id"]}),
                false => json!({"result": null, "id": request["id"]}),
            };
            vec![answer.to_string()]
        },
        refusal: "Invalid symbol",
        reports: Reports::Candles(binance_candle),
        ending: Some(
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1795514400000}}"#,
        ),
        heartbeat: None,
    },
    Case {
        name: "kraken",
        symbol: |base, quote| format!("{base}/{quote}"),
        listings: |pairs| {
            let name = |currency: &str| currency.replace("BTC", "XBT").replace("DOGE", "XDG");
            let mut result = Map::new();
            for (base, quote) in pairs {
                let ws_name = format!("{}/{}", name(base), name(quote));
                let pair = json!({"altname": ws_name.replace('/', ""), "wsname": ws_name,
                    "status": "online"});
                result.insert(format!("X{base}{quote}"), pair);
            }
            json!({"error": [], "result": result}).to_string()
        },
        answers: |request, refused| {
            let request = parsed(request);
            let id = &request["req_id"];
            let answer = |symbol: &String| match refused.contains(symbol) {
                true => json!({"error": format!("Currency pair not supported {symbol}"),
                    "method": "subscribe", "req_id": id, "success": false, "symbol": symbol}),
                false => json!({"method": "subscribe", "req_id": id, "success": true, "result":
                    {"channel": "ohlc", "interval": 1, "snapshot": true, "symbol": symbol}}),
            };
            let symbols = texts(&request["params"]["symbol"]);
            symbols
                .iter()
                .map(|symbol| answer(symbol).to_string())
                .collect()
        },
        refusal: "Currency pair not supported",
        reports: Reports::Candles(|symbol, candle| kraken_candles("update", symbol, &[*candle])),
        ending: None,
        heartbeat: Some(r#"{"channel":"heartbeat"}"#),
    },
    Case {
        name: "coinbase",
        symbol: |base, quote| format!("{base}-{quote}"),
        listings: |pairs| {
            let entry = |(base, quote): &(&str, &str)| {
                json!({"id": format!("{base}-{quote}"), "base_currency": base,
                    "quote_currency": quote, "status": "online", "trading_disabled": false})
            };
            pairs.iter().map(entry).collect::<Value>().to_string()
        },
        answers: |request, refused| {
            let request = parsed(request);
            let channels = request["channels"].as_array().into_iter().flatten();
            let mut products = channels.flat_map(|channel| texts(&channel["product_ids"]));
            let answer = match products.find(|product| refused.contains(product)) {
                Some(product) => json!({"type": "error", "message": "Failed to subscribe",
                    "reason": format!("{product} is not a valid product")}),
                None => json!({"type": "subscriptions", "channels": request["channels"]}),
            };
            vec![answer.to_string()]
        },
        refusal: "is not a valid product",
        reports: Reports::Trades(coinbase_match),
        ending: None,
        heartbeat: Some(
            r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USDT",
                "time":"2026-11-24T10:01:30.464459Z"}"#,
        ),
    },
    Case {
        name: "okx",
        symbol: |base, quote| format!("{base}-{quote}"),
        listings: |pairs| {
            let entry = |(base, quote): &(&str, &str)| {
                json!({"instId": format!("{base}-{quote}"), "instType": "SPOT", "baseCcy": base,
                    "quoteCcy": quote, "state": "live"})
            };
            let data: Vec<Value> = pairs.iter().map(entry).collect();
            json!({"code": "0", "msg": "", "data": data}).to_string()
        },
        answers: |request, refused| {
            if request == "ping" {
                return vec!["pong".to_owned()];
            }
            let request = parsed(request);
            let answer = |arg: &Value| match arg["instId"].as_str() {
                Some(symbol) if refused.iter().any(|refused| refused == symbol) => json!({
                    "id": request["id"], "event": "error", "code": "60018", "connId": "a4d3ae55",
                    "msg": format!("Wrong URL or channel:trades,instId:{symbol} doesn't exist.")}),
                _ => json!({"id": request["id"], "event": "subscribe", "arg": arg}),
            };
            let args = request["args"].as_array().into_iter().flatten();
            args.map(|arg| answer(arg).to_string()).collect()
        },
        refusal: "doesn't exist",
        reports: Reports::Trades(okx_trade),
        ending: Some(r#"{"event":"notice","code":"64008","msg":"Please reconnect."}"#),
        heartbeat: None,
    },
    Case {
        name: "bybit",
        symbol: |base, quote| format!("{base}{quote}"),
        listings: |pairs| {
            let entry = |(base, quote): &(&str, &str)| {
                json!({"symbol": format!("{base}{quote}"), "baseCoin": base, "quoteCoin": quote,
                    "status": "Trading"})
            };
            let list: Vec<Value> = pairs.iter().map(entry).collect();
            json!({"retCode": 0, "retMsg": "OK", "time": 1_795_514_400_000_i64,
                "result": {"category": "spot", "list": list, "nextPageCursor": ""}})
            .to_string()
        },
        answers: |request, refused| {
            let request = parsed(request);
            let topics = texts(&request["args"]);
            let topic = |symbol: &String| format!("publicTrade.{symbol}");
            let bad = refused
                .iter()
                .map(topic)
                .find(|topic| topics.contains(topic));
            let message = match &bad {
                Some(topic) => format!("error:handler not found,topic:{topic}"),
                None => "subscribe".to_owned(),
            };
            let answer = json!({"success": bad.is_none(), "ret_msg": message, "conn_id": "d9",
                "req_id": request["req_id"], "op": request["op"]});
            vec![answer.to_string()]
        },
        refusal: "handler not found",
        reports: Reports::Trades(bybit_trade),
        ending: None,
        heartbeat: None,
    },
    Case {
        name: "bitstamp",
        symbol: |base, quote| format!("{base}{quote}").to_lowercase(),
        listings: |pairs| {
            let entry = |(base, quote): &(&str, &str)| {
                json!({"name": format!("{base}/{quote}"), "base_currency": base,
                    "market_symbol": format!("{base}{quote}").to_lowercase(),
                    "counter_currency": quote, "trading": "Enabled", "market_type": "SPOT"})
            };
            pairs.iter().map(entry).collect::<Value>().to_string()
        },
        answers: |request, refused| {
            let request = parsed(request);
            let channel = request["data"]["channel"].as_str().unwrap_or_default();
            let symbol = channel.trim_start_matches("live_trades_").to_owned();
            let answer = match (request["event"].as_str(), refused.contains(&symbol)) {
                (Some("bts:subscribe"), false) => json!({"event": "bts:subscription_succeeded",
                    "channel": channel, "data": {}}),
                (Some("bts:subscribe"), true) => json!({"event": "bts:error", "channel": channel,
                    "data": {"code": null, "message": "Bad subscription string."}}),
                _ => json!({"event": "bts:heartbeat", "data": {"status": "success"}}),
            };
            vec![answer.to_string()]
        },
        refusal: "Bad subscription string",
        reports: Reports::Trades(bitstamp_trade),
        ending: Some(r#"{"event":"bts:request_reconnect","channel":"","data":""}"#),
        heartbeat: None,
    },
];

/// A client's request; nothing where it is no JSON.
fn parsed(request: &str) -> Value {
    serde_json::from_str(request).unwrap_or_default()
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| Some(text.as_str()?.to_owned()))
        .collect()
}
