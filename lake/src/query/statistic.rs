//! Statistics by which metrics are ranked.

use std::fmt;
use std::str::FromStr;

use marketlake_common::{excerpt, one_of};
use marketlake_model::{Metric, VOLUME, VOLUME_24H};

use crate::query::named_enum::named_enum;
use crate::segment::moments::Moments;
use crate::segment::rollup::Rollup;

/// Calls `$define!` with the variants of [`Statistic`]: documentation, variant, name. Each API
/// declares its own enum from them.
#[macro_export]
macro_rules! with_statistics {
    ($define:ident) => {
        $define! {
            /// Sample standard deviation of the values, in the metric's unit.
            Stddev "stddev",
            /// Standard deviation over the mean's absolute value; none where the mean is zero.
            RelativeStddev "relative_stddev",
            /// The values' mean, in the metric's unit.
            Mean "mean",
            /// The greatest value less the least, in the metric's unit.
            Range "range",
            /// The latest value less the earliest, in the metric's unit.
            Change "change",
            /// Change in percent of the earliest's absolute value; none where that is zero.
            PercentChange "percent_change",
            /// Traded volume of the metric's pair: the latest `volume24h`, or without one the sum
            /// of `volume`. None where neither is recorded.
            Volume "volume",
        }
    };
}

macro_rules! define {
    ($($variants:tt)*) => {
        named_enum! {
            /// A number that a metric has over a span. A metric with fewer than two samples has
            /// none.
            Statistic { $($variants)* }
        }
    };
}

with_statistics!(define);

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
#[error("expected {names}, got {0:?}", names = one_of(&Statistic::names()))]
pub struct ParseStatisticError(String);

impl Statistic {
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

impl Default for Statistic {
    fn default() -> Self {
        Self::Stddev
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Statistic {
    type Err = ParseStatisticError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|one| one.name() == text);
        known
            .copied()
            .ok_or_else(|| ParseStatisticError(excerpt(text).into_owned()))
    }
}
