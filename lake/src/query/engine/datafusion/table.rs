//! Table provider over a list of objects, read in the given order.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::DataSourceExec;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::segment_file::{Factory, SegmentFiles};
use crate::storage::object::Object;

/// The store's name within the engine, wherever it really is.
pub(super) const ROOT: &str = "lake://store/";

/// Sizes come from the catalog, so that no object is queried for its own, and nothing is ever
/// listed.
#[derive(Debug)]
pub(super) struct ObjectTable {
    schema: SchemaRef,
    objects: Vec<Object>,
    factory: Factory,
}

impl ObjectTable {
    pub(super) fn new(schema: SchemaRef, objects: Vec<Object>, files: &Arc<SegmentFiles>) -> Self {
        Self {
            schema,
            objects,
            factory: Factory(Arc::clone(files)),
        }
    }
}

#[async_trait]
impl TableProvider for ObjectTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters stay above the scan; the optimiser pushes them into it, where they prune pages.
    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_parquet_file_reader_factory(Arc::new(self.factory.clone()));
        let files = self.objects.iter().cloned().map(SegmentFiles::file);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(ROOT)?, Arc::new(source))
            .with_file_group(FileGroup::new(files.collect()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
