//! The table `samples`: exactly some segments, read in the order of time.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::DataSourceExec;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use marketlake_entities::records::segments::Model;

use crate::codec::SCHEMA;

/// The store's name within the engine, wherever it really is.
pub(super) const ROOT: &str = "lake://store/";

/// Sizes come from the catalog, so that no object is asked for its own, and nothing is ever listed.
#[derive(Debug)]
pub(super) struct SegmentTable {
    files: Vec<PartitionedFile>,
}

impl SegmentTable {
    pub(super) fn new(mut segments: Vec<Model>) -> Self {
        segments.sort_by_key(|segment| (segment.min_ts, segment.id));
        let file = |segment: Model| {
            PartitionedFile::new(segment.path, u64::try_from(segment.byte_count).unwrap_or(0))
        };
        Self {
            files: segments.into_iter().map(file).collect(),
        }
    }
}

#[async_trait]
impl TableProvider for SegmentTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
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
        let source = Arc::new(ParquetSource::new(Arc::clone(&SCHEMA)));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(ROOT)?, source)
            .with_file_group(FileGroup::new(self.files.clone()))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
