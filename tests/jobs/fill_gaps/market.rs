//! Exchanges on loopback that have every minute in their history, with faults.

use std::sync::Arc;
use std::time::Duration;

use marketlake_feeds::{Exchange, ExchangeOptions, Feed};
use marketlake_jobs::Source;
use marketlake_model::{Millis, Minute};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::exchange::Answer;
use crate::support::rest_exchange::{RestExchange, RestRequest};

pub const BASES: [&str; 3] = ["ADA", "BTC", "ETH"];
const HTML: &str = "<html>Under maintenance</html>";

/// Faults of an exchange, which a test changes while it runs.
#[derive(Default)]
pub struct Faults {
    pub unknown: Vec<&'static str>,
    pub broken: Vec<&'static str>,
    pub slow: Vec<&'static str>,
    /// Symbols for which the exchange is busy: by a status, or by a code with status 200.
    pub busy: Vec<&'static str>,
    /// Whether no candle is written yet.
    pub empty: bool,
    /// Symbols without candles.
    pub late: Vec<&'static str>,
    pub throttled: bool,
}

/// An exchange that lists three pairs, and has a candle of every minute.
pub struct Market {
    pub served: RestExchange,
    pub faults: Arc<Mutex<Faults>>,
}

impl Market {
    pub async fn start() -> Self {
        let faults = Arc::new(Mutex::new(Faults::default()));
        let known = Arc::clone(&faults);
        let served = RestExchange::start(move |request, _| answer(&known.lock(), request)).await;
        Self { served, faults }
    }

    fn options(&self) -> ExchangeOptions {
        ExchangeOptions {
            base_url: Some(self.served.url.parse().unwrap()),
            ..ExchangeOptions::default()
        }
    }

    /// The exchange of a name at this address, polled and corrected from its history.
    pub fn source(&self, name: &str) -> Source {
        let exchange = Exchange::by_name(name).unwrap();
        Source {
            history: exchange.history(&self.options()).unwrap(),
            is_corrected: true,
            ..Source::whole(exchange.poll(&self.options()).unwrap())
        }
    }

    /// Another feed with the history of Binance at this address.
    pub fn source_with(&self, feed: impl Feed + 'static) -> Source {
        Source {
            is_corrected: false,
            feed: Arc::new(feed),
            ..self.source("binance")
        }
    }

    /// Symbol and first minute of each request for candles, in their order.
    pub fn requested(&self) -> Vec<(String, Minute)> {
        let requests = self.served.requests().into_iter();
        let candles = requests.filter(|request| request.path.contains("kline"));
        candles
            .map(|request| {
                let from = request.number("startTime").or(request.number("start"));
                let from = Millis(from.unwrap()).minute();
                (request.text("symbol").to_owned(), from)
            })
            .collect()
    }
}

fn answer(faults: &Faults, request: &RestRequest) -> Answer {
    if faults.throttled {
        return Answer::status(429, "too much").header("retry-after", "600");
    }
    let symbols = BASES.map(|base| format!("{base}USDT"));
    match request.path.as_str() {
        "/api/v3/ticker/24hr" => {
            let tickers: Vec<(&str, &str)> = symbols.iter().map(|s| (s.as_str(), "1")).collect();
            Answer::tickers(&tickers)
        }
        "/api/v3/exchangeInfo" => {
            let symbols = BASES.map(|base| {
                json!({"symbol": format!("{base}USDT"), "status": "TRADING", "baseAsset": base,
                    "quoteAsset": "USDT", "isSpotTradingAllowed": true})
            });
            Answer::ok(json!({"symbols": symbols}).to_string())
        }
        "/v5/market/instruments-info" => {
            let list = BASES.map(|base| {
                json!({"symbol": format!("{base}USDT"), "baseCoin": base, "quoteCoin": "USDT",
                    "status": "Trading"})
            });
            of_bybit(&json!({"category": "spot", "list": list}))
        }
        path => {
            let symbol = request.text("symbol");
            if faults.unknown.contains(&symbol) {
                return Answer::status(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#);
            }
            if faults.broken.contains(&symbol) {
                return Answer::ok(HTML);
            }
            if faults.busy.contains(&symbol) {
                return match path {
                    "/api/v3/klines" => Answer::status(503, HTML),
                    _ => Answer::ok(r#"{"retCode":10016,"retMsg":"Server error","result":{}}"#),
                };
            }
            let rows = match faults.empty || faults.late.contains(&symbol) {
                true => Vec::new(),
                false => candles(request),
            };
            let answer = match path {
                "/api/v3/klines" => Answer::ok(Value::from(rows).to_string()),
                _ => of_bybit(&json!({"category": "spot", "symbol": symbol, "list": rows})),
            };
            match faults.slow.contains(&symbol) {
                true => answer.after(Duration::from_secs(6)),
                false => answer,
            }
        }
    }
}

fn of_bybit(result: &Value) -> Answer {
    Answer::ok(json!({"retCode": 0, "retMsg": "OK", "result": result}).to_string())
}

/// Rows of the requested minutes, with more fields than Bybit has.
fn candles(request: &RestRequest) -> Vec<Value> {
    let number = |one: &str, other: &str| request.number(one).or(request.number(other)).unwrap();
    let (from, to) = (number("startTime", "start"), number("endTime", "end"));
    let minutes = from.div_euclid(60_000)..=to.div_euclid(60_000);
    let row = |minute: i64| {
        let high = format!("{}.00", price(minute) + 1);
        let start = minute * 60_000;
        json!([
            start,
            "1.00",
            high,
            "0.50",
            format!("{}.50", price(minute)),
            "0.25",
            start + 59_999,
            "1",
            3,
            "1",
            "1",
            "0"
        ])
    };
    minutes.map(row).collect()
}

/// Whole part of the closing price of a minute.
pub fn price(minute: i64) -> i64 {
    minute % 1_000 + 1
}
