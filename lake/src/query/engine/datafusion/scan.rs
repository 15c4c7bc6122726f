//! Scans of samples and rollups, by SQL.

use arrow::array::AsArray;
use datafusion::common::{ParamValues, ScalarValue};
use futures::TryStreamExt;
use marketlake_entities::records::segments::Model;
use marketlake_model::{Metric, Sample};

use super::batches::{PointRows, metric_at, series, text};
use super::session::{DataFusionEngine, span_parameters};
use crate::error::LakeError;
use crate::query::engine::measure_suffix;
use crate::segment::codec::{ROLLUP_SCHEMA, RollupRows};
use crate::segment::rollup::Rollup;
use crate::span::{Point, Span};
use crate::storage::object::Object;

const METRICS: &str = include_str!("../sql/datafusion/metrics.sql");
const UNORDERED: &str = include_str!("../sql/datafusion/samples_unordered.sql");
const OF_MEASURE: &str = include_str!("../sql/datafusion/samples_of_measure.sql");
const ROLLUPS: &str = include_str!("../sql/datafusion/rollups.sql");
const SAMPLES: &str = include_str!("../sql/datafusion/samples.sql");

impl DataFusionEngine {
    /// Every sample in a span, by metric, then time.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    pub async fn samples(&self, span: Span) -> Result<Vec<Sample>, LakeError> {
        let session = self.session(span).await?;
        let batches = Self::run_query(&session, SAMPLES, span_parameters(span)).await?;
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
        let mut parameters = span_parameters(span);
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
        for batch in Self::run_query(&session, METRICS, span_parameters(span)).await? {
            let ids = text(&batch, "metric")?;
            for row in 0..batch.num_rows() {
                metrics.push(metric_at(&ids, row)?);
            }
        }
        Ok(metrics)
    }

    /// Reads the rollups of a metric's hours in a span.
    pub(super) async fn rolled_up(
        &self,
        metric: &Metric,
        span: Span,
        segments: &[Model],
    ) -> Result<Vec<Rollup>, LakeError> {
        let objects: Vec<Object> = segments.iter().filter_map(Object::rollups).collect();
        let session = self.empty_session();
        self.register(&session, "rollups", &ROLLUP_SCHEMA, objects)?;
        let mut parameters = span_parameters(span);
        parameters.push(("metric", ScalarValue::from(metric.id())));
        let mut rollups = Vec::new();
        for batch in Self::run_query(&session, ROLLUPS, parameters).await? {
            let rows = RollupRows::new(&batch).map_err(|error| LakeError::Query(error.into()))?;
            for row in 0..batch.num_rows() {
                rollups.push(
                    rows.rollup(row)
                        .map_err(|error| LakeError::Query(error.into()))?,
                );
            }
        }
        Ok(rollups)
    }
}
