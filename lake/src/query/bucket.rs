//! Buckets: samples downsampled to intervals, and the aggregates over them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use marketlake_common::{excerpt, one_of};
use marketlake_model::{Exact, Minute};

use crate::query::named_enum::named_enum;
use crate::segment::rollup::Rollup;
use crate::span::Point;

/// Significant digits of what is computed; the sixteenth and seventeenth of a float are noise.
const SIGNIFICANT_DIGITS: usize = 15;
const MINUTES_A_DAY: u32 = 1_440;
const MAX_DAYS: u32 = 366;

/// Length of a bucket: whole minutes up to 366 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(u32);

/// Text that is no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected whole minutes up to 366 days, like 5m, 1h or 1d, got {0:?}")]
pub struct ParseIntervalError(String);

/// Calls `$define!` with the variants of [`Aggregate`]: documentation, variant, name. Each API
/// declares its own enum from them.
#[macro_export]
macro_rules! with_aggregates {
    ($define:ident) => {
        $define! {
            /// The mean, to 15 digits.
            Avg "avg",
            /// The least value.
            Min "min",
            /// The greatest value.
            Max "max",
            /// The earliest value.
            First "first",
            /// The latest value.
            Last "last",
            /// The sum, to 15 digits.
            Sum "sum",
            /// Number of samples.
            Count "count",
        }
    };
}

macro_rules! define {
    ($($variants:tt)*) => {
        named_enum! {
            /// Aggregate of a bucket's samples.
            Aggregate { $($variants)* }
        }
    };
}

with_aggregates!(define);

/// Text that is no aggregate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {names}, got {0:?}", names = one_of(&Aggregate::names()))]
pub struct ParseAggregateError(String);

/// One metric's samples of one interval: also open (`first`), high (`max`), low (`min`) and close
/// (`last`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// First minute of the interval.
    pub start: Minute,
    /// Number of samples.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The least value.
    pub min: Exact,
    /// The greatest value.
    pub max: Exact,
    /// The earliest value.
    pub first: Exact,
    /// The latest value.
    pub last: Exact,
}

impl Interval {
    /// A day.
    pub(crate) const DAY: Self = Self(MINUTES_A_DAY);

    /// Interval of `minutes` minutes; `None` outside of 1 minute to 366 days.
    #[must_use]
    pub fn minutes(minutes: u32) -> Option<Self> {
        let max = MAX_DAYS * MINUTES_A_DAY;
        (1..=max).contains(&minutes).then_some(Self(minutes))
    }

    /// First minute of the bucket that contains a minute.
    #[must_use]
    pub fn start(self, minute: Minute) -> Minute {
        let length = i64::from(self.0);
        Minute::from_number(minute.number().div_euclid(length) * length)
    }

    /// Its length in minutes.
    pub(crate) fn length(self) -> u32 {
        self.0
    }

    /// Returns whether each bucket consists of whole hours.
    pub(crate) fn is_whole_hours(self) -> bool {
        self.0.is_multiple_of(60)
    }
}

impl FromStr for Interval {
    type Err = ParseIntervalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseIntervalError(excerpt(text).into_owned());
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(unit_at);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3_600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(wrong()),
        };
        let length = Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?);
        let whole = length.as_secs().is_multiple_of(60);
        let minutes = u32::try_from(length.as_secs() / 60).map_err(|_| wrong())?;
        Self::minutes(minutes).filter(|_| whole).ok_or_else(wrong)
    }
}

impl Aggregate {}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Aggregate {
    type Err = ParseAggregateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|one| one.name() == text);
        known
            .copied()
            .ok_or_else(|| ParseAggregateError(excerpt(text).into_owned()))
    }
}

impl Bucket {
    /// Point of an aggregate at the interval's start.
    #[must_use]
    pub fn point(&self, aggregate: Aggregate) -> Option<Point> {
        let value = self.value(aggregate)?;
        let ts = self.start;
        Some(Point { ts, value })
    }

    /// The value that stands for it; `None` for a sum that does not fit.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn value(&self, aggregate: Aggregate) -> Option<Exact> {
        match aggregate {
            Aggregate::Avg => Exact::rounded(self.mean, SIGNIFICANT_DIGITS),
            Aggregate::Min => Some(self.min),
            Aggregate::Max => Some(self.max),
            Aggregate::First => Some(self.first),
            Aggregate::Last => Some(self.last),
            Aggregate::Sum => Exact::rounded(self.mean * self.count as f64, SIGNIFICANT_DIGITS),
            Aggregate::Count => Exact::new(i64::try_from(self.count).ok()?, 0),
        }
    }
}

/// Points, in the order of time, in buckets. Each hour's part of a bucket is summed up by itself
/// and merged then, so that it is all the same whether an hour comes from its samples or from its
/// rollup.
pub(super) fn bucketed(points: &[Point], interval: Interval) -> Vec<Bucket> {
    let same = |a: &Point, b: &Point| {
        a.ts.hour() == b.ts.hour() && interval.start(a.ts) == interval.start(b.ts)
    };
    let parts = points.chunk_by(same);
    let parts = parts.filter_map(|part| Some((part.first()?.ts, Rollup::from_points(part)?)));
    merged(parts, interval)
}

/// Parts, in the order of time and each within one bucket, put together.
pub(super) fn merged(
    parts: impl Iterator<Item = (Minute, Rollup)>,
    interval: Interval,
) -> Vec<Bucket> {
    let mut buckets: Vec<(Minute, Rollup)> = Vec::new();
    for (ts, part) in parts {
        let start = interval.start(ts);
        match buckets.last_mut() {
            Some((last, whole)) if *last == start => whole.merge(&part),
            _ => buckets.push((start, part)),
        }
    }
    let finished = buckets.into_iter().map(|(start, whole)| Bucket {
        start,
        count: u64::from(whole.moments.count),
        mean: whole.moments.mean,
        min: whole.min,
        max: whole.max,
        first: whole.first,
        last: whole.last,
    });
    finished.collect()
}
