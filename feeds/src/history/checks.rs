//! Checks of an exchange's candles, and the minutes without a trade that it leaves out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use marketlake_common::excerpt;
use marketlake_model::{Exact, Metric, Minute, Sample};

use super::protocol::HistoryCandle;

/// Minutes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Requested {
    /// First minute.
    pub(super) from: Minute,
    /// Last minute.
    pub(super) to: Minute,
    /// Oldest minute that an exchange may send in front of them.
    pub(super) oldest: Minute,
    /// Newest minute that an exchange may send behind them.
    pub(super) newest: Minute,
}

/// Checked candle of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candle {
    close: Exact,
    high: Exact,
    low: Exact,
    volume: Exact,
    trades: Option<u64>,
}

/// Checked candles of an answer.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Candles up to the last requested minute.
    pub(super) candles: BTreeMap<Minute, Candle>,
    /// Number of rows of minutes that were not requested.
    pub(super) outside_count: usize,
    /// The first of them.
    pub(super) first_outside: Option<String>,
}

impl Requested {
    /// Checks the candles of an answer. Those of other minutes than requested are left out and
    /// counted, in any unit: an exchange may change it one day.
    ///
    /// # Errors
    /// A text about the first wrong row, or about an answer that has no row of these minutes.
    pub(super) fn check(self, rows: &[HistoryCandle<'_>]) -> Result<Page, String> {
        let mut page = Page::default();
        let mut has_later = false;
        for (number, row) in rows.iter().enumerate() {
            let minute = row.start.minute();
            if minute < self.oldest || minute > self.newest {
                page.outside_count += 1;
                let problem = || format!("row {number}: {}", self.outside(row));
                page.first_outside.get_or_insert_with(problem);
            } else if minute > self.to {
                has_later = true;
            } else {
                let added = page.add(minute, row);
                added.map_err(|problem| format!("row {number}, {minute}: {problem}"))?;
            }
        }
        match page.first_outside {
            Some(problem) if page.candles.is_empty() && !has_later => Err(problem),
            _ => Ok(page),
        }
    }

    fn outside(self, row: &HistoryCandle<'_>) -> String {
        let Self { from, to, .. } = self;
        let millis = row.start.0;
        format!("time: expected milliseconds from {from} to {to}, got {millis}")
    }
}

impl Page {
    fn add(&mut self, minute: Minute, row: &HistoryCandle<'_>) -> Result<(), String> {
        if row.start != minute.start() {
            let millis = row.start.0;
            return Err(format!(
                "time: expected the start of a minute, got {millis} ms"
            ));
        }
        let candle = Candle::new(row)?;
        match self.candles.entry(minute) {
            Entry::Vacant(entry) => {
                entry.insert(candle);
            }
            Entry::Occupied(entry) if *entry.get() == candle => (),
            Entry::Occupied(_) => {
                return Err("expected one candle a minute, got two that differ".to_owned());
            }
        }
        Ok(())
    }

    /// Last candle before a minute.
    pub(super) fn last_before(&self, minute: Minute) -> Option<Candle> {
        let (_, candle) = self.candles.range(..minute).next_back()?;
        Some(*candle)
    }

    /// Adds the minutes of a span that have no candle, since nothing was traded: those after a
    /// candle, be it `previous`, the last one before the span.
    pub(super) fn add_quiet(&mut self, mut previous: Option<Candle>, from: Minute, to: Minute) {
        for minute in (from.number()..=to.number()).map(Minute::from_number) {
            match (self.candles.get(&minute).copied(), previous) {
                (Some(candle), _) => previous = Some(candle),
                (None, Some(last)) => {
                    self.candles.insert(minute, last.quiet_after());
                }
                (None, None) => (),
            }
        }
    }
}

impl Candle {
    fn new(row: &HistoryCandle<'_>) -> Result<Self, String> {
        let candle = Self {
            close: number("close", &row.close)?,
            high: number("high", &row.high)?,
            low: number("low", &row.low)?,
            volume: number("volume", &row.volume)?,
            trades: row.trades,
        };
        let Self {
            close, high, low, ..
        } = candle;
        if candle.volume == Exact::ZERO {
            // A minute without a trade, as a stream records it.
            return Ok(Self {
                high: close,
                low: close,
                ..candle
            });
        }
        if low > close {
            return Err(format!(
                "low: expected at most the close, {close}, got {low}"
            ));
        }
        if high < close {
            return Err(format!(
                "high: expected at least the close, {close}, got {high}"
            ));
        }
        Ok(candle)
    }

    /// The minute after it, if nothing is traded.
    fn quiet_after(self) -> Self {
        Self {
            close: self.close,
            high: self.close,
            low: self.close,
            volume: Exact::ZERO,
            trades: self.trades.map(|_| 0),
        }
    }
}

/// Parses a decimal number of zero or more.
fn number(field: &str, text: &str) -> Result<Exact, String> {
    let parsed = text.parse::<Exact>();
    let value = parsed.map_err(|problem| format!("{field}: {problem}"))?;
    match value.is_negative() {
        true => Err(format!(
            "{field}: expected zero or more, got {}",
            excerpt(text)
        )),
        false => Ok(value),
    }
}

/// Metrics of a pair, by their measure.
pub(super) struct PairMetrics {
    pub(super) high: Metric,
    pub(super) low: Metric,
    pub(super) price: Metric,
    pub(super) trades: Metric,
    pub(super) volume: Metric,
}

impl PairMetrics {
    /// Samples of a candle, by measure. One without a price has none: the pair was never traded.
    pub(super) fn samples(&self, ts: Minute, candle: &Candle) -> impl Iterator<Item = Sample> {
        let trades = candle.trades.and_then(|count| {
            let count = i64::try_from(count).ok()?;
            Exact::new(count, 0)
        });
        let values = [
            (&self.high, Some(candle.high)),
            (&self.low, Some(candle.low)),
            (&self.price, Some(candle.close)),
            (&self.trades, trades),
            (&self.volume, Some(candle.volume)),
        ];
        let has_price = candle.close != Exact::ZERO;
        let values = values.into_iter().filter(move |_| has_price);
        values.filter_map(move |(metric, value)| {
            Some(Sample {
                metric: metric.clone(),
                ts,
                value: value?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use marketlake_model::Millis;

    use super::*;

    const FROM: Minute = Minute::from_number(1_000);
    const TO: Minute = Minute::from_number(1_009);
    const REQUESTED: Requested = Requested {
        from: FROM,
        to: TO,
        oldest: FROM,
        newest: TO,
    };

    fn row(start: Millis) -> HistoryCandle<'static> {
        HistoryCandle {
            start,
            close: Cow::Borrowed("2.50"),
            high: Cow::Borrowed("3"),
            low: Cow::Borrowed("1"),
            volume: Cow::Borrowed("0.1"),
            trades: Some(4),
        }
    }

    fn error(rows: &[HistoryCandle<'_>]) -> String {
        REQUESTED.check(rows).expect_err("a wrong row")
    }

    fn exact(text: &str) -> Exact {
        text.parse().expect("a number")
    }

    #[test]
    fn rows_of_other_minutes_are_left_out_and_alone_they_are_an_error() {
        let micros = row(Millis(FROM.start().0 * 1_000));
        let page = REQUESTED.check(&[row(FROM.start()), micros.clone()]);
        let page = page.expect("one good row");
        assert_eq!((page.candles.len(), page.outside_count), (1, 1));
        assert!(error(&[micros]).starts_with("row 0: time: expected milliseconds from "));
        assert!(REQUESTED.check(&[]).expect("no row").candles.is_empty());
    }

    #[test]
    fn later_rows_of_an_exchange_that_sends_them_are_no_error() {
        let requested = Requested {
            newest: TO.plus(100),
            ..REQUESTED
        };
        let page = requested.check(&[row(TO.plus(50).start())]).expect("later");
        assert!(page.candles.is_empty() && page.first_outside.is_none());
    }

    #[test]
    fn a_wrong_row_is_an_error_that_names_it() {
        let good = row(FROM.start());
        let with = |change: fn(&mut HistoryCandle<'static>)| {
            let mut changed = good.clone();
            change(&mut changed);
            error(&[changed])
        };
        for (actual, expected) in [
            (
                with(|row| row.start = Millis(row.start.0 + 1)),
                "time: expected the start of a minute, got 60000001 ms",
            ),
            (
                with(|row| row.close = Cow::Borrowed("x")),
                "close: expected a decimal number, got \"x\"",
            ),
            (
                with(|row| row.volume = Cow::Borrowed("-1")),
                "volume: expected zero or more, got -1",
            ),
            (
                with(|row| row.low = Cow::Borrowed("2.6")),
                "low: expected at most the close, 2.5, got 2.6",
            ),
            (
                with(|row| row.high = Cow::Borrowed("2.4")),
                "high: expected at least the close, 2.5, got 2.4",
            ),
        ] {
            assert_eq!(actual, format!("row 0, 1970-01-01T16:40:00Z: {expected}"));
        }
        let mut other = good.clone();
        other.close = Cow::Borrowed("2.6");
        assert!(error(&[good.clone(), other]).ends_with("got two that differ"));
        let twice = REQUESTED.check(&[good.clone(), good]).expect("the same");
        assert_eq!(twice.candles.len(), 1);
    }

    #[test]
    fn a_minute_without_volume_has_one_price() {
        let mut quiet = row(FROM.start());
        quiet.volume = Cow::Borrowed("0.000");
        quiet.trades = Some(0);
        let page = REQUESTED.check(&[quiet]).expect("a candle");
        let candle = page.candles.get(&FROM).expect("a candle");
        let prices = [candle.close, candle.high, candle.low];
        assert_eq!(prices, [exact("2.5"); 3]);
    }

    #[test]
    fn minutes_that_are_left_out_repeat_the_price_of_the_one_before() {
        let mut page = REQUESTED.check(&[row(FROM.plus(2).start())]).expect("one");
        page.add_quiet(None, FROM, FROM.plus(4));
        let minutes: Vec<Minute> = page.candles.keys().copied().collect();
        assert_eq!(minutes, [2, 3, 4].map(|number| FROM.plus(number)));
        let last = page.last_before(FROM.plus(5)).expect("a candle");
        assert_eq!((last.close, last.volume), (exact("2.5"), Exact::ZERO));
        assert_eq!((last.high, last.low), (exact("2.5"), exact("2.5")));
        let mut page = Page::default();
        page.add_quiet(Some(last), FROM, FROM);
        assert_eq!(page.candles.len(), 1);
    }
}
