//! Rankings of metrics.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use marketlake_http::auth::scope::Scope;
use marketlake_lake::{Lake, with_statistics};
use marketlake_model::{Minute, PRICE};

use super::errors;
use super::guard::RequireScope;
use super::metrics::{Metric, minute, resolve};
use super::paging::{self, CursorPosition, Page, PageArgs, Paging};
use super::scalars::DateTime;

macro_rules! define_statistic {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Statistic by which metrics are ranked; one without it is unranked.
        #[derive(Enum, Clone, Copy, PartialEq, Eq)]
        #[graphql(remote = "marketlake_lake::Statistic")]
        pub(super) enum Statistic {
            $($(#[$doc])* $variant,)*
        }
    };
}

with_statistics!(define_statistic);

impl Default for Statistic {
    fn default() -> Self {
        marketlake_lake::Statistic::default().into()
    }
}

/// Rank of a metric among all metrics of its measure, over 24 hours; highest first, ties share a
/// rank (1, 2, 2, 4).
#[derive(SimpleObject, Clone)]
pub(super) struct Rank {
    /// The metric.
    metric: Metric,
    /// Its place from 1; null with fewer than two samples, and where it does not have the
    /// statistic.
    rank: Option<i64>,
    /// Number of ranked metrics.
    of: i64,
    /// Rank and number of ranked metrics: "5/43".
    display: String,
    /// Statistic by which they are ranked.
    statistic: Statistic,
    /// The statistic itself; null where there is no rank.
    value: Option<f64>,
    /// The first minute that counts.
    from: DateTime,
    /// The last minute that counts.
    to: DateTime,
}

impl Rank {
    /// A place at a minute; default the newest.
    pub(super) fn new(rank: marketlake_lake::MetricRank, at: Option<Minute>) -> Self {
        let standing = rank.ranked.as_ref();
        Self {
            display: rank.display(),
            rank: standing.and_then(|standing| i64::try_from(standing.rank).ok()),
            of: i64::try_from(rank.of).unwrap_or(i64::MAX),
            statistic: rank.statistic.into(),
            value: standing.map(|standing| standing.value),
            from: rank.span.from.into(),
            to: rank.span.to.into(),
            metric: Metric::new(rank.named, at),
        }
    }
}

impl Rank {
    /// The metric's id, and its place.
    pub(super) fn stands(&self) -> Option<(String, i64)> {
        Some((self.metric.key().id().to_owned(), self.rank?))
    }
}

#[derive(Default)]
pub(super) struct RankingQuery;

#[Object]
impl RankingQuery {
    /// Rank of a metric among all metrics of its measure, over the 24 hours up to `at`.
    #[graphql(guard = "RequireScope(Scope::Read)")]
    async fn rank(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Name or id: hottry, binance:hottry.")] metric: String,
        #[graphql(desc = "Statistic by which metrics are ranked.", default)] statistic: Statistic,
        #[graphql(desc = "Minute of the answer; the newest by default.")] at: Option<DateTime>,
    ) -> Result<Rank> {
        let lake = context.data::<Arc<Lake>>()?;
        let metric = resolve(lake, &metric).await?;
        let at = at.map(minute);
        let engine = lake.engine();
        let rank = lake
            .queries()
            .rank(&engine, metric, statistic.into(), at)
            .await;
        Ok(Rank::new(rank.map_err(errors::lake)?, at))
    }

    /// All ranked metrics of a measure over the 24 hours up to `at`, by place, then id.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    #[graphql(
        guard = "RequireScope(Scope::Read)",
        complexity = "paging::complexity(first.or(last), child_complexity)"
    )]
    async fn ranking(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Measure of the metrics; price by default.")] measure: Option<String>,
        #[graphql(desc = "Statistic by which metrics are ranked.", default)] statistic: Statistic,
        #[graphql(desc = "Minute of the answer; the newest by default.")] at: Option<DateTime>,
        #[graphql(desc = "Rows of the page, 1 to 10,000; 100 by default.")] first: Option<i32>,
        #[graphql(desc = "Cursor behind which the page begins.")] after: Option<String>,
        #[graphql(desc = "Rows of the page, from the end of the list.")] last: Option<i32>,
        #[graphql(desc = "Cursor before which the page ends.")] before: Option<String>,
    ) -> Result<Page<Rank>> {
        let lake = context.data::<Arc<Lake>>()?;
        let paging = Paging::new(&PageArgs {
            first,
            after,
            last,
            before,
        })?;
        let measure = measure.unwrap_or_else(|| PRICE.to_owned());
        page(lake, &measure, statistic, at.map(minute), &paging).await
    }
}

/// A page of the places of a measure.
pub(super) async fn page(
    lake: &Lake,
    measure: &str,
    statistic: Statistic,
    at: Option<Minute>,
    paging: &Paging,
) -> Result<Page<Rank>> {
    let engine = lake.engine();
    let ranks = lake
        .queries()
        .rank_all(&engine, measure, statistic.into(), at)
        .await;
    let Some(ranks) = ranks.map_err(errors::lake)? else {
        return Ok(Page::new(false, false));
    };
    let ranking = &ranks.ranking;
    let position = |id: &str| {
        let metric = id.parse().ok()?;
        ranking.index_of(&metric).map(CursorPosition::of)
    };
    paging.page(ranking.ranked(), position, |standing| {
        let rank = Rank::new(lake.queries().named_rank(&ranks, standing), at);
        (standing.metric.id().to_owned(), rank)
    })
}
