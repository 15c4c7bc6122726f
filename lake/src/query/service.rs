//! Query service: the queries that GraphQL, REST, the Prometheus API and the CLI share.

use std::sync::Arc;

use marketlake_model::{Metric, Minute};

use crate::error::LakeError;
use crate::query::Queries;
use crate::query::bucket::{Aggregate, Interval};
use crate::query::engine::QueryEngine;
use crate::query::listing::{CachedListing, NamedMetric};
use crate::query::ranking::{RankedMetric, Ranking};
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// Rank of a metric among all of its measure over the last 24 hours.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRank {
    /// The metric.
    pub named: NamedMetric,
    /// Rank and value; `None` with fewer than two samples.
    pub ranked: Option<RankedMetric>,
    /// Number of ranked metrics.
    pub of: u64,
    /// Statistic of the ranking.
    pub statistic: Statistic,
    /// Span of the ranking.
    pub span: Span,
}

/// Ranking of a measure over 24 hours.
#[derive(Clone, Debug)]
pub struct RankingResult {
    /// Ranking.
    pub ranking: Arc<Ranking>,
    /// Statistic of the ranking.
    pub statistic: Statistic,
    /// Span of the ranking.
    pub span: Span,
}

impl MetricRank {
    /// `5/43`, or `-/43` where it is unranked.
    #[must_use]
    pub fn display(&self) -> String {
        match &self.ranked {
            Some(ranked) => format!("{}/{}", ranked.rank, self.of),
            None => format!("-/{}", self.of),
        }
    }
}

impl Queries<'_> {
    /// Metric with its name.
    #[must_use]
    pub fn named_metric(self, metric: Metric) -> NamedMetric {
        NamedMetric {
            name: self.lake.directory().name(&metric).to_owned(),
            metric,
        }
    }

    /// The last 24 hours at a minute, by default the newest committed one. `None` where the lake is
    /// empty.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn last_24h(self, at: Option<Minute>) -> Result<Option<Span>, LakeError> {
        let at = match at {
            Some(at) => Some(at),
            None => self.lake.newest().await?,
        };
        Ok(at.map(Span::last_24h))
    }

    /// Span from `from` to `to`; by default the 24 hours up to the newest committed minute. `None`
    /// where the lake is empty and no end is given.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn default_span(
        self,
        from: Option<Minute>,
        to: Option<Minute>,
    ) -> Result<Option<Span>, LakeError> {
        let day = self.last_24h(to).await?;
        Ok(day.map(|day| Span {
            from: from.unwrap_or(day.from),
            to: day.to,
        }))
    }

    /// A metric's samples, or with `downsampling` one value an interval, at the interval's start.
    ///
    /// # Errors
    /// Fails if the engine fails.
    pub async fn points(
        self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
        downsampling: Option<(Interval, Aggregate)>,
    ) -> Result<Vec<Point>, LakeError> {
        let Some((interval, aggregate)) = downsampling else {
            return engine.timeseries(metric, span).await;
        };
        let buckets = engine.buckets(metric, span, interval).await?;
        let points = buckets.iter().filter_map(|bucket| bucket.point(aggregate));
        Ok(points.collect())
    }

    /// The metrics that have a sample in the last 24 hours, by id.
    ///
    /// # Errors
    /// Fails if the engine fails.
    pub async fn list_metrics(
        self,
        engine: &dyn QueryEngine,
        at: Option<Minute>,
    ) -> Result<Vec<NamedMetric>, LakeError> {
        let Some(day) = self.last_24h(at).await? else {
            return Ok(Vec::new());
        };
        let metrics = engine.metrics(day).await?;
        if metrics
            .iter()
            .any(|metric| !self.lake.directory().contains(metric))
        {
            self.lake.refresh_directory().await?;
        }
        Ok(metrics
            .into_iter()
            .map(|metric| self.named_metric(metric))
            .collect())
    }

    /// Lists metrics by the selected engine; the newest list is cached.
    ///
    /// # Errors
    /// Fails if the engine fails.
    pub async fn list_metrics_cached(
        self,
        at: Option<Minute>,
    ) -> Result<Arc<Vec<NamedMetric>>, LakeError> {
        if at.is_some() || !self.lake.recent_day().is_ready() {
            return Ok(Arc::new(self.list_metrics(&self.lake.engine(), at).await?));
        }
        let snapshot = self.lake.recent_day().snapshot();
        let kept = self.lake.cached_listing().lock().clone();
        if let Some(kept) = kept
            && Arc::ptr_eq(&kept.snapshot, &snapshot)
            && Arc::ptr_eq(&kept.directory, &self.lake.directory())
        {
            return Ok(kept.listed);
        }
        let listed = Arc::new(
            self.list_metrics(self.lake.recent_day().as_ref(), snapshot.newest())
                .await?,
        );
        *self.lake.cached_listing().lock() = Some(CachedListing {
            snapshot,
            directory: self.lake.directory(),
            listed: Arc::clone(&listed),
        });
        Ok(listed)
    }

    /// Ranks a measure over the last 24 hours. `None` where the lake is empty.
    ///
    /// # Errors
    /// Fails if the engine fails.
    pub async fn rank_all(
        self,
        engine: &dyn QueryEngine,
        measure: &str,
        statistic: Statistic,
        at: Option<Minute>,
    ) -> Result<Option<RankingResult>, LakeError> {
        let Some(span) = self.last_24h(at).await? else {
            return Ok(None);
        };
        let ranking = engine.ranking(measure, statistic, span).await?;
        Ok(Some(RankingResult {
            ranking,
            statistic,
            span,
        }))
    }

    /// Rank of one metric over the last 24 hours.
    ///
    /// # Errors
    /// Fails if the engine fails.
    pub async fn rank(
        self,
        engine: &dyn QueryEngine,
        metric: Metric,
        statistic: Statistic,
        at: Option<Minute>,
    ) -> Result<MetricRank, LakeError> {
        let span = self
            .last_24h(at)
            .await?
            .unwrap_or_else(|| Span::last_24h(Minute::from_number(0)));
        let place = engine.rank_position(&metric, statistic, span).await?;
        Ok(MetricRank {
            ranked: place.ranked,
            named: self.named_metric(metric),
            of: place.of,
            statistic,
            span,
        })
    }

    /// Rank of one metric within a ranking of its measure.
    #[must_use]
    pub fn rank_in(self, ranking: &RankingResult, metric: Metric) -> MetricRank {
        let place = ranking.ranking.rank_position(&metric);
        MetricRank {
            ranked: place.ranked,
            named: self.named_metric(metric),
            of: place.of,
            statistic: ranking.statistic,
            span: ranking.span,
        }
    }

    /// Row of a ranking with the metric's name.
    #[must_use]
    pub fn named_rank(self, ranking: &RankingResult, ranked: &RankedMetric) -> MetricRank {
        MetricRank {
            named: self.named_metric(ranked.metric.clone()),
            ranked: Some(ranked.clone()),
            of: ranking.ranking.ranked().len() as u64,
            statistic: ranking.statistic,
            span: ranking.span,
        }
    }
}
