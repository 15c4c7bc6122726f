//! Statistics by which metrics are ranked.

use std::fmt;
use std::str::FromStr;

use marketlake_common::excerpt;
use marketlake_model::Metric;

use crate::segment::moments::Moments;
use crate::segment::rollup::Rollup;

/// The measure that an exchange reports as what was traded in the last 24 hours.
const VOLUME_24H: &str = "volume24h";
/// The measure of what was traded in one minute.
const VOLUME: &str = "volume";

/// A number that a metric has over a span. A metric with fewer than two samples has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// Sample standard deviation of the values, in the metric's unit.
    #[default]
    Stddev,
    /// Standard deviation over the mean's absolute value; none where the mean is zero.
    RelativeStddev,
    /// The values' mean, in the metric's unit.
    Mean,
    /// The greatest value less the least, in the metric's unit.
    Range,
    /// The latest value less the earliest, in the metric's unit.
    Change,
    /// Change in percent of the earliest's absolute value; none where that is zero.
    PercentChange,
    /// Traded volume of the metric's pair: the latest `volume24h`, or without one the sum of
    /// `volume`. None where neither is recorded.
    Volume,
}

/// Summary of a span's values, as floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) moments: Moments,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
}

impl From<&Rollup> for Summary {
    fn from(rollup: &Rollup) -> Self {
        Self {
            moments: rollup.moments,
            min: rollup.min.to_f64(),
            max: rollup.max.to_f64(),
            first: rollup.first.to_f64(),
            last: rollup.last.to_f64(),
        }
    }
}

/// Text that is no statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected stddev, relative_stddev, mean, range, change, percent_change or volume, got {0:?}"
)]
pub struct ParseStatisticError(String);

impl Statistic {
    /// All variants.
    pub const ALL: [Self; 7] = [
        Self::Stddev,
        Self::RelativeStddev,
        Self::Mean,
        Self::Range,
        Self::Change,
        Self::PercentChange,
        Self::Volume,
    ];

    /// Returns whether count, mean and m2 determine it.
    pub(crate) fn is_of_moments(self) -> bool {
        matches!(self, Self::Stddev | Self::RelativeStddev | Self::Mean)
    }

    /// Computes it from a span's summary; `traded` returns the traded volume of the pair.
    pub(crate) fn compute(
        self,
        span: &Summary,
        traded: impl FnOnce() -> Option<f64>,
    ) -> Option<f64> {
        let stddev = span.moments.stddev()?;
        let mean = span.moments.mean;
        let (first, last) = (span.first, span.last);
        let over = |number: f64, by: f64| (by != 0.0).then(|| number / by);
        let value = match self {
            Self::Stddev => Some(stddev),
            Self::RelativeStddev => over(stddev, mean.abs()),
            Self::Mean => Some(mean),
            Self::Range => Some(span.max - span.min),
            Self::Change => Some(last - first),
            Self::PercentChange => over(100.0 * (last - first), first.abs()),
            Self::Volume => traded(),
        };
        // Zero has one sign, so that ties are ties.
        value.map(|value| value + 0.0)
    }
}

/// Series of the traded volume of a metric's pair: the exchange's own sum over 24 hours, and the
/// minutes'.
pub(crate) fn volumes_of(metric: &Metric) -> Option<(Metric, Metric)> {
    let of = |measure| Metric::new(metric.market(), metric.pair(), measure).ok();
    Some((of(VOLUME_24H)?, of(VOLUME)?))
}

/// The measures of those series.
pub(crate) const VOLUMES: [&str; 2] = [VOLUME_24H, VOLUME];

/// Traded volume, from the summaries of those series.
pub(crate) fn traded(daily: Option<&Summary>, minutes: Option<&Summary>) -> Option<f64> {
    let sum = |minutes: &Summary| minutes.moments.mean * f64::from(minutes.moments.count);
    daily.map(|daily| daily.last).or_else(|| minutes.map(sum))
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stddev => "stddev",
            Self::RelativeStddev => "relative_stddev",
            Self::Mean => "mean",
            Self::Range => "range",
            Self::Change => "change",
            Self::PercentChange => "percent_change",
            Self::Volume => "volume",
        })
    }
}

impl FromStr for Statistic {
    type Err = ParseStatisticError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|s| s.to_string() == text);
        known.ok_or_else(|| ParseStatisticError(excerpt(text).into_owned()))
    }
}
