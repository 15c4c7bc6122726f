//! The window where it can answer whole, else the Parquet files; of what is old or large, Athena reads them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::{Jump, Metric};
use sea_orm::DatabaseConnection;

use super::athena::Athena;
use super::datafusion::Embedded;
use super::rule_input::{Trail, TrailQuery};
use super::usage::{Answerer, note};
use super::{JumpQuery, QueryEngine, reach};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval};
use crate::query::memory::Window;
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// Which questions go to Athena, where it is connected: those to which either applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// They begin longer ago than this, counted from the newest minute.
    pub older_than: Option<Duration>,
    /// They would read more than so many bytes.
    pub larger_than: Option<u64>,
}

/// Chooses an engine for each question.
#[derive(Clone)]
pub struct Router {
    database: DatabaseConnection,
    window: Arc<Window>,
    embedded: Embedded,
    athena: Option<(Athena, Route)>,
}

impl Default for Route {
    /// What would read over a gigabyte.
    fn default() -> Self {
        Self {
            older_than: None,
            larger_than: Some(1_000_000_000),
        }
    }
}

impl Router {
    pub(crate) fn new(
        database: DatabaseConnection,
        window: Arc<Window>,
        embedded: Embedded,
        athena: Option<(Athena, Route)>,
    ) -> Self {
        Self {
            database,
            window,
            embedded,
            athena,
        }
    }

    /// For a question about so many metrics, or all.
    async fn choose(
        &self,
        span: Span,
        metrics: Option<usize>,
    ) -> Result<&dyn QueryEngine, LakeError> {
        if self.window.covers(span) {
            note(Answerer::Window);
            return Ok(self.window.as_ref());
        }
        if let Some((athena, route)) = &self.athena
            && self.goes_far(*route, span, metrics).await?
        {
            note(Answerer::Athena);
            return Ok(athena);
        }
        note(Answerer::Embedded);
        Ok(&self.embedded)
    }

    async fn goes_far(
        &self,
        route: Route,
        span: Span,
        metrics: Option<usize>,
    ) -> Result<bool, LakeError> {
        if let (Some(age), Some(newest)) = (route.older_than, self.window.newest()) {
            let minutes = i64::try_from(age.as_secs() / 60).unwrap_or(i64::MAX);
            if span.from < newest.plus(-minutes) {
                return Ok(true);
            }
        }
        let Some(most) = route.larger_than else {
            return Ok(false);
        };
        Ok(segments::to_read(&self.database, span, metrics).await? > most)
    }
}

#[async_trait]
impl QueryEngine for Router {
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
        self.choose(reach(query), metrics).await?.jumps(query).await
    }

    async fn trails(&self, query: &TrailQuery) -> Result<Vec<Trail>, LakeError> {
        let metrics = query.metrics.as_ref().map(Vec::len);
        let engine = self.choose(query.reach(), metrics).await?;
        engine.trails(query).await
    }
}
