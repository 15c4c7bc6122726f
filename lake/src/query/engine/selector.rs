//! Selector of an engine for each query: memory where it holds the whole span, else DataFusion, or
//! Athena by its policy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::{Jump, Metric};
use sea_orm::DatabaseConnection;

use super::athena::AthenaEngine;
use super::datafusion::session::DataFusionEngine;
use super::rule_input::{RuleInput, RuleInputQuery};
use super::usage::{EngineKind, record};
use super::{JumpQuery, QueryEngine, lookback_span};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval};
use crate::query::memory::RecentDay;
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// Policy for the queries that go to Athena, where it is connected: either limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AthenaPolicy {
    /// Queries that begin longer ago than this, counted from the newest minute.
    pub older_than: Option<Duration>,
    /// Queries that would read more bytes than this.
    pub larger_than: Option<u64>,
}

/// Engine that chooses one for each query.
#[derive(Clone)]
pub struct EngineSelector {
    database: DatabaseConnection,
    recent_day: Arc<RecentDay>,
    datafusion: DataFusionEngine,
    athena: Option<(AthenaEngine, AthenaPolicy)>,
}

impl Default for AthenaPolicy {
    /// Queries that would read over a gigabyte.
    fn default() -> Self {
        Self {
            older_than: None,
            larger_than: Some(1_000_000_000),
        }
    }
}

impl EngineSelector {
    pub(crate) fn new(
        database: DatabaseConnection,
        recent_day: Arc<RecentDay>,
        datafusion: DataFusionEngine,
        athena: Option<(AthenaEngine, AthenaPolicy)>,
    ) -> Self {
        Self {
            database,
            recent_day,
            datafusion,
            athena,
        }
    }

    /// Chooses the engine for a query of a number of metrics, or of all.
    async fn choose(
        &self,
        span: Span,
        metrics: Option<usize>,
    ) -> Result<&dyn QueryEngine, LakeError> {
        if self.recent_day.covers(span) {
            record(EngineKind::Memory);
            return Ok(self.recent_day.as_ref());
        }
        if let Some((athena, policy)) = &self.athena
            && self.should_use_athena(*policy, span, metrics).await?
        {
            record(EngineKind::Athena);
            return Ok(athena);
        }
        record(EngineKind::DataFusion);
        Ok(&self.datafusion)
    }

    async fn should_use_athena(
        &self,
        policy: AthenaPolicy,
        span: Span,
        metrics: Option<usize>,
    ) -> Result<bool, LakeError> {
        if let (Some(age), Some(newest)) = (policy.older_than, self.recent_day.newest()) {
            let minutes = i64::try_from(age.as_secs() / 60).unwrap_or(i64::MAX);
            if span.from < newest.plus(-minutes) {
                return Ok(true);
            }
        }
        let Some(max) = policy.larger_than else {
            return Ok(false);
        };
        Ok(segments::estimate_bytes(&self.database, span, metrics).await? > max)
    }
}

#[async_trait]
impl QueryEngine for EngineSelector {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        self.choose(span, None).await?.metrics(span).await
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        let engine = self.choose(span, Some(1)).await?;
        engine.timeseries(metric, span).await
    }

    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError> {
        let engine = self.choose(span, None).await?;
        engine.ranking(measure, statistic, span).await
    }

    async fn series(&self, metrics: &[Metric], span: Span) -> Result<Vec<Vec<Point>>, LakeError> {
        let engine = self.choose(span, Some(metrics.len())).await?;
        engine.series(metrics, span).await
    }

    async fn latest(
        &self,
        metrics: &[Metric],
        span: Span,
    ) -> Result<Vec<Option<Point>>, LakeError> {
        let engine = self.choose(span, Some(metrics.len())).await?;
        engine.latest(metrics, span).await
    }

    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        let engine = self.choose(span, Some(1)).await?;
        engine.buckets(metric, span, interval).await
    }

    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let metrics = query.metric.as_ref().map(|_| 1);
        self.choose(lookback_span(query), metrics)
            .await?
            .jumps(query)
            .await
    }

    async fn rule_inputs(&self, query: &RuleInputQuery) -> Result<Vec<RuleInput>, LakeError> {
        let metrics = query.metrics.as_ref().map(Vec::len);
        let engine = self.choose(query.span(), metrics).await?;
        engine.rule_inputs(query).await
    }
}
