//! Coverage: the minutes of a span that have a sample of a metric, and the reasons of those that
//! have none.

use std::collections::BTreeMap;
use std::iter;

use marketlake_entities::records::{gaps, metrics};
use marketlake_model::{Metric, Minute};
use sea_orm::EntityTrait;

use crate::error::LakeError;
use crate::query::Queries;
use crate::query::bucket::Interval;
use crate::query::comparison::Comparison;
use crate::query::engine::QueryEngine;
use crate::query::listing::NamedMetric;
use crate::query::missing::{MissingSpan, length};
use crate::span::{DAY, Point, Span};

/// Longest span of a query, in minutes: that of a series.
const MAX_MINUTES: u64 = 366 * DAY.unsigned_abs();
/// Minutes that are read at once, so that memory stays bounded however long a span is.
const BATCH_MINUTES: i64 = 31 * DAY;
/// Minutes before a span in which earlier samples are looked for.
const LOOKBACK_MINUTES: i64 = 31 * DAY;

/// Number of a metric's samples by the first minute of each day that has any.
type Days = BTreeMap<Minute, u64>;

/// Coverage of a metric in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricCoverage {
    /// The metric.
    pub named: NamedMetric,
    /// Minutes that are expected to have a sample: from the metric's first sample at the earliest
    /// to the newest committed minute at the latest. The requested span where none is expected.
    pub span: Span,
    /// Number of minutes that are expected to have a sample.
    pub expected: u64,
    /// Number of them that have one.
    pub recorded: u64,
    /// Number of recorded minutes that the market's feed had missed or failed to deliver, and that
    /// the exchange's history filled since; 0 of a measure that the history lacks.
    pub filled: u64,
    /// The other minutes, newest first, at most 1,000 spans.
    pub missing: Vec<MissingSpan>,
    /// Number of older missing spans, which are not listed.
    pub missing_left_out: u64,
}

/// Number of minutes of a span that are expected to have a sample, and that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MinuteCount {
    /// Number of expected minutes.
    pub expected: u64,
    /// Number of recorded minutes.
    pub recorded: u64,
}

impl MetricCoverage {
    /// `1437 of 1440`: recorded and expected minutes.
    #[must_use]
    pub fn display(&self) -> String {
        let (expected, recorded) = (self.expected, self.recorded);
        MinuteCount { expected, recorded }.display()
    }
}

impl MinuteCount {
    /// `1437 of 1440`: recorded and expected minutes.
    #[must_use]
    pub fn display(self) -> String {
        format!("{} of {}", self.recorded, self.expected)
    }
}

impl Queries<'_> {
    /// Span of a coverage from `from` to `to`, by default the last 24 hours; or what was expected
    /// of `from`. Spans have at most 366 days.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read. The inner error says what was expected of `from`.
    pub async fn coverage_span(
        self,
        from: Option<Minute>,
        to: Option<Minute>,
    ) -> Result<Result<Span, String>, LakeError> {
        let Some(span) = self.default_span(from, to).await? else {
            let at = from.unwrap_or(Minute::from_number(0));
            return Ok(Ok(Span { from: at, to: at }));
        };
        Ok(span.validate().and_then(|span| {
            let minutes = length(span);
            if minutes <= MAX_MINUTES {
                return Ok(span);
            }
            Err(format!(
                "expected at most {MAX_MINUTES} minutes up to {}, got {minutes}",
                span.to
            ))
        }))
    }

    /// Coverage of a metric in a span, which [`Self::coverage_span`] bounds. Samples are counted by
    /// days; only the samples of days that lack minutes are read. What gaps say in words is read by
    /// [`Self::load_details`].
    ///
    /// # Errors
    /// Fails if the engine or the catalog fails.
    pub async fn coverage(
        self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
    ) -> Result<MetricCoverage, LakeError> {
        let mut coverage = MetricCoverage {
            named: self.named_metric(metric.clone()),
            span,
            expected: 0,
            recorded: 0,
            filled: 0,
            missing: Vec::new(),
            missing_left_out: 0,
        };
        // Before the samples: a minute that is committed in between is not expected yet.
        let Some(committed) = self.committed(span).await? else {
            return Ok(coverage);
        };
        let days = count_days(engine, metric, committed).await?;
        let expected = self.expected_span(engine, metric, committed, &days);
        let Some(expected) = expected.await? else {
            return Ok(coverage);
        };
        let compared = self.compare(engine, metric, expected, &days).await?;
        coverage.span = expected;
        coverage.expected = length(expected);
        coverage.recorded = compared.recorded;
        coverage.filled = compared.filled;
        (coverage.missing, coverage.missing_left_out) = compared.finish(metric);
        Ok(coverage)
    }

    /// Reads what the gaps of missing spans say in words. It may quote errors.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn load_details(self, missing: &mut [MissingSpan]) -> Result<(), LakeError> {
        let ids: Vec<i64> = missing.iter().filter_map(|s| s.explained_by).collect();
        let mut details = gaps::details(self.lake.database(), ids).await?;
        for span in missing {
            if let Some(id) = span.explained_by {
                span.detail = details.remove(&id);
            }
        }
        Ok(())
    }

    /// Number of minutes of a span that are expected to have a sample of a metric, and that have
    /// one: counted by days, without reading the samples of all minutes.
    ///
    /// # Errors
    /// Fails if the engine or the catalog fails.
    pub async fn count_minutes(
        self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
    ) -> Result<MinuteCount, LakeError> {
        let Some(committed) = self.committed(span).await? else {
            return Ok(MinuteCount::default());
        };
        let days = count_days(engine, metric, committed).await?;
        let expected = self.expected_span(engine, metric, committed, &days);
        let expected = expected.await?.map_or(0, length);
        let recorded = days.values().sum::<u64>().min(expected);
        Ok(MinuteCount { expected, recorded })
    }

    /// The same count from samples that were read already: `points` are all of the metric in the
    /// span, by time, and may begin before it.
    ///
    /// # Errors
    /// Fails if the catalog or the store fails.
    pub async fn count_points(
        self,
        metric: &Metric,
        span: Span,
        points: &[Point],
    ) -> Result<MinuteCount, LakeError> {
        let Some(committed) = self.committed(span).await? else {
            return Ok(MinuteCount::default());
        };
        let mut times = points.iter().map(|point| point.ts);
        let first = times.find(|ts| committed.contains(*ts));
        let from = if first == Some(committed.from) {
            first
        } else {
            self.begun_before(metric, committed).await?.or(first)
        };
        let Some(expected) = from.and_then(|from| part_from(committed, from)) else {
            return Ok(MinuteCount::default());
        };
        let recorded = points.iter().filter(|point| expected.contains(point.ts));
        Ok(MinuteCount {
            expected: length(expected),
            recorded: recorded.count() as u64,
        })
    }

    /// Part of a span that ends with the newest committed minute.
    async fn committed(self, span: Span) -> Result<Option<Span>, LakeError> {
        let newest = self.lake.newest().await?;
        Ok(newest.and_then(|newest| {
            let (from, to) = (span.from, span.to.min(newest));
            (from <= to).then_some(Span { from, to })
        }))
    }

    /// Part of a committed span that begins with the metric's first sample.
    async fn expected_span(
        self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
        days: &Days,
    ) -> Result<Option<Span>, LakeError> {
        if let Some(from) = self.begun_before(metric, span).await? {
            return Ok(part_from(span, from));
        }
        let Some(day) = days.keys().next() else {
            return Ok(None);
        };
        let day = Span {
            from: span.from.max(*day),
            to: span.to.min(day.plus(DAY - 1)),
        };
        let points = engine.timeseries(metric, day).await?;
        let first = points.first();
        Ok(first.and_then(|first| part_from(span, first.ts)))
    }

    /// First expected minute of a span if the metric has earlier samples: the span's, or the lake's
    /// first one, before which samples are expired.
    async fn begun_before(self, metric: &Metric, span: Span) -> Result<Option<Minute>, LakeError> {
        let Some(bounds) = self.lake.bounds().await? else {
            return Ok(None);
        };
        let before = Span {
            from: bounds.from.max(span.from.plus(-LOOKBACK_MINUTES)),
            to: span.from.plus(-1),
        };
        let has_earlier = self.has_samples(metric, before).await?;
        Ok(has_earlier.then(|| span.from.max(bounds.from)))
    }

    /// Returns whether a metric had samples in a span or earlier, as far as its first commit says;
    /// else in the span, which is short: an import may have brought what is older than its commit.
    async fn has_samples(self, metric: &Metric, span: Span) -> Result<bool, LakeError> {
        let row = metrics::Entity::find_by_id(metric.id())
            .one(self.lake.database())
            .await?;
        // A sample is not newer than its commit, apart from the tolerance of a minute.
        if row.is_some_and(|row| row.created_at.minute() <= span.to) {
            return Ok(true);
        }
        if span.from > span.to {
            return Ok(false);
        }
        let engine = self.lake.datafusion();
        let days = engine.buckets(metric, span, Interval::DAY).await?;
        Ok(!days.is_empty())
    }

    /// Compares the minutes of a span with samples and gaps, newest first.
    async fn compare(
        self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
        days: &Days,
    ) -> Result<Comparison, LakeError> {
        let mut compared = Comparison::new(metric);
        for batch in parts(span, BATCH_MINUTES) {
            let points = points_of_partial_days(engine, metric, batch, days).await?;
            let (database, market) = (self.lake.database(), metric.market());
            let gaps = gaps::marks(database, market, batch.from, batch.to).await?;
            let mut points = points.iter().rev().peekable();
            let mut gaps = gaps.iter().rev().peekable();
            for day in parts(batch, DAY) {
                let is_whole = count_of(days, day) >= length(day);
                for number in (day.from.number()..=day.to.number()).rev() {
                    let minute = Minute::from_number(number);
                    let gap = gaps.next_if(|gap| gap.minute == minute);
                    let point = points.next_if(|point| point.ts == minute);
                    compared.add(minute, is_whole || point.is_some(), gap);
                }
            }
        }
        Ok(compared)
    }
}

/// Number of samples of a metric in each day of a span.
async fn count_days(
    engine: &dyn QueryEngine,
    metric: &Metric,
    span: Span,
) -> Result<Days, LakeError> {
    let mut days = Days::new();
    for batch in parts(span, BATCH_MINUTES) {
        let buckets = engine.buckets(metric, batch, Interval::DAY).await?;
        days.extend(buckets.iter().map(|bucket| (bucket.start, bucket.count)));
    }
    Ok(days)
}

/// Number of samples in a day or a part of it.
fn count_of(days: &Days, day: Span) -> u64 {
    days.get(&day.from.day()).copied().unwrap_or(0)
}

/// Samples of a metric from the first to the last day of a span that has some minutes only.
async fn points_of_partial_days(
    engine: &dyn QueryEngine,
    metric: &Metric,
    span: Span,
    days: &Days,
) -> Result<Vec<Point>, LakeError> {
    let is_partial = |day: &Span| (1..length(*day)).contains(&count_of(days, *day));
    let partial: Vec<Span> = parts(span, DAY).filter(is_partial).collect();
    let (Some(last), Some(first)) = (partial.first(), partial.last()) else {
        return Ok(Vec::new());
    };
    let (from, to) = (first.from, last.to);
    engine.timeseries(metric, Span { from, to }).await
}

/// Parts of a span, newest first: whole days of some minutes together, apart from the span's ends.
fn parts(span: Span, minutes: i64) -> impl Iterator<Item = Span> {
    let mut to = span.to;
    iter::from_fn(move || {
        if to < span.from {
            return None;
        }
        let from = span.from.max(to.day().plus(DAY - minutes));
        let part = Span { from, to };
        to = from.plus(-1);
        Some(part)
    })
}

/// Part of a span from a minute on.
fn part_from(span: Span, from: Minute) -> Option<Span> {
    let to = span.to;
    (from <= to).then_some(Span { from, to })
}
