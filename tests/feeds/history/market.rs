//! Generated market: trades of some pairs in every minute, the same in each run.

use marketlake_model::{Exact, HIGH, LOW, Metric, Millis, Minute, PRICE, Sample, TRADES, VOLUME};

use crate::support::samples::start;

/// Digits behind the point of prices and quantities.
const SCALE: i8 = 8;
/// One minute in so many is without a trade.
const QUIET_EVERY: i64 = 4;
const MAX_TRADES: i64 = 5;

/// A pair: base and quote currency by their common names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub base: &'static str,
    pub quote: &'static str,
    /// Lowest price, in units of the last digit.
    price: i64,
}

/// All pairs that are listed.
pub const PAIRS: [Pair; 4] = [
    pair("BTC", "USDT", 6_500_000_000_000),
    pair("ETH", "USDT", 250_000_000_000),
    pair("DOGE", "BTC", 100),
    pair("龙", "USDT", 12_345),
];

const fn pair(base: &'static str, quote: &'static str, price: i64) -> Pair {
    Pair { base, quote, price }
}

/// One trade.
#[derive(Clone, Copy, Debug)]
pub struct MarketTrade {
    pub time: Millis,
    pub price: Exact,
    pub quantity: Exact,
}

/// A minute of a pair; one without a trade has the price of the one before, and no volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketCandle {
    pub minute: Minute,
    pub open: Exact,
    pub close: Exact,
    pub high: Exact,
    pub low: Exact,
    pub volume: Exact,
    pub trades: u64,
}

impl Pair {
    /// Pair in the names of its metrics.
    pub fn name(&self) -> String {
        format!("{}{}", self.base, self.quote).to_lowercase()
    }

    /// Trades of a minute, in their order.
    pub fn trades(&self, minute: Minute) -> Vec<MarketTrade> {
        let pick = |number: i64, count: i64| pick(self.price + number, minute.number(), count);
        if pick(0, QUIET_EVERY) == 0 {
            return Vec::new();
        }
        let count = 1 + pick(1, MAX_TRADES);
        let trade = |number: i64| {
            let at = number * 60_000 / count + pick(10 + number, 60_000 / count);
            let price = self.price + pick(20 + number, self.price / 10);
            let quantity = 1 + pick(30 + number, 300_000_000);
            MarketTrade {
                time: Millis(minute.start().0 + at),
                price: Exact::new(price, SCALE).unwrap(),
                quantity: Exact::new(quantity, SCALE).unwrap(),
            }
        };
        (0..count).map(trade).collect()
    }

    /// A minute's candle.
    pub fn candle(&self, minute: Minute) -> MarketCandle {
        let trades = self.trades(minute);
        let Some(first) = trades.first() else {
            let price = self.candle(minute.plus(-1)).close;
            return MarketCandle {
                minute,
                open: price,
                close: price,
                high: price,
                low: price,
                volume: Exact::ZERO,
                trades: 0,
            };
        };
        let prices = || trades.iter().map(|trade| trade.price);
        let volume = trades
            .iter()
            .fold(Exact::ZERO, |sum, trade| sum.plus(trade.quantity).unwrap());
        MarketCandle {
            minute,
            open: first.price,
            close: prices().next_back().unwrap(),
            high: prices().max().unwrap(),
            low: prices().min().unwrap(),
            volume,
            trades: trades.len().try_into().unwrap(),
        }
    }

    /// Amount that is traded in 24 hours.
    pub fn volume_24h(&self) -> Exact {
        let units = 1_000_000 + pick(self.price, 0, 9_000_000_000_000);
        Exact::new(units, SCALE).unwrap()
    }

    /// Samples of the minutes of a span, by minute and measure.
    pub fn samples(&self, market: &str, from: Minute, to: Minute, has_trades: bool) -> Vec<Sample> {
        let minutes = from.number()..=to.number();
        minutes
            .map(|number| self.candle(Minute::from_number(number)))
            .flat_map(|candle| candle.samples(market, &self.name(), has_trades))
            .collect()
    }
}

impl MarketCandle {
    /// Its samples, by measure.
    pub fn samples(&self, market: &str, pair: &str, has_trades: bool) -> Vec<Sample> {
        let trades = i64::try_from(self.trades).unwrap();
        let mut values = vec![
            (HIGH, self.high),
            (LOW, self.low),
            (PRICE, self.close),
            (TRADES, Exact::new(trades, 0).unwrap()),
            (VOLUME, self.volume),
        ];
        values.retain(|(measure, _)| has_trades || *measure != TRADES);
        values
            .into_iter()
            .map(|(measure, value)| Sample {
                metric: Metric::new(market, pair, measure).unwrap(),
                ts: self.minute,
                value,
            })
            .collect()
    }
}

/// First minute of most spans: the first pair is not traded in it, but in the one before.
pub fn quiet_start() -> Minute {
    let is_quiet = |minute: Minute| PAIRS[0].trades(minute).is_empty();
    let mut minute = start();
    while !is_quiet(minute) || is_quiet(minute.plus(-1)) {
        minute = minute.plus(1);
    }
    minute
}

/// Number below `count` that depends on a seed and a number, and on nothing else.
fn pick(seed: i64, number: i64, count: i64) -> i64 {
    let mut state = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(number.wrapping_mul(1_442_695_040_888_963_407));
    for shift in [33, 29, 32] {
        state = (state ^ (state >> shift)).wrapping_mul(0x4cf5_ad43_2745_937f);
    }
    state.rem_euclid(count)
}

/// Samples as `ts id=value`, sorted.
pub fn listed(samples: &[Sample]) -> Vec<String> {
    let text = |sample: &Sample| format!("{} {}={}", sample.ts, sample.metric.id(), sample.value);
    let mut listed: Vec<String> = samples.iter().map(text).collect();
    listed.sort();
    listed
}
