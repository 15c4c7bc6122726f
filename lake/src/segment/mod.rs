//! Segments: rows and rollups as Parquet, their merge, and the verification of damaged files.

pub(crate) mod codec;
pub(crate) mod encode;
pub(crate) mod merge;
pub(crate) mod moments;
pub(crate) mod rollup;
pub(crate) mod rows;
pub(crate) mod statement;
pub(crate) mod verify;
