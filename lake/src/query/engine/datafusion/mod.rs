//! Query engine on the Parquet files: `DataFusion` over exactly the live segments.

mod batches;
mod ranking;
mod segment_file;
mod session;
mod table;
mod whole_hours;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::AsArray;
use async_trait::async_trait;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use marketlake_entities::records::segments::Model;
use marketlake_model::{Jump, Metric, Sample};
use sea_orm::DatabaseConnection;
use url::Url;

use super::rule_input::{RuleInput, RuleInputQuery};
use super::{JumpQuery, QueryEngine, evaluate, lookback_span, measure_suffix, sort_by_time};
use crate::catalog::segments::{self, overlaps};
use crate::error::LakeError;
use crate::query::bucket::{Bucket, Interval, bucketed, merged};
use crate::query::ranking::Ranking;
use crate::query::statistic::Statistic;
use crate::segment::codec::{ROLLUP_SCHEMA, RollupRows};
use crate::segment::rollup::{self, Rollup};
use crate::span::{DAY, Point, Span};
use crate::storage::object::Object;
use crate::storage::store::Store;
use batches::{PointRows, metric_at, series, text};
use segment_file::SegmentFiles;
use session::{in_time, times};
use table::ROOT;
use whole_hours::{outside, whole_hours};

const METRICS: &str = include_str!("../sql/datafusion/metrics.sql");
const UNORDERED: &str = include_str!("../sql/datafusion/samples_unordered.sql");
const TIMESERIES: &str = include_str!("../sql/datafusion/timeseries.sql");
const OF_MEASURE: &str = include_str!("../sql/datafusion/samples_of_measure.sql");
const ROLLUPS: &str = include_str!("../sql/datafusion/rollups.sql");
const SAMPLES: &str = include_str!("../sql/datafusion/samples.sql");

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct DataFusionEngine {
    database: DatabaseConnection,
    store: Store,
    files: Arc<SegmentFiles>,
    runtime: Arc<RuntimeEnv>,
}

/// Most metrics that are queried one by one; for more, everything is read.
const MAX_SINGLE_QUERIES: usize = 16;

impl DataFusionEngine {
    pub(crate) fn new(database: DatabaseConnection, store: &Store) -> Self {
        let runtime = Arc::new(RuntimeEnv::default());
        if let Ok(root) = Url::parse(ROOT) {
            // Named in plans only: bytes come by way of `SegmentFiles`.
            runtime.register_object_store(&root, Arc::clone(store.objects()));
        }
        Self {
            database,
            store: store.clone(),
            files: Arc::new(SegmentFiles::new(store.clone())),
            runtime,
        }
    }

    /// Clones it over another pool of connections.
    pub(crate) fn with_database(&self, database: &DatabaseConnection) -> Self {
        Self {
            database: database.clone(),
            ..self.clone()
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Every sample in a span, by metric, then time.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    pub async fn samples(&self, span: Span) -> Result<Vec<Sample>, LakeError> {
        let session = self.session(span).await?;
        let batches = Self::run_query(&session, SAMPLES, times(span)).await?;
        let mut samples = Vec::new();
        for (metric, points) in series(&batches)? {
            samples.extend(points.into_iter().map(|Point { ts, value }| Sample {
                metric: metric.clone(),
                ts,
                value,
            }));
        }
        Ok(samples)
    }

    /// Calls for each sample in a span, of a measure or of all, of some segments; within a metric
    /// in the order of time.
    pub(super) async fn for_each_sample(
        &self,
        segments: Vec<Model>,
        measure: Option<&str>,
        span: Span,
        mut visit: impl FnMut(&Metric, Point),
    ) -> Result<(), LakeError> {
        if segments.is_empty() {
            return Ok(());
        }
        let session = self.session_over(segments)?;
        let mut parameters = times(span);
        let sql = match measure {
            None => UNORDERED,
            Some(measure) => {
                parameters.push(("measure", ScalarValue::from(measure_suffix(measure))));
                OF_MEASURE
            }
        };
        let frame = session.sql(sql).await?;
        let frame = frame.with_param_values(ParamValues::from(parameters))?;
        let mut batches = frame.execute_stream().await?;
        while let Some(batch) = batches.try_next().await? {
            let mut last: Option<Metric> = None;
            let ids = text(&batch, "metric")?;
            let rows = PointRows::new(&batch)?;
            for row in 0..batch.num_rows() {
                let id = ids.as_string::<i32>().value(row);
                let metric = match last.take() {
                    Some(metric) if metric.id() == id => metric,
                    _ => metric_at(&ids, row)?,
                };
                visit(&metric, rows.point(row)?);
                last = Some(metric);
            }
        }
        Ok(())
    }

    /// The metrics that have a sample in a span, of some segments.
    pub(super) async fn present(
        &self,
        segments: Vec<Model>,
        span: Span,
    ) -> Result<Vec<Metric>, LakeError> {
        let session = self.session_over(segments)?;
        let mut metrics = Vec::new();
        for batch in Self::run_query(&session, METRICS, times(span)).await? {
            let ids = text(&batch, "metric")?;
            for row in 0..batch.num_rows() {
                metrics.push(metric_at(&ids, row)?);
            }
        }
        Ok(metrics)
    }

    /// Reads the rollups of a metric's hours in a span.
    async fn rolled_up(
        &self,
        metric: &Metric,
        span: Span,
        segments: &[Model],
    ) -> Result<Vec<Rollup>, LakeError> {
        let objects: Vec<Object> = segments.iter().filter_map(Object::rollups).collect();
        let session = self.empty_session();
        self.register(&session, "rollups", &ROLLUP_SCHEMA, objects)?;
        let mut parameters = times(span);
        parameters.push(("metric", ScalarValue::from(metric.id())));
        let mut rollups = Vec::new();
        for batch in Self::run_query(&session, ROLLUPS, parameters).await? {
            let rows = RollupRows::new(&batch).map_err(LakeError::Query)?;
            for row in 0..batch.num_rows() {
                rollups.push(rows.rollup(row).map_err(LakeError::Query)?);
            }
        }
        Ok(rollups)
    }
}

#[async_trait]
impl QueryEngine for DataFusionEngine {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        let segments = segments::live(&self.database, span).await?;
        let metrics = ranking::metrics(self, &segments, span).await?;
        Ok(metrics.into_iter().collect())
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        let session = self.session(span).await?;
        let mut parameters = times(span);
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

    /// From rollups, where every bucket is made of whole hours; the hours at the span's ends, and
    /// those without rollups, from samples.
    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        let mut segments = segments::live(&self.database, span).await?;
        in_time(&mut segments);
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
