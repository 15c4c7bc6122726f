//! The window where it can answer whole, else the Parquet files.

use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::{Jump, Metric};

use super::{
    Bucket, Embedded, Interval, JumpQuery, Point, QueryEngine, Span, Trail, TrailQuery, reach,
};
use crate::ranking::Ranking;
use crate::statistic::Statistic;
use crate::{LakeError, Window};

/// Chooses an engine for each question.
#[derive(Clone)]
pub struct Router {
    window: Arc<Window>,
    embedded: Embedded,
}

impl Router {
    pub(crate) fn new(window: Arc<Window>, embedded: Embedded) -> Self {
        Self { window, embedded }
    }

    fn choose(&self, span: Span) -> &dyn QueryEngine {
        if self.window.covers(span) {
            self.window.as_ref()
        } else {
            &self.embedded
        }
    }
}

#[async_trait]
impl QueryEngine for Router {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        self.choose(span).metrics(span).await
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        self.choose(span).timeseries(metric, span).await
    }

    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError> {
        self.choose(span).ranking(measure, statistic, span).await
    }

    async fn series(&self, metrics: &[Metric], span: Span) -> Result<Vec<Vec<Point>>, LakeError> {
        self.choose(span).series(metrics, span).await
    }

    async fn latest(
        &self,
        metrics: &[Metric],
        span: Span,
    ) -> Result<Vec<Option<Point>>, LakeError> {
        self.choose(span).latest(metrics, span).await
    }

    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        self.choose(span).buckets(metric, span, interval).await
    }

    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        self.choose(reach(query)).jumps(query).await
    }

    async fn trails(&self, query: &TrailQuery) -> Result<Vec<Trail>, LakeError> {
        self.choose(query.reach()).trails(query).await
    }
}
