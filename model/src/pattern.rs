//! Patterns of metrics that a subscription is about.

use marketlake_common::excerpt;
use std::fmt;
use std::str::FromStr;

use crate::metric::{Metric, canonical_name};

/// A metric by id or by short name, or many by `*`: `binance:hottry`, `hottry`, `*usdt`,
/// `binance:*:volume`; or a list of such, separated by commas.
///
/// Without `:` it is about prices of that pair on any market; with one it is compared with
/// the whole id and with the short name. `*` stands for any run of characters but `:`;
/// the pattern `*` alone stands for every metric. Letter case, and the form in which Unicode
/// composes accents, make no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// The most members of a list.
const MAX_MEMBERS: usize = 50;
const MAX_LEN: usize = 2_000;
const MAX_MEMBER_LEN: usize = 200;

/// Error of a text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a metric or a pattern like *usdt of at most 200 characters, or up to 50 of them \
     separated by commas, got {0:?}"
)]
pub struct ParsePatternError(String);

impl Pattern {
    /// Whether a metric is meant.
    #[must_use]
    pub fn matches(&self, metric: &Metric) -> bool {
        self.members().any(|member| {
            member == "*" || glob(member, metric.id()) || glob(member, metric.short_name())
        })
    }

    /// The members of the list; one, where it is none.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.0.split(',')
    }

    /// Whether every member is one metric's id or short name.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }
}

/// Compares by parts, so that `*` never crosses a `:`.
fn glob(pattern: &str, text: &str) -> bool {
    let (patterns, texts) = (pattern.split(':'), text.split(':'));
    patterns.clone().count() == texts.clone().count()
        && patterns
            .zip(texts)
            .all(|(pattern, text)| glob_part(pattern, text))
}

fn glob_part(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let tail = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some(at) = text.find(piece) else {
            return false;
        };
        text = &text[at + piece.len()..];
    }
    text.ends_with(tail)
}

impl FromStr for Pattern {
    type Err = ParsePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParsePatternError(excerpt(text).into_owned());
        if text.len() > MAX_LEN {
            return Err(error());
        }
        let bad = |c: char| c.is_whitespace() || c.is_control();
        let canonical = canonical_name(text);
        let members: Vec<&str> = canonical.split(',').map(str::trim).collect();
        let good = |member: &&str| {
            !member.is_empty()
                && member.len() <= MAX_MEMBER_LEN
                && !member.contains(bad)
                && member.split(':').count() <= 3
        };
        if members.len() > MAX_MEMBERS || !members.iter().all(good) {
            return Err(error());
        }
        Ok(Self(members.join(",")))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_what_a_reader_expects() {
        for (pattern, id, meant) in [
            ("hottry", "binance:hottry", true),
            ("hottry", "binance:hottry:volume", false),
            ("binance:hottry", "binance:hottry", true),
            ("binance:hottry", "gateio:hottry", false),
            ("*usdt", "binance:btcusdt", true),
            ("*usdt", "binance:btcusdt:volume", false),
            ("*usdt:volume", "binance:btcusdt:volume", true),
            ("binance:*:volume", "binance:btcusdt:volume", true),
            ("b*c*t", "kraken:btcusdt", true),
            ("*a*", "kraken:btcusdt", false),
            ("*", "kraken:btcusdt:volume", true),
            ("BTC*", "kraken:btcusdt", true),
            ("ab*ba", "kraken:aba", false),
            ("hottry, *usdt", "binance:btcusdt", true),
            ("hottry, *usdt", "binance:btceur", false),
            ("cafe\u{301}*", "x:CAF\u{c9}usdt", true),
            ("x:caf\u{e9}usdt", "x:cafe\u{301}usdt", true),
        ] {
            let pattern: Pattern = pattern.parse().expect("a pattern");
            let metric: Metric = id.parse().expect("a metric");
            assert_eq!(pattern.matches(&metric), meant, "{pattern} on {id}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in ["", "a b", "a:b:c:d", "x\ny", "a,,b", ","] {
            bad.parse::<Pattern>().expect_err(bad);
        }
    }
}
