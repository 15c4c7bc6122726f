//! Samples by time.

use std::sync::Arc;

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use marketlake_entities::Minute;
use marketlake_lake::{Lake, Point, QueryEngine, Span};

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
    /// The samples of some metrics, from `from` to `to`, both within; by default of the newest 24 hours.
    async fn timeseries(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names or ids, 100 at most.")] metrics: Vec<String>,
        #[graphql(desc = "The first minute; 24 hours before `to`, if none is given.")] from: Option<
            DateTime,
        >,
        #[graphql(desc = "The last minute; the newest, if none is given.")] to: Option<DateTime>,
    ) -> Result<Vec<Timeseries>> {
        let lake = context.data::<Arc<Lake>>()?;
        if metrics.len() > MOST_METRICS {
            let reason = format!("expected {MOST_METRICS} at most, got {}", metrics.len());
            return Err(errors::bad_argument("metrics", &reason));
        }
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
            let points = lake
                .engine()
                .timeseries(&metric, span)
                .await
                .map_err(errors::lake)?;
            answers.push(Timeseries {
                metric: lake.listed(metric).into(),
                from: span.from.into(),
                to: span.to.into(),
                points,
            });
        }
        Ok(answers)
    }
}
