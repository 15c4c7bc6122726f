//! Errors of the lake.

use marketlake_common::BoxError;
use marketlake_model::{Metric, Minute};
use sea_orm::DbErr;

use crate::athena::error::AthenaError;
use crate::catalog::mismatch::MismatchError;
use crate::span::EARLIEST_MINUTE;
use crate::storage::s3::hint::with_hint;

/// Error of the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The limit of concurrent work is reached; retry soon.
    #[error("the machine is busy with other requests; try again in a second")]
    Busy,
    /// The object store failed.
    #[error("object store: {}", with_hint(.0))]
    Store(#[from] object_store::Error),
    /// The catalog's database failed.
    #[error("catalog: {0}")]
    Catalog(#[from] DbErr),
    /// An object is not what the catalog says that it is.
    #[error("segment {path}: {reason}")]
    Corrupt {
        /// The object's key.
        path: String,
        /// Reason.
        #[source]
        reason: BoxError,
    },
    /// A Parquet file could not be written.
    #[error("cannot encode a segment: {0}")]
    Encode(#[source] BoxError),
    /// The engine could not answer.
    #[error("query: {0}")]
    Query(#[source] BoxError),
    /// Another commit changed the hour since it was staged: stage again.
    #[error("the hour or day from {first} was changed by another commit")]
    Conflict {
        /// Its first minute.
        first: Minute,
    },
    /// A sample is in the future, or before the first market.
    #[error("{metric}: ts: expected a minute from {EARLIEST_MINUTE} to {last}, got {ts}")]
    InvalidTime {
        /// Its metric.
        metric: Metric,
        /// Its minute.
        ts: Minute,
        /// The latest possible minute.
        last: Minute,
    },
    /// Samples could not be spilled to disk, or read back.
    #[error("cannot use the folder for temporary files: {0}")]
    Spill(#[source] BoxError),
    /// Athena failed.
    #[error(transparent)]
    Athena(#[from] AthenaError),
    /// The database is not the one that the lake in the store is of.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The store's URL cannot be used.
    #[error("{0}")]
    InvalidUrl(String),
}

impl From<datafusion::error::DataFusionError> for LakeError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Query(error.strip_backtrace().into())
    }
}

impl From<arrow::error::ArrowError> for LakeError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Encode(error.into())
    }
}

impl From<parquet::errors::ParquetError> for LakeError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Encode(error.into())
    }
}

impl LakeError {
    pub(crate) fn spill(error: std::io::Error) -> Self {
        Self::Spill(error.into())
    }
}
