//! Types of time series.

use async_graphql::{ComplexObject, Enum, Result, SimpleObject};
use marketlake_lake::{Bucket, Point, with_aggregates};

use super::super::metrics::Metric;
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

#[expect(clippy::unused_async, reason = "resolvers are async")]
#[ComplexObject]
impl Timeseries {
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
