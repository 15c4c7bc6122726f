//! Types of time series.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject};
use marketlake_lake::{Bucket, Lake, Point, Span, with_aggregates};

use super::super::errors::{self, bad_argument};
use super::super::loaders::Loaders;
use super::super::metrics::{Metric, minute};
use super::super::paging::{self, CursorPosition, Page, PageArgs, Paging};
use super::super::scalars::{Column, DateTime, Decimal};

/// One metric's samples in a span, as columns or as rows.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(in crate::schema) struct Timeseries {
    /// The metric.
    pub(super) metric: Metric,
    /// First minute of the requested time span.
    pub(super) from: DateTime,
    /// Last minute of the requested time span.
    pub(super) to: DateTime,
    #[graphql(skip)]
    pub(super) points: Vec<Point>,
    #[graphql(skip)]
    pub(super) buckets: Vec<Bucket>,
    /// Span of the samples that were loaded; none with an interval, which loads no samples.
    #[graphql(skip)]
    pub(super) loaded: Option<Span>,
}

macro_rules! define_aggregate {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Aggregate function over an interval.
        #[derive(Clone, Copy, Enum, PartialEq, Eq)]
        #[graphql(name = "Aggregate", remote = "marketlake_lake::Aggregate")]
        pub(in crate::schema) enum AggregateName {
            $($(#[$doc])* $variant,)*
        }
    };
}

with_aggregates!(define_aggregate);

/// Candle of an interval: open, high, low, close and count.
#[derive(SimpleObject)]
pub(in crate::schema) struct Candle {
    /// Start of the interval, UTC.
    timestamp: DateTime,
    /// The earliest value.
    open: Decimal,
    /// The greatest value.
    high: Decimal,
    /// The least value.
    low: Decimal,
    /// The latest value.
    close: Decimal,
    /// Number of samples in it.
    count: i32,
}

/// One value at one minute.
#[derive(SimpleObject, Clone)]
pub(in crate::schema) struct Sample {
    /// The start of the minute, UTC.
    timestamp: DateTime,
    /// Exactly what the exchange sent, in the unit of the metric.
    value: Decimal,
}

/// Number of minutes of a span that are expected to have a sample, and that have one.
#[derive(SimpleObject)]
pub(in crate::schema) struct SeriesCoverage {
    /// Number of expected minutes: from the metric's first sample at the earliest to the newest
    /// committed minute at the latest.
    expected: u64,
    /// Number of them that have a sample.
    recorded: u64,
    /// Recorded and expected minutes: "1437 of 1440".
    display: String,
}

#[expect(clippy::unused_async, reason = "resolvers are async")]
#[ComplexObject]
impl Timeseries {
    /// Number of minutes of the span that are expected to have a sample, and that have one: up to
    /// 366 days.
    #[graphql(complexity = "100 + child_complexity")]
    async fn coverage(&self, context: &Context<'_>) -> Result<SeriesCoverage> {
        let lake = context.data::<Arc<Lake>>()?;
        let (queries, metric) = (lake.queries(), self.metric.key());
        let (from, to) = (Some(minute(self.from)), Some(minute(self.to)));
        let span = queries.coverage_span(from, to).await;
        let span = span.map_err(errors::lake)?;
        let span = span.map_err(|reason| bad_argument("from", &reason))?;
        let count = if let Some(loaded) = self.loaded {
            let loaders = context.data::<Loaders>()?;
            // The field itself has loaded them for this request.
            let key = (metric.clone(), loaded.from, loaded.to);
            let points = loaders.series.load_one(key).await;
            let points = points.map_err(errors::loading)?.unwrap_or_default();
            queries.count_points(metric, span, &points).await
        } else {
            queries.count_minutes(&lake.engine(), metric, span).await
        };
        let count = count.map_err(errors::lake)?;
        Ok(SeriesCoverage {
            expected: count.expected,
            recorded: count.recorded,
            display: count.display(),
        })
    }

    /// The minutes of all samples, in order.
    async fn times(&self) -> Column<DateTime> {
        self.points.iter().map(|point| point.ts.into()).collect()
    }

    /// The values of all samples, in the order of `times`.
    async fn values(&self) -> Column<Decimal> {
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
    #[graphql(complexity = "paging::complexity(first.or(last), child_complexity)")]
    async fn samples(
        &self,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Page<Sample>> {
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let position = |place: &str| {
            let at = self
                .points
                .partition_point(|p| p.ts.to_string().as_str() < place);
            let behind = self
                .points
                .partition_point(|p| p.ts.to_string().as_str() <= place);
            Some(CursorPosition { at, behind })
        };
        paging.page(&self.points, position, |point| {
            (point.ts.to_string(), Sample::from(*point))
        })
    }
}

impl From<Point> for Sample {
    fn from(point: Point) -> Self {
        Self {
            timestamp: point.ts.into(),
            value: Decimal(point.value),
        }
    }
}
