//! Answers from the Parquet files, by `DataFusion` over exactly the live segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float64Type, Int8Type, Int64Type, Schema, TimestampMillisecondType, UInt64Type,
};
use async_trait::async_trait;
use datafusion::catalog::MemTable;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use marketlake_entities::{Jump, Metric, Millis, Sample};
use sea_orm::DatabaseConnection;
use url::Url;

use super::table::{ROOT, SegmentTable};
use super::{JumpQuery, Point, QueryEngine, Span, Standing, by_time, judge, reach};
use crate::codec::{SCHEMA, read_value};
use crate::{LakeError, Store, catalog};

const METRICS: &str = include_str!("../sql/metrics.sql");
const TIMESERIES: &str = include_str!("../sql/timeseries.sql");
const RANKING: &str = include_str!("../sql/ranking.sql");
const JUMP_CANDIDATES: &str = include_str!("../sql/jump_candidates.sql");
const SAMPLES: &str = include_str!("../sql/samples.sql");
const SAMPLES_OF_WANTED: &str = include_str!("../sql/samples_of_wanted.sql");
/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    database: DatabaseConnection,
    runtime: Arc<RuntimeEnv>,
}

type Parameters = Vec<(&'static str, ScalarValue)>;

impl Embedded {
    pub(crate) fn new(database: DatabaseConnection, store: &Store) -> Self {
        let runtime = Arc::new(RuntimeEnv::default());
        if let Ok(root) = Url::parse(ROOT) {
            runtime.register_object_store(&root, Arc::clone(store.objects()));
        }
        Self { database, runtime }
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
        // One partition: a metric's samples reach the aggregates in one order, so that equal series have equal spreads.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_collect_statistics(false)
            .set_bool(
                "datafusion.execution.parquet.schema_force_view_types",
                false,
            )
            .set_bool("datafusion.execution.parquet.pushdown_filters", true);
        let session = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        let segments = catalog::live(&self.database, span).await?;
        if segments.is_empty() {
            let none = RecordBatch::new_empty(Arc::clone(&SCHEMA));
            session.register_table(
                "samples",
                Arc::new(MemTable::try_new(Arc::clone(&SCHEMA), vec![vec![none]])?),
            )?;
        } else {
            session.register_table("samples", Arc::new(SegmentTable::new(segments)))?;
        }
        Ok(session)
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
            for row in 0..batch.num_rows() {
                points.push(point(batch, row)?);
            }
        }
        Ok(points)
    }

    async fn ranking(&self, measure: &str, span: Span) -> Result<Vec<Standing>, LakeError> {
        let session = self.session(span).await?;
        let mut parameters = times(span);
        let third_part = if measure == marketlake_entities::PRICE {
            ""
        } else {
            measure
        };
        parameters.push(("measure", ScalarValue::from(third_part)));
        let batches = Self::ask(&session, RANKING, parameters).await?;
        let mut standings = Vec::new();
        for batch in &batches {
            let (ids, spreads, ranks) = (
                text(batch, "metric")?,
                column(batch, "stddev")?,
                column(batch, "rank")?,
            );
            for row in 0..batch.num_rows() {
                standings.push(Standing {
                    metric: metric_at(&ids, row)?,
                    rank: ranks.as_primitive::<UInt64Type>().value(row),
                    stddev: spreads.as_primitive::<Float64Type>().value(row),
                });
            }
        }
        Ok(standings)
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

/// Rows sorted by (metric, ts), as one series a metric.
fn series(batches: &[RecordBatch]) -> Result<Vec<(Metric, Vec<Point>)>, LakeError> {
    let mut all: Vec<(Metric, Vec<Point>)> = Vec::new();
    for batch in batches {
        let ids = text(batch, "metric")?;
        for row in 0..batch.num_rows() {
            let id = ids.as_string::<i32>().value(row);
            if all.last().is_none_or(|(metric, _)| metric.id() != id) {
                all.push((metric_at(&ids, row)?, Vec::new()));
            }
            if let Some((_, points)) = all.last_mut() {
                points.push(point(batch, row)?);
            }
        }
    }
    Ok(all)
}

fn times(span: Span) -> Parameters {
    let utc =
        |millis: Millis| ScalarValue::TimestampMillisecond(Some(millis.0), Some("UTC".into()));
    vec![
        ("from", utc(span.from.start())),
        ("to", utc(span.to.start())),
    ]
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, LakeError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| LakeError::Query(format!("no column {name} in the answer")))
}

fn text(batch: &RecordBatch, name: &str) -> Result<ArrayRef, LakeError> {
    Ok(cast(column(batch, name)?, &DataType::Utf8)?)
}

fn metric_at(ids: &ArrayRef, row: usize) -> Result<Metric, LakeError> {
    let id = ids.as_string::<i32>().value(row);
    id.parse()
        .map_err(|_| LakeError::Query(format!("{id} is no metric")))
}

fn point(batch: &RecordBatch, row: usize) -> Result<Point, LakeError> {
    let ts = column(batch, "ts")?
        .as_primitive::<TimestampMillisecondType>()
        .value(row);
    let unscaled = column(batch, "unscaled")?
        .as_primitive::<Int64Type>()
        .value(row);
    let scale = column(batch, "scale")?
        .as_primitive::<Int8Type>()
        .value(row);
    Ok(Point {
        ts: Millis(ts).minute(),
        value: read_value(unscaled, scale).map_err(LakeError::Query)?,
    })
}
