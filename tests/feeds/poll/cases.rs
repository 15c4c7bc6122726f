//! Table of the exchanges: tickers in the forms of their documentation and of recordings.

use crate::feeds::history::cases::RestCase;
use crate::feeds::history::exchanges;
use crate::feeds::history::market::Pair;

/// One exchange.
pub struct PollCase {
    pub name: &'static str,
    /// Path of the tickers of all pairs.
    pub path: &'static str,
    /// A ticker in the exchange's form.
    pub ticker: fn(&TickerRow) -> String,
    /// An entry that is no ticker.
    pub odd: &'static str,
    /// An answer of some tickers.
    pub answer: fn(&str) -> String,
}

/// Ticker of a pair. Price and volume are JSON: texts or numbers.
#[derive(Clone, Debug)]
pub struct TickerRow {
    pub base: String,
    pub quote: String,
    pub price: String,
    pub volume: String,
}

impl PollCase {
    /// Requests for pairs, and errors.
    pub fn rest(&self) -> &'static RestCase {
        let mut all = exchanges::CASES.iter();
        all.find(|case| case.name == self.name).unwrap()
    }

    /// Answer of some tickers.
    pub fn body(&self, tickers: &[TickerRow]) -> String {
        let tickers: Vec<String> = tickers.iter().map(self.ticker).collect();
        (self.answer)(&tickers.join(","))
    }
}

impl TickerRow {
    /// Ticker of a pair, with numbers as texts.
    pub fn new(pair: &Pair, price: &str, volume: &str) -> Self {
        Self {
            base: pair.base.to_owned(),
            quote: pair.quote.to_owned(),
            price: format!("\"{price}\""),
            volume: format!("\"{volume}\""),
        }
    }

    /// Base, quote, price and volume.
    fn fields(&self) -> [&str; 4] {
        [&self.base, &self.quote, &self.price, &self.volume]
    }
}

/// The exchange of a name.
pub fn case(name: &str) -> &'static PollCase {
    CASES.iter().find(|case| case.name == name).unwrap()
}

pub static CASES: [PollCase; 6] = [
    PollCase {
        name: "binance",
        path: "/api/v3/ticker/24hr",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#"{{"symbol":"{base}{quote}","priceChange":"-1.5","weightedAvgPrice":"1.5",
                "prevClosePrice":"1.5","lastPrice":{price},"lastQty":"0.5","bidPrice":"1.5",
                "openPrice":"1.5","highPrice":"1.5","lowPrice":"1.5","volume":{volume},
                "quoteVolume":"1.5","openTime":1795428000000,"closeTime":1795514400000,
                "firstId":1,"lastId":2,"count":2}}"#
            )
        },
        odd: "7",
        answer: |tickers| format!("[{tickers}]"),
    },
    PollCase {
        name: "kraken",
        path: "/0/public/Ticker",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#""X{base}{quote}":{{"a":["1.5","1","1.000"],"b":["1.5","3","3.000"],
                "c":[{price},"0.5"],"v":["0.25",{volume}],"p":["1.5","1.5"],"t":[35,3276],
                "l":["1.5","1.5"],"h":["1.5","1.5"],"o":"1.5"}}"#
            )
        },
        odd: r#""ODD":7"#,
        answer: |tickers| format!(r#"{{"error":[],"result":{{{tickers}}}}}"#),
    },
    PollCase {
        name: "coinbase",
        path: "/api/v3/brokerage/market/products",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#"{{"product_id":"{base}-{quote}","price":{price},"volume_24h":{volume},
                "price_percentage_change_24h":"-0.5","base_currency_id":"{base}",
                "quote_currency_id":"{quote}","status":"online","trading_disabled":false,
                "product_type":"SPOT","alias":""}}"#
            )
        },
        odd: "7",
        answer: |tickers| format!(r#"{{"products":[{tickers}],"num_products":4}}"#),
    },
    PollCase {
        name: "okx",
        path: "/api/v5/market/tickers",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#"{{"instType":"SPOT","instId":"{base}-{quote}","last":{price},"lastSz":"0.5",
                "askPx":"1.5","askSz":"1.5","bidPx":"1.5","bidSz":"1.5","open24h":"1.5",
                "high24h":"1.5","low24h":"1.5","volCcy24h":"1.5","vol24h":{volume},
                "sodUtc0":"1.5","sodUtc8":"1.5","ts":"1795514400000"}}"#
            )
        },
        odd: "7",
        answer: |tickers| format!(r#"{{"code":"0","msg":"","data":[{tickers}]}}"#),
    },
    PollCase {
        name: "bybit",
        path: "/v5/market/tickers",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#"{{"symbol":"{base}{quote}","bid1Price":"1.5","ask1Price":"1.5",
                "lastPrice":{price},"prevPrice24h":"1.5","price24hPcnt":"-0.5",
                "turnover24h":"1.5","volume24h":{volume}}}"#
            )
        },
        odd: "7",
        answer: |tickers| {
            let result = format!(r#"{{"category":"spot","list":[{tickers}]}}"#);
            format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"time":1795514400000}}"#)
        },
    },
    PollCase {
        name: "bitstamp",
        path: "/api/v2/ticker/",
        ticker: |row| {
            let [base, quote, price, volume] = row.fields();
            format!(
                r#"{{"timestamp":"1795514400","open":"1.5","high":"1.5","low":"1.5",
                "last":{price},"volume":{volume},"vwap":"1.5","bid":"1.5","ask":"1.5",
                "side":"1","open_24":"1.5","percent_change_24":"-0.5","market_type":"SPOT",
                "pair":"{base}/{quote}","market":"{base}/{quote}"}}"#
            )
        },
        odd: "7",
        answer: |tickers| format!("[{tickers}]"),
    },
];
