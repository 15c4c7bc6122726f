//! One exchange as a server of candles: its requests, answers, and errors.

use marketlake_model::{Exact, Minute};

use super::market::{MarketCandle, PAIRS, Pair};
use crate::feeds::stream::cases;
use crate::support::rest_exchange::RestRequest;

/// One exchange.
pub struct RestCase {
    pub name: &'static str,
    /// Path of the list of pairs.
    pub pairs_path: &'static str,
    /// Symbol of a base and a quote currency.
    pub symbol: fn(&str, &str) -> String,
    /// Reads a request for candles.
    pub request: fn(&RestRequest) -> Option<CandleRequest>,
    /// A candle in the exchange's form.
    pub row: fn(&Row) -> String,
    /// An answer of some rows, for a symbol.
    pub answer: fn(&str, &str) -> String,
    /// Whether its newest candle comes first.
    pub is_newest_first: bool,
    /// Whether its numbers are JSON numbers, and no texts.
    pub has_json_numbers: bool,
    /// Whether it tells the number of trades.
    pub has_trades: bool,
    /// Whether it has no candle of a minute without a trade.
    pub omits_quiet_minutes: bool,
    /// Status and body for a symbol that it does not know.
    pub unknown_symbol: (u16, &'static str),
    /// Statuses and bodies for a client that sends too many requests.
    pub throttled: &'static [(u16, &'static str)],
    /// Status and body for a failure of its own, and the part of it that an error must show.
    pub failure: (u16, &'static str, &'static str),
}

/// A request for candles: the symbol, and the minutes, both included.
#[derive(Debug)]
pub struct CandleRequest {
    pub symbol: String,
    pub from: Minute,
    pub to: Minute,
    /// Rows of the answer at most.
    pub limit: usize,
}

/// Fields of a candle as JSON: numbers are texts or JSON numbers, as the exchange has them.
#[derive(Clone, Debug)]
pub struct Row {
    /// Start in milliseconds.
    pub time: i64,
    pub open: String,
    pub close: String,
    pub high: String,
    pub low: String,
    pub volume: String,
    pub trades: u64,
}

impl Row {
    /// Open, high, low, close and volume.
    pub fn numbers(&self) -> [&str; 5] {
        [&self.open, &self.high, &self.low, &self.close, &self.volume]
    }
}

impl RestCase {
    /// Body that lists all pairs.
    pub fn pairs(&self) -> String {
        let pairs = PAIRS.map(|pair| (pair.base, pair.quote));
        (cases::case(self.name).listings)(&pairs)
    }

    /// The pair of a symbol.
    pub fn pair(&self, symbol: &str) -> Option<Pair> {
        let is_of = |pair: &Pair| (self.symbol)(pair.base, pair.quote) == symbol;
        PAIRS.into_iter().find(is_of)
    }

    /// Row of a candle.
    pub fn row_of(&self, candle: &MarketCandle) -> Row {
        let number = |value: Exact| match self.has_json_numbers {
            true => value.to_string(),
            false => format!("\"{value}\""),
        };
        Row {
            time: candle.minute.start().0,
            open: number(candle.open),
            close: number(candle.close),
            high: number(candle.high),
            low: number(candle.low),
            volume: number(candle.volume),
            trades: candle.trades,
        }
    }

    /// Rows that it answers to a request, oldest first.
    pub fn rows(&self, request: &CandleRequest) -> Vec<Row> {
        let Some(pair) = self.pair(&request.symbol) else {
            return Vec::new();
        };
        let minutes = (request.from.number()..=request.to.number()).map(Minute::from_number);
        let is_there = |candle: &MarketCandle| candle.trades > 0 || !self.omits_quiet_minutes;
        let candles = minutes.map(|minute| pair.candle(minute)).filter(is_there);
        let mut rows: Vec<Row> = candles.map(|candle| self.row_of(&candle)).collect();
        let newest = rows.len().saturating_sub(request.limit);
        if self.is_newest_first {
            rows.drain(..newest);
        }
        rows.truncate(request.limit);
        rows
    }

    /// Answer of some rows in the order of the exchange, given oldest first.
    pub fn body(&self, symbol: &str, rows: &[Row]) -> String {
        let mut rows: Vec<String> = rows.iter().map(self.row).collect();
        if self.is_newest_first {
            rows.reverse();
        }
        (self.answer)(symbol, &rows.join(","))
    }
}
