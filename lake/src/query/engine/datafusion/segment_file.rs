//! Reader of objects for `DataFusion`: checks every byte against the catalog's checksums, caches
//! footers.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, MetadataFetch};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::storage::object::Object;
use crate::storage::store::Store;

/// Footers that are kept; one of a day's file of 10,000 metrics takes about a megabyte.
const MAX_CACHED_FOOTERS: usize = 64;
/// Most footers are shorter: then one read is enough.
const FOOTER_BYTES: usize = 1 << 16;

/// Makes readers of objects that are named in the files' extensions.
#[derive(Debug)]
pub(super) struct SegmentFiles {
    store: Store,
    footers: Mutex<HashMap<String, Arc<ParquetMetaData>>>,
}

impl SegmentFiles {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            footers: Mutex::default(),
        }
    }

    /// An object as a file of a table.
    pub(super) fn file(object: Object) -> PartitionedFile {
        PartitionedFile::new(object.path.clone(), object.byte_count).with_extension(object)
    }
}

/// The factory that is handed to a scan.
#[derive(Clone, Debug)]
pub(super) struct Factory(pub(super) Arc<SegmentFiles>);

impl ParquetFileReaderFactory for Factory {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _footer_bytes: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let object = file.extension::<Object>().cloned().ok_or_else(|| {
            DataFusionError::Internal(format!("{} is no segment", file.object_meta.location))
        })?;
        Ok(Box::new(SegmentFile {
            files: Arc::clone(&self.0),
            object,
        }))
    }
}

struct SegmentFile {
    files: Arc<SegmentFiles>,
    object: Object,
}

impl SegmentFile {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let read = self.files.store.read_range(&self.object, range).await;
        read.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

struct Footer<'a>(&'a SegmentFile);

impl MetadataFetch for Footer<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.0.read(range).boxed()
    }
}

impl AsyncFileReader for SegmentFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.read(range).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            if let Some(kept) = self.files.footers.lock().get(&self.object.path) {
                return Ok(Arc::clone(kept));
            }
            let reader = ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(Some(FOOTER_BYTES));
            let footer = reader
                .load_and_finish(Footer(self), self.object.byte_count)
                .await
                .map_err(|error| match error {
                    ParquetError::External(_) => error,
                    error => ParquetError::External(Box::new(self.object.corrupt(error))),
                })?;
            let footer = Arc::new(footer);
            let mut footers = self.files.footers.lock();
            if footers.len() >= MAX_CACHED_FOOTERS {
                footers.clear();
            }
            footers.insert(self.object.path.clone(), Arc::clone(&footer));
            Ok(footer)
        }
        .boxed()
    }
}
