//! Queries: the engines, the last 24 hours in memory, rankings, statistics, transforms, coverage.

pub(crate) mod bucket;
mod comparison;
pub(crate) mod coverage;
pub(crate) mod engine;
mod export;
pub(crate) mod listing;
pub(crate) mod memory;
pub(crate) mod missing;
mod named_enum;
pub(crate) mod ranking;
pub(crate) mod service;
pub(crate) mod statistic;
pub(crate) mod transform;

use crate::lake::Lake;

/// Queries of a lake that all APIs share: names, spans, samples, rankings, exports.
#[derive(Clone, Copy)]
pub struct Queries<'a> {
    lake: &'a Lake,
}

impl Lake {
    /// Its queries.
    #[must_use]
    pub fn queries(&self) -> Queries<'_> {
        Queries { lake: self }
    }
}
