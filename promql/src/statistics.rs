//! Sums, means, variances and quantiles of plain numbers, as Prometheus computes them.

use std::cmp::Ordering;

/// Compares by value; NaN comes last.
pub(crate) fn order(a: f64, b: f64, descending: bool) -> Ordering {
    let by_value = if descending {
        b.total_cmp(&a)
    } else {
        a.total_cmp(&b)
    };
    a.is_nan().cmp(&b.is_nan()).then(by_value)
}

/// Neumaier's sum ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974).
pub(crate) fn sum(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() {
            (sum - next) + value
        } else {
            (value - next) + sum
        };
        sum = next;
    }
    if sum.is_infinite() { sum } else { sum + lost }
}

#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
pub(crate) fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    sum(values.clone()) / values.count() as f64
}

/// Variance of the population, by Welford's method.
pub(crate) fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut m2) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta: f64 = value - mean;
        mean += delta / count;
        m2 += delta * (value - mean);
    }
    m2 / count
}

/// Between the two nearest values, in the proportion of the distances.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index from 0 to the number of values"
)]
pub(crate) fn quantile(share: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || share.is_nan() {
        return f64::NAN;
    }
    if share < 0.0 {
        return f64::NEG_INFINITY;
    }
    if share > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    let rank = share * last as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
