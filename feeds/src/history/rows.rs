//! Reading of candles that come as rows: arrays with a field a column.

use std::borrow::Cow;

use marketlake_common::excerpt;
use marketlake_model::Millis;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use super::protocol::HistoryCandle;
use crate::json::decimal_text;

/// Rows of one answer; no exchange sends more than 1,500.
pub(super) const MAX_ROWS: usize = 10_000;
/// Characters of a symbol that need no encoding in a path or a query (RFC 3986, 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A row, each field as its own text.
pub(super) type Row<'a> = Vec<&'a RawValue>;

/// Unit of an exchange's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUnit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
}

impl TimeUnit {
    /// Parses a time; one beyond 64 bits of milliseconds becomes the nearest that fits.
    pub(super) fn parse(self, text: &str) -> Result<Millis, String> {
        let problem = |_| format!("expected {}, got {:?}", self.name(), excerpt(text));
        let number: i64 = text.parse().map_err(problem)?;
        Ok(Millis(match self {
            Self::Seconds => number.saturating_mul(1_000),
            Self::Millis => number,
        }))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds since 1970",
            Self::Millis => "milliseconds since 1970",
        }
    }
}

/// Positions of a candle's fields in a row.
pub(super) struct Columns {
    /// Unit of the time, which is the first field.
    pub(super) unit: TimeUnit,
    /// Position of the highest price.
    pub(super) high: usize,
    /// Position of the lowest price.
    pub(super) low: usize,
    /// Position of the last price.
    pub(super) close: usize,
    /// Position of the traded amount.
    pub(super) volume: usize,
    /// Position of the number of trades, if there is one.
    pub(super) trades: Option<usize>,
}

impl Columns {
    /// Candles of rows.
    pub(super) fn candles<'a>(&self, rows: &[Row<'a>]) -> Result<Vec<HistoryCandle<'a>>, String> {
        check_row_count(rows.len())?;
        let candle = |(number, row)| {
            let candle = self.candle(row);
            candle.map_err(|problem| format!("row {number}: {problem}"))
        };
        rows.iter().enumerate().map(candle).collect()
    }

    fn candle<'a>(&self, row: &Row<'a>) -> Result<HistoryCandle<'a>, String> {
        let text = |name: &str, column: usize| {
            let field = row.get(column).copied().map(decimal_text);
            let fields = row.len();
            field.ok_or_else(|| format!("{name}: expected field {column}, got {fields} fields"))
        };
        let decimal = |name, column| text(name, column).map(Cow::Borrowed);
        let start = self.unit.parse(text("time", 0)?);
        let trades = self.trades.map(|column| count(text("trades", column)?));
        Ok(HistoryCandle {
            start: start.map_err(|problem| format!("time: {problem}"))?,
            close: decimal("close", self.close)?,
            high: decimal("high", self.high)?,
            low: decimal("low", self.low)?,
            volume: decimal("volume", self.volume)?,
            trades: trades.transpose()?,
        })
    }
}

/// Refuses an answer with more rows than any exchange sends.
pub(super) fn check_row_count(count: usize) -> Result<(), String> {
    match count <= MAX_ROWS {
        true => Ok(()),
        false => Err(format!("expected at most {MAX_ROWS} rows, got {count}")),
    }
}

/// Parses a number of trades.
fn count(text: &str) -> Result<u64, String> {
    let problem = |_| format!("trades: expected a whole number, got {:?}", excerpt(text));
    text.parse().map_err(problem)
}

/// Checks that an answer is of the requested pair, by the form of the name in which both agree.
///
/// # Errors
/// A text that names both.
pub(super) fn check_pair(
    symbol: &str,
    answered: &str,
    form: impl Fn(&str) -> String,
) -> Result<(), String> {
    match form(symbol) == form(answered) {
        true => Ok(()),
        false => Err(format!(
            "pair: expected {symbol}, got {:?}",
            excerpt(answered)
        )),
    }
}

/// A symbol as a part of a path or a query.
pub(super) fn encoded(symbol: &str) -> impl std::fmt::Display {
    utf8_percent_encode(symbol, UNRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_json;

    const COLUMNS: Columns = Columns {
        unit: TimeUnit::Seconds,
        high: 1,
        low: 2,
        close: 3,
        volume: 4,
        trades: Some(5),
    };

    fn parsed(rows: &str) -> Result<Vec<HistoryCandle<'_>>, String> {
        let rows: Vec<Row<'_>> = from_json(rows)?;
        COLUMNS.candles(&rows)
    }

    #[test]
    fn numbers_keep_their_digits_with_and_without_quotes() {
        let candles = parsed(r#"[[60,"2.50",1e-7,1.0,"0.30",4]]"#).expect("rows");
        let expected = HistoryCandle {
            start: Millis(60_000),
            close: Cow::Borrowed("1.0"),
            high: Cow::Borrowed("2.50"),
            low: Cow::Borrowed("1e-7"),
            volume: Cow::Borrowed("0.30"),
            trades: Some(4),
        };
        assert_eq!(candles, [expected]);
    }

    #[test]
    fn a_wrong_row_is_named_with_its_field() {
        for (rows, expected) in [
            (
                r#"[[60,1,1,1,1,1],["x",1,1,1,1,1]]"#,
                "row 1: time: expected seconds since 1970, got \"x\"",
            ),
            (
                "[[60,1,1,1,1,-4]]",
                "row 0: trades: expected a whole number, got \"-4\"",
            ),
            (
                "[[60,1,1,1]]",
                "row 0: volume: expected field 4, got 4 fields",
            ),
        ] {
            assert_eq!(parsed(rows), Err(expected.to_owned()));
        }
    }

    #[test]
    fn a_symbol_is_encoded_for_an_address() {
        assert_eq!(encoded("BTC-USDT").to_string(), "BTC-USDT");
        assert_eq!(encoded("A/B?&#").to_string(), "A%2FB%3F%26%23");
        assert_eq!(encoded("币").to_string(), "%E5%B8%81");
    }
}
