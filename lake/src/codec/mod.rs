//! Samples and rollups to Parquet and back.
//!
//! Samples: `metric STRING` (dictionary), `ts TIMESTAMP(ms, UTC)` (delta), `unscaled INT64` (plain), `scale INT8` (dictionary); zstd.
//! value = unscaled / 10^scale. Rows are sorted by (metric, ts). Rollups: see [`rollups`].

mod columns;
mod reader;
mod rollups;
mod writer;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use bytes::Bytes;
use marketlake_entities::Exact;

pub(crate) use reader::Reader;
pub(crate) use rollups::{
    ROLLUP_SCHEMA, RollupRow, RollupRows, RollupWriter, each_rollup, read_hours, read_rollups,
};
pub(crate) use writer::{SCHEMA, Writer};

/// The value of a row.
pub(crate) fn read_value(unscaled: i64, scale: i8) -> Result<Exact, String> {
    Exact::new(unscaled, scale).ok_or_else(|| format!("{unscaled} at scale {scale} is no value"))
}

/// How many row groups an object's footer states.
pub(crate) fn row_groups(bytes: &Bytes) -> Option<usize> {
    let metadata = ArrowReaderMetadata::load(bytes, ArrowReaderOptions::new()).ok()?;
    Some(metadata.metadata().num_row_groups())
}
