//! Places.

use std::sync::Arc;

use async_graphql::connection::{Connection, EmptyFields};
use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use marketlake_entities::PRICE;
use marketlake_lake::Lake;

use super::errors;
use super::metrics::{Metric, minute, resolve};
use super::paging::{self, Place};
use super::scalars::DateTime;

/// By what metrics are placed.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    /// Sample standard deviation of the values, in the metric's unit.
    Stddev,
}

/// A metric's place among all of its measure, over 24 hours; highest first, ties share a place (1, 2, 2, 4).
#[derive(SimpleObject)]
pub(super) struct Rank {
    /// The metric.
    metric: Metric,
    /// Its place from 1; null with fewer than two samples.
    rank: Option<i64>,
    /// How many are ranked.
    of: i64,
    /// Both: "5/43".
    display: String,
    /// By what they are placed.
    statistic: Statistic,
    /// The statistic itself; null where there is no rank.
    value: Option<f64>,
    /// The first minute that counts.
    from: DateTime,
    /// The last minute that counts.
    to: DateTime,
}

impl From<marketlake_lake::Rank> for Rank {
    fn from(rank: marketlake_lake::Rank) -> Self {
        Self {
            display: rank.display(),
            rank: rank
                .standing
                .as_ref()
                .and_then(|standing| i64::try_from(standing.rank).ok()),
            of: i64::try_from(rank.of).unwrap_or(i64::MAX),
            statistic: Statistic::Stddev,
            value: rank.standing.map(|standing| standing.stddev),
            from: rank.span.from.into(),
            to: rank.span.to.into(),
            metric: rank.listed.into(),
        }
    }
}

#[derive(Default)]
pub(super) struct RankingQuery;

#[Object]
impl RankingQuery {
    /// One metric's place among all of its measure, over the 24 hours up to `at`.
    async fn rank(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry, binance:hottry.")] metric: String,
        #[graphql(desc = "The minute that the answer stands for; the newest, if none is given.")]
        at: Option<DateTime>,
    ) -> Result<Rank> {
        let lake = context.data::<Arc<Lake>>()?;
        let metric = resolve(lake, &metric).await?;
        let rank = lake.rank(&lake.engine(), metric, at.map(minute)).await;
        Ok(rank.map_err(errors::lake)?.into())
    }

    /// All ranked metrics of a measure over the 24 hours up to `at`, by place, then id.
    #[graphql(complexity = "paging::complexity(first, child_complexity)")]
    async fn ranking(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The measure; price, if none is given.")] measure: Option<String>,
        #[graphql(desc = "The minute that the answer stands for; the newest, if none is given.")]
        at: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100, if none is given.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
    ) -> Result<Connection<Place, Rank, EmptyFields, EmptyFields>> {
        let lake = context.data::<Arc<Lake>>()?;
        let (rows, behind) = (paging::rows(first)?, paging::place(after.as_deref())?);
        let measure = measure.unwrap_or_else(|| PRICE.to_owned());
        let ranks = lake
            .ranks(&lake.engine(), &measure, at.map(minute))
            .await
            .map_err(errors::lake)?;
        let start = match behind {
            None => 0,
            Some(id) => {
                let last = ranks.iter().position(|rank| rank.listed.metric.id() == id);
                last.ok_or_else(|| {
                    errors::bad_argument("after", "its metric is not ranked any more")
                })? + 1
            }
        };
        Ok(paging::page(ranks, start, rows, |rank| {
            (rank.listed.metric.id().to_owned(), rank.into())
        }))
    }
}
