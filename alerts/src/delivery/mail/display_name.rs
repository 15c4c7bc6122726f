//! Display names of metrics: `hottry` is HOT/TRY.

use marketlake_model::{Metric, PRICE};

/// Currencies that prices are given in, the longer before those that they end in.
const QUOTES: [&str; 28] = [
    "fdusd", "usdt", "usdc", "busd", "tusd", "usdp", "dai", "try", "eur", "usd", "gbp", "jpy",
    "krw", "brl", "aud", "cad", "chf", "rub", "uah", "pln", "ngn", "zar", "inr", "idr", "mxn",
    "btc", "eth", "bnb",
];

/// `HOT/TRY`, `HOT/TRY volume`, `UNITTEST`.
pub(super) fn title(metric: &Metric) -> String {
    let pair = pair(metric.pair());
    match metric.measure() {
        PRICE => pair,
        measure => format!("{pair} {measure}"),
    }
}

fn pair(pair: &str) -> String {
    for mark in ['-', '_', '/'] {
        if let Some((base, quote)) = pair.split_once(mark) {
            return format!("{}/{}", base.to_uppercase(), quote.to_uppercase());
        }
    }
    let split = QUOTES.iter().find_map(|quote| {
        let base = pair.strip_suffix(quote)?;
        (!base.is_empty()).then(|| format!("{}/{}", base.to_uppercase(), quote.to_uppercase()))
    });
    split.unwrap_or_else(|| pair.to_uppercase())
}

/// `hour`, `90 minutes`: the time that a mean is of.
pub(super) fn window(minutes: u32) -> String {
    match minutes {
        60 => "hour".to_owned(),
        1_440 => "day".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
