//! Arguments of time series.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Result};
use marketlake_lake::{
    Aggregate, Interval, Lake, ParseIntervalError, Point, QueryEngine, Span, Transform,
};
use marketlake_model::{Metric, Minute};

use super::super::errors::{self, bad_argument};
use super::super::loaders::Loaders;
use super::super::metrics::minute;
use super::super::scalars::DateTime;
use super::{AggregateName, Timeseries};

/// Samples of one answer: a year of one metric, a day of each of 366.
const MAX_SAMPLES: i64 = 366 * 1_440;
const MAX_TRANSFORMS: usize = 4;
const LONGEST: i32 = 7 * 1_440;
const DEFAULT_MINUTES: i32 = 60;

/// Kind of transform.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
pub(in crate::schema) enum TransformKind {
    /// The value minus the previous one, exact; none for the first sample.
    Change,
    /// The change in percent of the previous value's absolute value; none after a zero.
    PercentChange,
    /// Mean of the values of the last `minutes`, its own included.
    MovingAverage,
    /// Standard deviations by which a value lies above the mean of the last `minutes`, its own
    /// included.
    ZScore,
}

/// Transform of the values of a series.
#[derive(Clone, InputObject)]
pub(in crate::schema) struct TransformInput {
    /// Kind of transform.
    kind: TransformKind,
    /// Window of moving average and z-score, in minutes, 1 to 10,080; default 60.
    minutes: Option<i32>,
}

impl TransformInput {
    fn transform(&self) -> Result<Transform> {
        let minutes = self.minutes.unwrap_or(DEFAULT_MINUTES);
        let looks_back = matches!(
            self.kind,
            TransformKind::MovingAverage | TransformKind::ZScore
        );
        if !looks_back && self.minutes.is_some() {
            let problem = "expected none with this kind: it reads only the previous value";
            return Err(bad_argument("transforms.minutes", problem));
        }
        let minutes = u32::try_from(minutes)
            .ok()
            .filter(|_| (1..=LONGEST).contains(&minutes));
        let minutes = minutes.ok_or_else(|| {
            let got = self.minutes.unwrap_or_default();
            let problem = format!("expected a number from 1 to {LONGEST}, got {got}");
            bad_argument("transforms.minutes", &problem)
        })?;
        Ok(match self.kind {
            TransformKind::Change => Transform::Change,
            TransformKind::PercentChange => Transform::PercentChange,
            TransformKind::MovingAverage => Transform::MovingAverage { minutes },
            TransformKind::ZScore => Transform::ZScore { minutes },
        })
    }
}

/// The arguments of a series, checked.
pub(in crate::schema) struct TimeseriesArgs {
    from: Option<Minute>,
    to: Option<Minute>,
    interval: Option<Interval>,
    aggregate: Aggregate,
    transforms: Vec<Transform>,
}

impl TimeseriesArgs {
    pub(in crate::schema) fn new(
        from: Option<DateTime>,
        to: Option<DateTime>,
        interval: Option<&str>,
        aggregate: Option<AggregateName>,
        transforms: Option<Vec<TransformInput>>,
    ) -> Result<Self> {
        let transforms = transforms.unwrap_or_default();
        if transforms.len() > MAX_TRANSFORMS {
            let problem = format!(
                "expected at most {MAX_TRANSFORMS}, got {}",
                transforms.len()
            );
            return Err(bad_argument("transforms", &problem));
        }
        if interval.is_none() && aggregate.is_some() {
            return Err(bad_argument("aggregate", "expected with interval only"));
        }
        let interval = interval.map(|text| {
            let parsed = text.parse();
            parsed.map_err(|error: ParseIntervalError| bad_argument("interval", &error.to_string()))
        });
        Ok(Self {
            from: from.map(minute),
            to: to.map(minute),
            interval: interval.transpose()?,
            aggregate: aggregate.map_or(Aggregate::Avg, Into::into),
            transforms: transforms
                .iter()
                .map(TransformInput::transform)
                .collect::<Result<_>>()?,
        })
    }

    async fn span(&self, lake: &Lake) -> Result<Span> {
        let span = lake
            .queries()
            .default_span(self.from, self.to)
            .await
            .map_err(errors::lake)?;
        let nothing = Minute::from_number(0);
        let span = span.unwrap_or_else(|| Span {
            from: self.from.unwrap_or(nothing),
            to: self.to.or(self.from).unwrap_or(nothing),
        });
        span.validate()
            .map_err(|reason| bad_argument("from", &reason))
    }

    /// Refuses more samples than an answer may hold.
    pub(in crate::schema) async fn check_size(&self, lake: &Lake, metrics: usize) -> Result<()> {
        self.check_span(self.span(lake).await?, metrics)
    }

    fn check_span(&self, span: Span, metrics: usize) -> Result<()> {
        let minutes = span.to.number() - span.from.number() + 1;
        let samples = minutes.saturating_mul(i64::try_from(metrics).unwrap_or(i64::MAX));
        if self.interval.is_none() && samples > MAX_SAMPLES {
            let problem = format!(
                "expected at most {MAX_SAMPLES} minutes of all metrics together, got {samples}; \
                 with interval there may be more"
            );
            return Err(bad_argument("from", &problem));
        }
        Ok(())
    }

    /// The series of one metric.
    pub(in crate::schema) async fn of_metric(
        &self,
        context: &Context<'_>,
        metric: &Metric,
    ) -> Result<Timeseries> {
        let lake = context.data::<Arc<Lake>>()?;
        let span = self.span(lake).await?;
        self.check_span(span, 1)?;
        let reach: i64 = self.transforms.iter().map(|t| i64::from(t.reach())).sum();
        let read = Span {
            from: span.from.plus(-reach),
            to: span.to,
        };
        let (points, mut buckets) = match self.interval {
            None => {
                let loaders = context.data::<Loaders>()?;
                let key = (metric.clone(), read.from, read.to);
                let points = loaders
                    .series
                    .load_one(key)
                    .await
                    .map_err(errors::loading)?;
                (
                    points.map_or_else(Vec::new, |points| points.to_vec()),
                    Vec::new(),
                )
            }
            Some(interval) => {
                let buckets = lake.engine().buckets(metric, read, interval).await;
                let buckets = buckets.map_err(errors::lake)?;
                let points = buckets
                    .iter()
                    .filter_map(|bucket| bucket.point(self.aggregate));
                (points.collect(), buckets)
            }
        };
        let transformed = |points: Vec<Point>, transform: &Transform| transform.apply(&points);
        let mut points = self.transforms.iter().fold(points, transformed);
        let first = self
            .interval
            .map_or(span.from, |interval| interval.start(span.from));
        points.retain(|point| point.ts >= first);
        buckets.retain(|bucket| bucket.start >= first);
        Ok(Timeseries {
            metric: lake.queries().named_metric(metric.clone()).into(),
            from: span.from.into(),
            to: span.to.into(),
            points,
            buckets,
            loaded: self.interval.is_none().then_some(read),
        })
    }
}
