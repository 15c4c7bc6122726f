//! Functions of the samples of a range. Formulas as Prometheus has them (promql/functions.go), so
//! that charts look alike.

use super::arguments::Arguments;
use crate::function::OverTime;
use crate::statistics::{mean, quantile, sum, variance};
use crate::value::{Element, PromError, Value};

/// Range of samples: its samples, its bounds, and the evaluation instant.
struct Range<'a> {
    samples: &'a [(i64, f64)],
    from: i64,
    to: i64,
    ts: i64,
}

pub(super) fn call(of: OverTime, arguments: &Arguments<'_>) -> Result<Value, PromError> {
    // The range is the last argument but where a number follows it.
    let (range, parameter) = match of {
        OverTime::Quantile => (arguments.at(1)?, arguments.scalar(0)?),
        OverTime::PredictLinear => (arguments.at(0)?, arguments.scalar(1)?),
        _ => (arguments.at(0)?, 0.0),
    };
    let Value::Matrix(series, (from, to)) = range else {
        return Err(PromError::BadData(
            "expected a range vector, like price[5m]".to_owned(),
        ));
    };
    let elements = series.iter().filter_map(|(labels, samples)| {
        let range = Range {
            samples,
            from,
            to,
            ts: arguments.ts,
        };
        let keeps_name = matches!(of, OverTime::Last | OverTime::First);
        Some(Element {
            value: run_blocking(of, &range, parameter)?,
            labels: if keeps_name {
                labels.clone()
            } else {
                labels.without_name()
            },
        })
    });
    Ok(Value::Vector(elements.collect()))
}

#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn run_blocking(of: OverTime, range: &Range<'_>, parameter: f64) -> Option<f64> {
    let values = || range.samples.iter().map(|(_, value)| *value);
    let pairs = || range.samples.windows(2).map(|pair| (pair[0].1, pair[1].1));
    let count = range.samples.len() as f64;
    Some(match of {
        OverTime::Avg => mean(values()),
        OverTime::Min => values().fold(f64::NAN, f64::min),
        OverTime::Max => values().fold(f64::NAN, f64::max),
        OverTime::Sum => sum(values()),
        OverTime::Count => count,
        OverTime::Last => range.samples.last()?.1,
        OverTime::First => range.samples.first()?.1,
        OverTime::Present => 1.0,
        OverTime::Stdvar => variance(values()),
        OverTime::Stddev => variance(values()).sqrt(),
        OverTime::Quantile => quantile(parameter, values().collect()),
        OverTime::Mad => {
            let median = quantile(0.5, values().collect());
            quantile(0.5, values().map(|value| (value - median).abs()).collect())
        }
        OverTime::Delta => delta(range)?,
        OverTime::Idelta => {
            let (before, last) = pairs().next_back()?;
            last - before
        }
        OverTime::Deriv => regression(range.samples, range.samples.first()?.0)?.0,
        OverTime::PredictLinear => {
            let (slope, intercept) = regression(range.samples, range.ts)?;
            slope * parameter + intercept
        }
        OverTime::Changes => pairs()
            .filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
            .count() as f64,
        OverTime::Resets => pairs().filter(|(a, b)| b < a).count() as f64,
    })
}

/// The change over the whole range, as far as the samples at its ends let one think that they go on
/// beyond.
#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn delta(range: &Range<'_>) -> Option<f64> {
    let (first, last) = (range.samples.first()?, range.samples.last()?);
    if range.samples.len() < 2 {
        return None;
    }
    let seconds = |millis: i64| millis as f64 / 1_000.0;
    let sampled = seconds(last.0 - first.0);
    let average = sampled / (range.samples.len() - 1) as f64;
    let beyond = |gap: f64| {
        if gap < average * 1.1 {
            gap
        } else {
            average / 2.0
        }
    };
    let whole =
        sampled + beyond(seconds(first.0 - range.from)) + beyond(seconds(range.to - last.0));
    Some((last.1 - first.1) * (whole / sampled))
}

/// Least squares: slope a second, and the value at an instant.
#[expect(clippy::cast_precision_loss, reason = "PromQL's numbers are floats")]
fn regression(samples: &[(i64, f64)], at: i64) -> Option<(f64, f64)> {
    if samples.len() < 2 {
        return None;
    }
    let first = samples[0].1;
    if samples.iter().all(|(_, value)| *value == first) {
        return Some((0.0, first));
    }
    let count = samples.len() as f64;
    let x = || samples.iter().map(|(ts, _)| (ts - at) as f64 / 1_000.0);
    let y = || samples.iter().map(|(_, value)| *value);
    let (sum_x, sum_y) = (sum(x()), sum(y()));
    let sum_xy = sum(x().zip(y()).map(|(x, y)| x * y));
    let sum_xx = sum(x().map(|x| x * x));
    let covariance = sum_xy - sum_x * sum_y / count;
    let variance = sum_xx - sum_x * sum_x / count;
    let slope = covariance / variance;
    Some((slope, sum_y / count - slope * sum_x / count))
}
