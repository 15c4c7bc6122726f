//! `DataFusion` sessions over exactly some segments.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::prelude::{SessionConfig, SessionContext};
use marketlake_entities::records::segments::Model;
use marketlake_model::Millis;

use super::DataFusionEngine;
use super::table::ObjectTable;
use crate::catalog::segments;
use crate::error::LakeError;
use crate::segment::codec::SCHEMA;
use crate::span::Span;
use crate::storage::object::Object;

/// Names and values of a query's parameters.
pub(super) type Parameters = Vec<(&'static str, ScalarValue)>;

impl DataFusionEngine {
    /// A session whose table `samples` is exactly the live segments that may hold something of the
    /// span.
    pub(super) async fn session(&self, span: Span) -> Result<SessionContext, LakeError> {
        self.session_over(segments::live(&self.database, span).await?)
    }

    /// A session whose table `samples` is exactly some segments, in the order of time.
    pub(super) fn session_over(
        &self,
        mut segments: Vec<Model>,
    ) -> Result<SessionContext, LakeError> {
        in_time(&mut segments);
        let objects = segments.iter().map(Object::samples).collect();
        let session = self.empty_session();
        self.register(&session, "samples", &SCHEMA, objects)?;
        Ok(session)
    }

    pub(super) fn empty_session(&self) -> SessionContext {
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

    pub(super) fn register(
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

    pub(super) async fn run_query(
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

/// The ends of a span.
pub(super) fn times(span: Span) -> Parameters {
    let utc =
        |millis: Millis| ScalarValue::TimestampMillisecond(Some(millis.0), Some("UTC".into()));
    vec![
        ("from", utc(span.from.start())),
        ("to", utc(span.to.start())),
    ]
}

/// In the order of time, then of commits.
pub(super) fn in_time(segments: &mut [Model]) {
    segments.sort_by_key(|segment| (segment.min_ts, segment.id));
}
