//! One minute of one pair under construction: from candles, which the exchange keeps, or from
//! trades, which are summed here.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use marketlake_model::{Exact, Millis};

use super::last_price::LastPrice;

/// Trades whose ids are kept of one pair and minute, to recognize repeats.
const MAX_TRADE_IDS: usize = 200_000;

/// A trade with parsed numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trade {
    pub(super) id: u64,
    pub(super) time: Millis,
    pub(super) price: Exact,
    pub(super) quantity: Exact,
    pub(super) count: u64,
}

/// State of a candle with parsed numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candle {
    pub(super) close: Exact,
    pub(super) high: Exact,
    pub(super) low: Exact,
    pub(super) volume: Exact,
    pub(super) trades: Option<u64>,
}

/// Values of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) price: Exact,
    pub(super) high: Exact,
    pub(super) low: Exact,
    pub(super) volume: Exact,
    pub(super) trades: Option<u64>,
}

impl Values {
    /// A minute without a trade, after one with this last price.
    pub(super) fn quiet(price: Exact) -> Self {
        Self {
            price,
            high: price,
            low: price,
            volume: Exact::ZERO,
            trades: Some(0),
        }
    }
}

/// Error of a trade that is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TradeError {
    /// It came before.
    Duplicate,
    /// Its minute is closed.
    Late,
    /// The minute's volume or number of trades does not fit.
    DoesNotFit,
    /// The minute has more trades than are remembered.
    TooMany,
}

/// The minute.
#[derive(Debug, Default)]
pub(super) struct PairMinute {
    /// Last price before the minute's first event.
    opening: LastPrice,
    candle: Option<CandleState>,
    trades: Option<TradeSums>,
    /// Whether an event of it could not be taken in.
    is_incomplete: bool,
    /// Whether it takes no more trades.
    is_closed: bool,
}

#[derive(Debug)]
struct CandleState {
    candle: Candle,
    time: Millis,
    /// Whether the exchange said so, or it came after the minute's end.
    is_final: bool,
}

#[derive(Debug)]
struct TradeSums {
    values: Values,
    newest: (Millis, u64),
    ids: HashSet<u64>,
}

impl PairMinute {
    /// A minute after this last price.
    pub(super) fn after(opening: LastPrice) -> Self {
        Self {
            opening,
            ..Self::default()
        }
    }

    /// Last price before the minute, as it was known when the minute's first event came.
    pub(super) fn opening(&self) -> LastPrice {
        self.opening
    }

    /// Takes a candle in; an older state does not replace a newer one. Returns whether it did.
    pub(super) fn take_candle(&mut self, candle: Candle, time: Millis, is_final: bool) -> bool {
        let state = self.candle.as_ref();
        let is_older = state.is_some_and(|state| {
            time < state.time || (state.is_final && !is_final) || is_less(&candle, &state.candle)
        });
        if is_older {
            return false;
        }
        // Its totals hold what an earlier state lacked.
        self.is_incomplete = false;
        self.candle = Some(CandleState {
            candle,
            time,
            is_final: is_final || state.is_some_and(|state| state.is_final),
        });
        true
    }

    /// Takes a trade in.
    pub(super) fn take_trade(&mut self, trade: Trade) -> Result<(), TradeError> {
        if self.is_closed {
            return Err(TradeError::Late);
        }
        let Some(sums) = &mut self.trades else {
            self.trades = Some(TradeSums::first(trade));
            return Ok(());
        };
        sums.take(trade)
    }

    /// An event of it cannot be taken in: what it would have told is missing.
    pub(super) fn mark_incomplete(&mut self) {
        self.is_incomplete = true;
    }

    /// Whether the exchange said that its values are final.
    pub(super) fn is_final(&self) -> bool {
        self.candle.as_ref().is_some_and(|state| state.is_final)
    }

    /// Time of the candle's last state. A candle has the exchange's own totals: nothing before it
    /// can be missing.
    pub(super) fn candle_time(&self) -> Option<Millis> {
        self.candle.as_ref().map(|state| state.time)
    }

    /// Takes no more trades, and forgets the ids of those that came.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        if let Some(sums) = &mut self.trades {
            sums.ids = HashSet::new();
        }
    }

    /// Values so far; those of the candle before those of trades, which must all be there.
    pub(super) fn values(&self) -> Option<Values> {
        let of_candle = self.candle.as_ref().map(|state| Values {
            price: state.candle.close,
            high: state.candle.high,
            low: state.candle.low,
            volume: state.candle.volume,
            trades: state.candle.trades,
        });
        let values = of_candle.or_else(|| self.trades.as_ref().map(|sums| sums.values));
        values.filter(|_| !self.is_incomplete)
    }
}

/// Whether a candle's totals are below another's of the same minute, which only grow.
fn is_less(candle: &Candle, other: &Candle) -> bool {
    candle.volume < other.volume || candle.trades < other.trades
}

impl TradeSums {
    fn first(trade: Trade) -> Self {
        Self {
            values: Values {
                price: trade.price,
                high: trade.price,
                low: trade.price,
                volume: trade.quantity,
                trades: Some(trade.count),
            },
            newest: (trade.time, trade.id),
            ids: HashSet::from([trade.id]),
        }
    }

    fn take(&mut self, trade: Trade) -> Result<(), TradeError> {
        if self.ids.contains(&trade.id) {
            return Err(TradeError::Duplicate);
        }
        if self.ids.len() >= MAX_TRADE_IDS {
            return Err(TradeError::TooMany);
        }
        let volume = self.values.volume.plus(trade.quantity);
        let count = self.values.trades.unwrap_or(0).checked_add(trade.count);
        let (Some(volume), Some(count)) = (volume, count) else {
            return Err(TradeError::DoesNotFit);
        };
        self.ids.insert(trade.id);
        let values = &mut self.values;
        (values.volume, values.trades) = (volume, Some(count));
        values.high = values.high.max(trade.price);
        values.low = values.low.min(trade.price);
        if (trade.time, trade.id) > self.newest {
            self.newest = (trade.time, trade.id);
            values.price = trade.price;
        }
        Ok(())
    }
}

/// A trade's id as a number, by which trades of one millisecond are in order: itself where it is
/// one, else its hash.
pub(super) fn trade_number(id: &str) -> u64 {
    id.parse().unwrap_or_else(|_| {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        hasher.finish()
    })
}

/// A number of zero or more.
pub(super) fn amount(field: &str, text: &str) -> Result<Exact, String> {
    let value: Exact = text.parse().map_err(|error| format!("{field}: {error}"))?;
    match value.is_negative() {
        true => Err(format!("{field}: expected zero or more, got {value}")),
        false => Ok(value),
    }
}

/// A candle with parsed numbers, if they agree.
pub(super) fn candle(
    close: &str,
    high: &str,
    low: &str,
    volume: &str,
    trades: Option<u64>,
) -> Result<Candle, String> {
    let candle = Candle {
        close: amount("close", close)?,
        high: amount("high", high)?,
        low: amount("low", low)?,
        volume: amount("volume", volume)?,
        trades,
    };
    if candle.low <= candle.close && candle.close <= candle.high {
        return Ok(candle);
    }
    Err(format!(
        "expected low <= close <= high, got {}, {}, {}",
        candle.low, candle.close, candle.high
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        text.parse().expect("a number")
    }

    fn trade(id: u64, time: i64, price: &str, quantity: &str) -> Trade {
        Trade {
            id,
            time: Millis(time),
            price: exact(price),
            quantity: exact(quantity),
            count: 1,
        }
    }

    fn candle(close: &str, volume: &str, trades: u64) -> Candle {
        Candle {
            close: exact(close),
            high: exact("9"),
            low: exact("1"),
            volume: exact(volume),
            trades: Some(trades),
        }
    }

    #[test]
    fn trades_are_summed_exactly_whatever_their_order_and_repeats() {
        let mut minute = PairMinute::default();
        let all = [
            trade(2, 20, "3", "0.10"),
            trade(1, 10, "1", "0.2"),
            trade(4, 30, "2.5", "0.0000001"),
            trade(3, 30, "9", "1"),
        ];
        for each in all {
            assert_eq!(minute.take_trade(each), Ok(()));
        }
        for each in all {
            assert_eq!(minute.take_trade(each), Err(TradeError::Duplicate));
        }
        let expected = Values {
            price: exact("2.5"),
            high: exact("9"),
            low: exact("1"),
            volume: exact("1.3000001"),
            trades: Some(4),
        };
        assert_eq!(minute.values(), Some(expected));
        assert!(!minute.is_final());
    }

    #[test]
    fn a_volume_that_does_not_fit_costs_the_trade_and_not_the_minute() {
        let mut minute = PairMinute::default();
        assert_eq!(
            minute.take_trade(trade(1, 1, "1", "900000000000000000")),
            Ok(())
        );
        let small = trade(2, 2, "5", "0.000000000000000001");
        assert_eq!(minute.take_trade(small), Err(TradeError::DoesNotFit));
        let values = minute.values().expect("values");
        assert_eq!((values.price, values.trades), (exact("1"), Some(1)));
    }

    #[test]
    fn a_candle_only_grows_and_stays_final() {
        let mut minute = PairMinute::default();
        minute.take_candle(candle("2", "10", 5), Millis(100), false);
        minute.take_candle(candle("3", "9", 4), Millis(100), false);
        assert_eq!(minute.values().expect("values").volume, exact("10"));
        minute.take_candle(candle("4", "11", 6), Millis(99), false);
        assert_eq!(minute.values().expect("values").volume, exact("10"));
        minute.take_candle(candle("5", "12", 7), Millis(200), true);
        minute.take_candle(candle("6", "13", 8), Millis(300), false);
        assert!(minute.is_final());
        assert_eq!(minute.values().expect("values").price, exact("5"));
    }

    #[test]
    fn an_id_that_is_no_number_still_tells_trades_apart() {
        assert_eq!(trade_number("17"), 17);
        assert_ne!(trade_number("9dc75fca"), trade_number("9dc75fcb"));
        assert_eq!(trade_number("9dc75fca"), trade_number("9dc75fca"));
    }
}
