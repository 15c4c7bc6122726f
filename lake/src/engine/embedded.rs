//! Answers from the Parquet files, by `DataFusion` over exactly the live segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::MemTable;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use marketlake_entities::records::segments::Model;
use marketlake_entities::{Jump, Metric, Millis, Sample};
use sea_orm::DatabaseConnection;
use url::Url;

use super::answer::{PointRows, metric_at, series, text};
use super::bucket::merged;
use super::segment_file::SegmentFiles;
use super::table::{ObjectTable, ROOT};
use super::{
    Bucket, Interval, JumpQuery, Point, QueryEngine, Span, Standing, bucketed, by_time, judge,
    ranks, reach,
};
use crate::codec::{ROLLUP_SCHEMA, SCHEMA, rollup_of_row};
use crate::object::Object;
use crate::rollup::{self, Rollup};
use crate::{LakeError, Store, catalog};

const METRICS: &str = include_str!("../sql/metrics.sql");
const TIMESERIES: &str = include_str!("../sql/timeseries.sql");
const OF_MEASURE: &str = include_str!("../sql/samples_of_measure.sql");
const ROLLUPS: &str = include_str!("../sql/rollups.sql");
const JUMP_CANDIDATES: &str = include_str!("../sql/jump_candidates.sql");
const SAMPLES: &str = include_str!("../sql/samples.sql");
const SAMPLES_OF_WANTED: &str = include_str!("../sql/samples_of_wanted.sql");

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    database: DatabaseConnection,
    store: Store,
    files: Arc<SegmentFiles>,
    runtime: Arc<RuntimeEnv>,
}

type Parameters = Vec<(&'static str, ScalarValue)>;

impl Embedded {
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

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Every sample in a span, by metric, then time.
    ///
    /// # Errors
    /// Where the store or the catalog fails.
    pub async fn samples(&self, span: Span) -> Result<Vec<Sample>, LakeError> {
        let session = self.session(span).await?;
        let batches = Self::ask(&session, SAMPLES, times(span)).await?;
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

    /// A session whose table `samples` is exactly the live segments that may hold something of the span.
    async fn session(&self, span: Span) -> Result<SessionContext, LakeError> {
        let mut segments = catalog::live(&self.database, span).await?;
        in_time(&mut segments);
        let objects = segments.iter().map(Object::samples).collect();
        let session = self.empty_session();
        self.register(&session, "samples", &SCHEMA, objects)?;
        Ok(session)
    }

    fn empty_session(&self) -> SessionContext {
        // One partition: rows come in the order of the files.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_collect_statistics(false)
            .set_bool(
                "datafusion.execution.parquet.schema_force_view_types",
                false,
            )
            .set_bool("datafusion.execution.parquet.pushdown_filters", true);
        SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime))
    }

    fn register(
        &self,
        session: &SessionContext,
        name: &str,
        schema: &SchemaRef,
        objects: Vec<Object>,
    ) -> Result<(), LakeError> {
        if objects.is_empty() {
            let none = RecordBatch::new_empty(Arc::clone(schema));
            let empty = MemTable::try_new(Arc::clone(schema), vec![vec![none]])?;
            session.register_table(name, Arc::new(empty))?;
        } else {
            let table = ObjectTable::new(Arc::clone(schema), objects, &self.files);
            session.register_table(name, Arc::new(table))?;
        }
        Ok(())
    }

    /// Calls for each sample of a measure in a span, of some segments; within a metric in the order of time.
    pub(super) async fn each_sample(
        &self,
        mut segments: Vec<Model>,
        measure: &str,
        span: Span,
        mut visit: impl FnMut(&Metric, Point),
    ) -> Result<(), LakeError> {
        if segments.is_empty() {
            return Ok(());
        }
        in_time(&mut segments);
        let session = self.empty_session();
        let objects = segments.iter().map(Object::samples).collect();
        self.register(&session, "samples", &SCHEMA, objects)?;
        let mut parameters = times(span);
        parameters.push(("measure", ScalarValue::from(third_part(measure))));
        for batch in Self::ask(&session, OF_MEASURE, parameters).await? {
            let mut last: Option<Metric> = None;
            let ids = text(&batch, "metric")?;
            let rows = PointRows::of(&batch)?;
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

    /// Of the hours that lie whole in a span, those whose samples have rollups only.
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
        for batch in Self::ask(&session, ROLLUPS, parameters).await? {
            for row in 0..batch.num_rows() {
                rollups.push(rollup_of_row(&batch, row).map_err(LakeError::Query)?);
            }
        }
        Ok(rollups)
    }

    async fn ask(
        session: &SessionContext,
        sql: &str,
        parameters: Parameters,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        let frame = session
            .sql(sql)
            .await?
            .with_param_values(ParamValues::from(parameters))?;
        Ok(frame.collect().await?)
    }
}

#[async_trait]
impl QueryEngine for Embedded {
    async fn metrics(&self, span: Span) -> Result<Vec<Metric>, LakeError> {
        let session = self.session(span).await?;
        let batches = Self::ask(&session, METRICS, times(span)).await?;
        let mut metrics = Vec::new();
        for batch in &batches {
            let ids = text(batch, "metric")?;
            metrics.extend(
                ids.as_string::<i32>()
                    .iter()
                    .flatten()
                    .filter_map(|id| id.parse().ok()),
            );
        }
        Ok(metrics)
    }

    async fn timeseries(&self, metric: &Metric, span: Span) -> Result<Vec<Point>, LakeError> {
        let session = self.session(span).await?;
        let mut parameters = times(span);
        parameters.push(("metric", ScalarValue::from(metric.id())));
        let batches = Self::ask(&session, TIMESERIES, parameters).await?;
        let mut points = Vec::new();
        for batch in &batches {
            let rows = PointRows::of(batch)?;
            for row in 0..batch.num_rows() {
                points.push(rows.point(row)?);
            }
        }
        Ok(points)
    }

    async fn ranking(&self, measure: &str, span: Span) -> Result<Vec<Standing>, LakeError> {
        let segments = catalog::live(&self.database, span).await?;
        ranks::ranking(self, &segments, measure, span).await
    }

    /// From rollups, where every bucket is made of whole hours; the hours at the span's ends, and those without rollups, from samples.
    async fn buckets(
        &self,
        metric: &Metric,
        span: Span,
        interval: Interval,
    ) -> Result<Vec<Bucket>, LakeError> {
        let mut segments = catalog::live(&self.database, span).await?;
        in_time(&mut segments);
        let all_rolled_up = |hours: Span| {
            let raw = |s: &Model| s.rollup_path.is_none() && overlaps(s, hours);
            !segments.iter().any(raw)
        };
        match whole_hours(span).filter(|hours| interval.is_whole_hours() && all_rolled_up(*hours)) {
            None => Ok(bucketed(&self.timeseries(metric, span).await?, interval)),
            Some(hours) => {
                let (before, after) = around(span, hours);
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

    /// SQL finds the samples that may be jumps, in floats and with some slack; the rule decides on each exactly.
    async fn jumps(&self, query: &JumpQuery) -> Result<Vec<Jump>, LakeError> {
        let read = reach(query);
        let session = self.session(read).await?;
        let candidates = match &query.metric {
            Some(metric) => BTreeSet::from([metric.id().to_owned()]),
            None => candidates(&session, query, read).await?,
        };
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: ArrayRef = Arc::new(StringArray::from_iter_values(&candidates));
        let schema = Arc::new(Schema::new(vec![Field::new(
            "metric",
            DataType::Utf8,
            false,
        )]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![wanted])?;
        session.register_table(
            "wanted",
            Arc::new(MemTable::try_new(schema, vec![vec![batch]])?),
        )?;
        let batches = Self::ask(&session, SAMPLES_OF_WANTED, times(read)).await?;
        let mut found = Vec::new();
        for (metric, points) in series(&batches)? {
            judge(query, &metric, &points, &mut found);
        }
        by_time(&mut found);
        Ok(found)
    }
}

/// The ids of metrics that may have a jump.
async fn candidates(
    session: &SessionContext,
    query: &JumpQuery,
    read: Span,
) -> Result<BTreeSet<String>, LakeError> {
    // A frame's bound cannot be a parameter; it is a number of ours.
    let sql = JUMP_CANDIDATES.replace("{window}", &query.rule.window.to_string());
    let mut parameters = times(read);
    parameters.push(("first", times(query.span).swap_remove(0).1));
    parameters.push(("factor", ScalarValue::from(query.rule.factor.to_f64())));
    parameters.push((
        "least",
        ScalarValue::from(i64::from(query.rule.min_samples)),
    ));
    let batches = Embedded::ask(session, &sql, parameters).await?;
    let mut ids = BTreeSet::new();
    for batch in &batches {
        let metrics = text(batch, "metric")?;
        ids.extend(
            metrics
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned),
        );
    }
    Ok(ids)
}

fn times(span: Span) -> Parameters {
    let utc =
        |millis: Millis| ScalarValue::TimestampMillisecond(Some(millis.0), Some("UTC".into()));
    vec![
        ("from", utc(span.from.start())),
        ("to", utc(span.to.start())),
    ]
}

/// In the order of time, then of commits.
fn in_time(segments: &mut [Model]) {
    segments.sort_by_key(|segment| (segment.min_ts, segment.id));
}

fn overlaps(segment: &Model, span: Span) -> bool {
    segment.min_ts <= span.to.start() && span.from.start() <= segment.max_ts
}

/// The hours that lie whole in a span.
fn whole_hours(span: Span) -> Option<Span> {
    let from = span.from.plus(59).hour();
    let to = span.to.plus(1).hour().plus(-1);
    (from < to).then_some(Span { from, to })
}

/// What is left of a span before and after its whole hours.
fn around(span: Span, hours: Span) -> (Option<Span>, Option<Span>) {
    let before = Span {
        from: span.from,
        to: hours.from.plus(-1),
    };
    let after = Span {
        from: hours.to.plus(1),
        to: span.to,
    };
    let some = |part: Span| (part.from <= part.to).then_some(part);
    (some(before), some(after))
}

/// An id is market:pair[:measure]; a price names no measure.
fn third_part(measure: &str) -> &str {
    if measure == marketlake_entities::PRICE {
        ""
    } else {
        measure
    }
}
