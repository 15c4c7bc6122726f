//! The identity of one series.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use marketlake_common::excerpt;

/// The measure of a price, which an id leaves out.
pub const PRICE: &str = "price";
/// The measure of what was traded within the minute, in units of the base currency.
pub const VOLUME: &str = "volume";
/// The measure of the highest price within the minute, in units of the quote currency.
pub const HIGH: &str = "high";
/// The measure of the lowest price within the minute, in units of the quote currency.
pub const LOW: &str = "low";
/// The measure of the number of trades within the minute, a whole number.
pub const TRADES: &str = "trades";

/// Market of all simulated metrics; every API shows it, so that they are not mistaken for real.
pub const SIMULATED: &str = "simulated";

/// One series, known by its id: `market:pair` for a price, `market:pair:measure` for anything else.
///
/// Parts are lower case, hold no white space and no `:`, and are at most 64 bytes long. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(Arc<str>);

/// Error of a text that is not a metric's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a metric id like binance:hottry or binance:hottry:volume, got {0:?}")]
pub struct ParseMetricError(String);

impl Metric {
    /// The metric of a pair on a market; all parts are put in lower case.
    ///
    /// # Errors
    /// Fails if a part is empty, longer than 64 bytes, or holds `:`, `*`, `,`, a quote, `/`, white
    /// space or a control character.
    pub fn new(market: &str, pair: &str, measure: &str) -> Result<Self, ParseMetricError> {
        let id = if measure == PRICE {
            format!("{market}:{pair}")
        } else {
            format!("{market}:{pair}:{measure}")
        };
        if [market, pair, measure].into_iter().all(is_part) {
            Ok(Self(id.to_lowercase().into()))
        } else {
            Err(ParseMetricError(excerpt(&id).into_owned()))
        }
    }

    /// The id itself.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0
    }

    /// The exchange that it comes from.
    #[must_use]
    pub fn market(&self) -> &str {
        self.part(0)
    }

    /// Traded pair, as the exchange writes it: `hottry`.
    #[must_use]
    pub fn pair(&self) -> &str {
        self.part(1)
    }

    /// Measured quantity: `price` where the id names none.
    #[must_use]
    pub fn measure(&self) -> &str {
        self.0.split(':').nth(2).unwrap_or(PRICE)
    }

    /// Whether it is made up.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.market() == SIMULATED
    }

    /// The id without its market: `hottry`, `hottry:volume`.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, rest)| rest)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

fn is_part(part: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || ":*,\"'/\\".contains(c);
    !part.is_empty() && part.len() <= 64 && !part.contains(forbidden)
}

/// Whether a text is surely an id as it is kept; what is not plain takes the longer way. Every row
/// that is read comes by here.
fn is_canonical(text: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let mut parts = 0;
    let whole = text.split(':').all(|part| {
        parts += 1;
        !part.is_empty() && part.len() <= 64 && part.bytes().all(plain)
    });
    whole && (parts == 2 || parts == 3 && !text.ends_with(":price"))
}

impl FromStr for Metric {
    type Err = ParseMetricError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_canonical(text) {
            return Ok(Self(text.into()));
        }
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            [market, pair] => Self::new(market, pair, PRICE),
            [market, pair, measure] => Self::new(market, pair, measure),
            _ => Err(ParseMetricError(excerpt(text).into_owned())),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_has_a_two_part_id_and_any_other_measure_is_named() {
        let price = Metric::new("Binance", "HOTTRY", PRICE).expect("valid");
        assert_eq!((price.id(), price.measure()), ("binance:hottry", "price"));
        let volume: Metric = "binance:hottry:volume24h".parse().expect("valid");
        assert_eq!(volume.short_name(), "hottry:volume24h");
        assert_eq!(
            (volume.market(), volume.pair(), volume.measure()),
            ("binance", "hottry", "volume24h")
        );
        assert_eq!(
            "binance:hottry:price".parse::<Metric>().expect("valid"),
            price
        );
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "hottry", "", "a:", ":b", "a:b:c:d", "a:b c", "a:*", "a:b\u{0}",
        ] {
            bad.parse::<Metric>().expect_err(bad);
        }
    }
}
