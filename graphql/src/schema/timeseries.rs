//! Samples by time.

use std::sync::Arc;

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{ComplexObject, Context, Enum, Object, Result, SimpleObject};
use marketlake_entities::Minute;
use marketlake_lake::{
    Aggregate, Bucket, Interval, Lake, ParseIntervalError, Point, QueryEngine, Span,
};

use super::errors;
use super::metrics::{Metric, minute, resolve};
use super::paging::{self, Place};
use super::scalars::{DateTime, Decimal};

const MOST_METRICS: usize = 100;

/// One metric's samples in a span, as columns or as rows.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Timeseries {
    /// The metric.
    metric: Metric,
    /// The first minute that was asked for.
    from: DateTime,
    /// The last minute that was asked for.
    to: DateTime,
    #[graphql(skip)]
    points: Vec<Point>,
    #[graphql(skip)]
    buckets: Vec<Bucket>,
}

/// What stands for an interval.
#[derive(Clone, Copy, Enum, PartialEq, Eq)]
#[graphql(name = "Aggregate")]
pub(super) enum AggregateName {
    /// The mean, to 15 digits.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The earliest value.
    First,
    /// The latest value.
    Last,
    /// The sum, to 15 digits.
    Sum,
    /// How many samples there are.
    Count,
}

impl From<AggregateName> for Aggregate {
    fn from(name: AggregateName) -> Self {
        match name {
            AggregateName::Avg => Self::Avg,
            AggregateName::Min => Self::Min,
            AggregateName::Max => Self::Max,
            AggregateName::First => Self::First,
            AggregateName::Last => Self::Last,
            AggregateName::Sum => Self::Sum,
            AggregateName::Count => Self::Count,
        }
    }
}

/// What an interval held.
#[derive(SimpleObject)]
pub(super) struct Candle {
    /// Where it begins, UTC.
    timestamp: DateTime,
    /// The earliest value.
    open: Decimal,
    /// The greatest value.
    high: Decimal,
    /// The least value.
    low: Decimal,
    /// The latest value.
    close: Decimal,
    /// How many samples it holds.
    count: i32,
}

/// One value at one minute.
#[derive(SimpleObject)]
pub(super) struct Sample {
    /// The start of the minute, UTC.
    timestamp: DateTime,
    /// Exactly what the exchange sent, in the unit of the metric.
    value: Decimal,
}

#[expect(clippy::unused_async, reason = "resolvers are async")]
#[ComplexObject]
impl Timeseries {
    /// The minutes of all samples, in order.
    async fn times(&self) -> Vec<DateTime> {
        self.points.iter().map(|point| point.ts.into()).collect()
    }

    /// The values of all samples, in the order of `times`.
    async fn values(&self) -> Vec<Decimal> {
        self.points
            .iter()
            .map(|point| Decimal(point.value))
            .collect()
    }

    /// Open, high, low and close of each interval; none without `interval`.
    async fn candles(&self) -> Vec<Candle> {
        self.buckets
            .iter()
            .map(|bucket| Candle {
                timestamp: bucket.start.into(),
                open: Decimal(bucket.first),
                high: Decimal(bucket.max),
                low: Decimal(bucket.min),
                close: Decimal(bucket.last),
                count: i32::try_from(bucket.count).unwrap_or(i32::MAX),
            })
            .collect()
    }

    /// The samples as rows, a page of them.
    #[graphql(complexity = "paging::complexity(first, child_complexity)")]
    async fn samples(
        &self,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100, if none is given.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
    ) -> Result<Connection<Place, Sample, EmptyFields, EmptyFields>> {
        let (rows, behind) = (paging::rows(first)?, paging::place(after.as_deref())?);
        let start = behind.map_or(0, |place| {
            self.points.partition_point(|p| p.ts.to_string() <= place)
        });
        Ok(paging::page(self.points.clone(), start, rows, |point| {
            let timestamp = point.ts.into();
            (
                point.ts.to_string(),
                Sample {
                    timestamp,
                    value: Decimal(point.value),
                },
            )
        }))
    }
}

#[derive(Default)]
pub(super) struct TimeseriesQuery;

#[Object]
impl TimeseriesQuery {
    /// The samples of some metrics, from `from` to `to`, both within; by default of the newest 24 hours. With `interval`, one value
    /// each, at its start.
    async fn timeseries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names or ids, 100 at most.")] metrics: Vec<String>,
        #[graphql(desc = "The first minute; 24 hours before `to`, if none is given.")] from: Option<
            DateTime,
        >,
        #[graphql(desc = "The last minute; the newest, if none is given.")] to: Option<DateTime>,
        #[graphql(desc = "Length of an interval: whole minutes up to 366 days, like 5m, 1h, 1d.")]
        interval: Option<String>,
        #[graphql(desc = "What stands for an interval; the mean, if nothing is said.")]
        aggregate: Option<AggregateName>,
    ) -> Result<Vec<Timeseries>> {
        let lake = context.data::<Arc<Lake>>()?;
        if metrics.len() > MOST_METRICS {
            let reason = format!("expected {MOST_METRICS} at most, got {}", metrics.len());
            return Err(errors::bad_argument("metrics", &reason));
        }
        let interval = parse_interval(interval.as_deref(), aggregate)?;
        let aggregate = aggregate.map_or(Aggregate::Avg, Into::into);
        let from = from.map(minute);
        let span = lake
            .span(from, to.map(minute))
            .await
            .map_err(errors::lake)?;
        let nothing = Span::day_to(Minute::from_number(0));
        let span = span
            .unwrap_or_else(|| Span {
                from: from.unwrap_or(nothing.from),
                ..nothing
            })
            .forwards()
            .map_err(|reason| errors::bad_argument("from", &reason))?;
        let mut answers = Vec::with_capacity(metrics.len());
        for name in &metrics {
            let metric = resolve(lake, name).await?;
            let engine = lake.engine();
            let (points, buckets) = match interval {
                None => (engine.timeseries(&metric, span).await, Vec::new()),
                Some(interval) => {
                    let buckets = engine.buckets(&metric, span, interval).await;
                    let buckets = buckets.map_err(errors::lake)?;
                    let points = buckets.iter().filter_map(|bucket| bucket.point(aggregate));
                    (Ok(points.collect()), buckets)
                }
            };
            let points = points.map_err(errors::lake)?;
            answers.push(Timeseries {
                metric: lake.listed(metric).into(),
                from: span.from.into(),
                to: span.to.into(),
                points,
                buckets,
            });
        }
        Ok(answers)
    }
}

fn parse_interval(
    text: Option<&str>,
    aggregate: Option<AggregateName>,
) -> Result<Option<Interval>> {
    let Some(text) = text else {
        return match aggregate {
            None => Ok(None),
            Some(_) => Err(errors::bad_argument(
                "aggregate",
                "expected interval beside it",
            )),
        };
    };
    let interval = text.parse();
    interval
        .map(Some)
        .map_err(|error: ParseIntervalError| errors::bad_argument("interval", &error.to_string()))
}
