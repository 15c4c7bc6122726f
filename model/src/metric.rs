//! The identity of one series.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use marketlake_common::excerpt;
use unicode_normalization::UnicodeNormalization;

/// The measure of a price, which an id leaves out.
pub const PRICE: &str = "price";
/// The measure of what was traded within the minute, in units of the base currency.
pub const VOLUME: &str = "volume";
/// The measure of what was traded in the last 24 hours as the exchange reports it, in units of the
/// base currency.
pub const VOLUME_24H: &str = "volume24h";
/// The measure of the highest price within the minute, in units of the quote currency.
pub const HIGH: &str = "high";
/// The measure of the lowest price within the minute, in units of the quote currency.
pub const LOW: &str = "low";
/// The measure of the number of trades within the minute, a whole number.
pub const TRADES: &str = "trades";

/// Market of all simulated metrics; every API shows it, so that they are not mistaken for real.
pub const SIMULATED: &str = "simulated";

/// Length of a part of an id, in bytes.
const MAX_PART_LEN: usize = 64;
/// Length of a part before normalization, in bytes. NFC shortens a text to a third at most.
const MAX_RAW_PART_LEN: usize = 4 * MAX_PART_LEN;

/// One series, known by its id: `market:pair` for a price, `market:pair:measure` for anything else.
///
/// Parts are lower case and in Unicode's NFC, hold no white space and no `:`, and are at most 64
/// bytes long. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(Arc<str>);

/// Error of a text that is not a metric's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a metric id like binance:hottry or binance:hottry:volume, got {0:?}")]
pub struct ParseMetricError(String);

/// A name or an id as ids are kept: lower case, in NFC. Letter case, and the form in which Unicode
/// composes a letter and its accents, make no difference between names.
///
/// Characters are lowered one by one, so that a part of an id becomes the same alone and within
/// the id.
#[must_use]
pub fn canonical_name(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Some letters are lowered only once they are composed, and some compose once they are lowered.
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

impl Metric {
    /// The metric of a pair on a market; all parts are put in lower case and in NFC.
    ///
    /// # Errors
    /// Fails if a part is empty, longer than 64 bytes, or holds `:`, `*`, `,`, a quote, `/`, white
    /// space or a control character.
    pub fn new(market: &str, pair: &str, measure: &str) -> Result<Self, ParseMetricError> {
        let error = || ParseMetricError(excerpt(&join(market, pair, measure)).into_owned());
        let given = [market, pair, measure];
        if given.iter().any(|part| part.len() > MAX_RAW_PART_LEN) {
            return Err(error());
        }
        let [own_market, own_pair, own_measure] = given.map(canonical_name);
        if [&own_market, &own_pair, &own_measure]
            .into_iter()
            .all(|part| is_part(part))
        {
            Ok(Self(join(&own_market, &own_pair, &own_measure).into()))
        } else {
            Err(error())
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

/// The id of its parts.
fn join(market: &str, pair: &str, measure: &str) -> String {
    if measure == PRICE {
        format!("{market}:{pair}")
    } else {
        format!("{market}:{pair}:{measure}")
    }
}

fn is_part(part: &str) -> bool {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || ":*,\"'/\\".contains(c);
    !part.is_empty() && part.len() <= MAX_PART_LEN && !part.contains(forbidden)
}

/// Whether a text is surely an id as it is kept; what is not plain takes the longer way. Every row
/// that is read comes by here.
fn is_canonical(text: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let mut parts = 0;
    let whole = text.split(':').all(|part| {
        parts += 1;
        !part.is_empty() && part.len() <= MAX_PART_LEN && part.bytes().all(plain)
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
    use proptest::prelude::*;

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
        // Too long as it is kept, or as it is given.
        for bad in ["\u{130}".repeat(32), "e".repeat(10_000_000)] {
            Metric::new("a", &bad, PRICE).expect_err("too long");
        }
    }

    #[test]
    fn a_name_is_one_however_its_accents_are_composed() {
        for (composed, decomposed) in [
            ("x:caf\u{e9}usdt", "x:cafe\u{301}usdt"),
            ("x:CAF\u{c9}usdt", "x:CAFE\u{301}USDT"),
            // The sign of Angstrom and that of Ohm are letters.
            ("x:\u{e5}usd:volume", "x:\u{212b}usd:volume"),
            ("x:\u{3c9}usd", "x:\u{2126}usd"),
            ("x:\u{d55c}krw", "x:\u{1112}\u{1161}\u{11ab}krw"),
        ] {
            let metric: Metric = composed.parse().expect("an id");
            assert_eq!(decomposed.parse::<Metric>(), Ok(metric.clone()));
            assert_eq!(canonical_name(decomposed), metric.id());
        }
        // 96 bytes that are 64.
        let long = "e\u{301}".repeat(32);
        let metric = Metric::new("x", &long, PRICE).expect("an id");
        assert_eq!(metric.pair().len(), 64);
    }

    proptest! {
        #[test]
        fn an_id_is_read_back_as_it_is(parts in proptest::array::uniform3("\\PC{1,10}")) {
            let [market, pair, measure] = &parts;
            if let Ok(metric) = Metric::new(market, pair, measure) {
                prop_assert_eq!(metric.id().parse::<Metric>(), Ok(metric.clone()));
                let [market, pair, measure] = parts.map(|part| part.nfd().collect::<String>());
                prop_assert_eq!(Metric::new(&market, &pair, &measure), Ok(metric));
            }
        }
    }
}
