//! `DataFusion` engine, and its sessions over exactly some segments.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemTable;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::{SessionConfig, SessionContext};
use marketlake_entities::records::segments::Model;
use marketlake_model::Millis;
use sea_orm::DatabaseConnection;
use url::Url;

use super::segment_file::SegmentFiles;
use super::table::{ObjectTable, ROOT};
use crate::catalog::segments;
use crate::error::LakeError;
use crate::segment::codec::SCHEMA;
use crate::span::Span;
use crate::storage::object::Object;
use crate::storage::store::Store;

/// Names and values of a query's parameters.
pub(super) type Parameters = Vec<(&'static str, ScalarValue)>;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct DataFusionEngine {
    pub(super) database: DatabaseConnection,
    store: Store,
    files: Arc<SegmentFiles>,
    runtime: Arc<RuntimeEnv>,
}

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
        sort_segments(&mut segments);
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
pub(super) fn span_parameters(span: Span) -> Parameters {
    let utc =
        |millis: Millis| ScalarValue::TimestampMillisecond(Some(millis.0), Some("UTC".into()));
    vec![
        ("from", utc(span.from.start())),
        ("to", utc(span.to.start())),
    ]
}

/// Sorts segments by time, then by commit.
pub(super) fn sort_segments(segments: &mut [Model]) {
    segments.sort_by_key(|segment| (segment.min_ts, segment.id));
}
