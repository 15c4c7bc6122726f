//! Query engine on the Parquet files: `DataFusion` over exactly the live segments.

mod batches;
mod ranking;
mod scan;
mod segment_file;
pub(crate) mod session;
mod table;
mod whole_hours;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ScalarValue;
use marketlake_entities::records::segments::Model;
use marketlake_model::{Jump, Metric};

use super::rule_input::{RuleInput, RuleInputQuery};
use super::{JumpQuery, QueryEngine, evaluate, lookback_span, sort_by_time};
use crate::catalog::segments::{self, overlaps};
use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval, bucketed, merged};
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::segment::rollup;
use crate::span::{DAY, Point, Span};
use batches::PointRows;
use session::{DataFusionEngine, sort_segments, span_parameters};
use whole_hours::{outside, whole_hours};

const TIMESERIES: &str = include_str!("../sql/datafusion/timeseries.sql");

/// Most metrics that are queried one by one; for more, everything is read.
const MAX_SINGLE_QUERIES: usize = 16;

#[async_trait]
impl QueryEngine for DataFusionEngine {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        let segments = segments::live(&self.database, span).await?;
        let metrics = ranking::metrics(self, &segments, span).await?;
        Ok(metrics.into_iter().collect())
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        let session = self.session(span).await?;
        let mut parameters = span_parameters(span);
        parameters.push(("metric", ScalarValue::from(metric.id())));
        let batches = Self::run_query(&session, TIMESERIES, parameters).await?;
        let mut points = Vec::new();
        for batch in &batches {
            let rows = PointRows::new(batch)?;
            for row in 0..batch.num_rows() {
                points.push(rows.point(row)?);
            }
        }
        Ok(points)
    }

    async fn ranking(
        &self,
        measure: &str,
        statistic: Statistic,
        span: Span,
    ) -> Result<Arc<Ranking>, LakeError> {
        let segments = segments::live(&self.database, span).await?;
        let ranking = ranking::ranking(self, &segments, measure, statistic, span).await?;
        Ok(Arc::new(ranking))
    }

    async fn series(&self, metrics: &[Metric], span: Span) -> Result<Vec<Vec<Point>>, LakeError> {
        let mut series = Vec::with_capacity(metrics.len());
        if metrics.len() <= MAX_SINGLE_QUERIES {
            for metric in metrics {
                series.push(self.timeseries(metric, span).await?);
            }
        } else {
            let mut all = self.all_series(span).await?;
            let of = |metric| all.remove(metric).unwrap_or_default();
            series.extend(metrics.iter().map(of));
        }
        Ok(series)
    }

    async fn latest(
        &self,
        metrics: &[Metric],
        span: Span,
    ) -> Result<Vec<Option<Point>>, LakeError> {
        let series = self.series(metrics, span).await?;
        Ok(series.iter().map(|points| points.last().copied()).collect())
    }

    /// Computes buckets from rollups, where every bucket is made of whole hours; the hours at the
    /// span's ends, and those without rollups, from samples.
    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        let mut segments = segments::live(&self.database, span).await?;
        sort_segments(&mut segments);
        let all_rolled_up = |hours: Span| {
            let raw = |s: &Model| s.rollup_path.is_none() && overlaps(s, hours);
            !segments.iter().any(raw)
        };
        match whole_hours(span).filter(|hours| interval.is_whole_hours() && all_rolled_up(*hours)) {
            None => Ok(bucketed(&self.timeseries(metric, span).await?, interval)),
            Some(hours) => {
                let (before, after) = outside(span, hours);
                let mut parts = Vec::new();
                for edge in [before, after].into_iter().flatten() {
                    let points = self.timeseries(metric, edge).await?;
                    parts.extend(rollup::rollups(&points));
                }
                segments.retain(|segment| overlaps(segment, hours));
                parts.extend(self.rolled_up(metric, hours, &segments).await?);
                parts.sort_by_key(|part| part.hour);
                let parts = parts.into_iter().map(|part| (part.hour, part));
                Ok(merged(parts, interval))
            }
        }
    }

    /// All metrics' samples are read a day at a time, so that memory stays bounded however long the
    /// span is.
    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let mut found = Vec::new();
        if let Some(metric) = &query.metric {
            let points = self.timeseries(metric, lookback_span(query)).await?;
            evaluate(query, metric, &points, &mut found);
            return Ok(found);
        }
        let Some(bounds) = segments::bounds(&self.database).await? else {
            return Ok(found);
        };
        let (mut from, last) = (
            query.span.from.max(bounds.from),
            query.span.to.min(bounds.to),
        );
        while from <= last {
            let to = last.min(from.plus(DAY - 1));
            let part = JumpQuery {
                span: Span { from, to },
                ..query.clone()
            };
            self.all_jumps(&part, &mut found).await?;
            from = to.plus(1);
        }
        sort_by_time(&mut found);
        Ok(found)
    }

    async fn rule_inputs(&self, query: &RuleInputQuery) -> Result<Vec<RuleInput>, LakeError> {
        let mut inputs = Vec::new();
        match &query.metrics {
            Some(metrics) if metrics.len() <= MAX_SINGLE_QUERIES => {
                for metric in metrics {
                    let points = self.timeseries(metric, query.span()).await?;
                    inputs.push(RuleInput::from_points(metric, query.at, &points));
                }
            }
            Some(metrics) => {
                let series = self.all_series(query.span()).await?;
                for metric in metrics {
                    let points = series.get(metric).map_or(&[][..], Vec::as_slice);
                    inputs.push(RuleInput::from_points(metric, query.at, points));
                }
            }
            None => {
                for (metric, points) in self.all_series(query.span()).await? {
                    inputs.push(RuleInput::from_points(&metric, query.at, &points));
                }
            }
        }
        inputs.sort_unstable_by(|a, b| a.metric.cmp(&b.metric));
        Ok(inputs)
    }
}

impl DataFusionEngine {
    async fn all_jumps(&self, query: &JumpQuery, found: &mut Vec<Jump>) -> Result<(), LakeError> {
        for (metric, points) in &self.all_series(lookback_span(query)).await? {
            evaluate(query, metric, points, found);
        }
        Ok(())
    }

    /// Every metric's samples in a span, in the order of time.
    async fn all_series(&self, span: Span) -> Result<HashMap<Metric, Vec<Point>>, LakeError> {
        let segments = segments::live(&self.database, span).await?;
        let mut series: HashMap<Metric, Vec<Point>> = HashMap::new();
        let take = |metric: &Metric, point| match series.get_mut(metric) {
            Some(points) => points.push(point),
            None => {
                series.insert(metric.clone(), vec![point]);
            }
        };
        self.for_each_sample(segments, None, span, take).await?;
        Ok(series)
    }
}
