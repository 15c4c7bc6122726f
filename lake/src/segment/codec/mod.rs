//! Codec of samples and rollups: Parquet files.
//!
//! Samples: `metric STRING` (dictionary), `ts TIMESTAMP(ms, UTC)` (delta), `unscaled INT64`
//! (plain), `scale INT8` (dictionary); zstd. value = unscaled / 10^scale. Rows are sorted by
//! (metric, ts). Rollups: see [`rollups`].

mod columns;
mod footer;
mod reader;
mod rollups;
mod writer;

use marketlake_model::Exact;

pub(crate) use footer::{Footer, written};
pub(crate) use reader::{BATCH_ROWS, Reader};
pub(crate) use rollups::{
    HourChecksum, HourChecksums, ROLLUP_SCHEMA, RollupRow, RollupRows, RollupWriter,
    for_each_rollup, read_hour_checksums, read_hours, read_rollups,
};
pub(crate) use writer::{SCHEMA, Writer};

/// The value of a row.
pub(crate) fn read_value(unscaled: i64, scale: i8) -> Result<Exact, String> {
    Exact::new(unscaled, scale).ok_or_else(|| format!("{unscaled} at scale {scale} is no value"))
}
