//! Ingest: from samples to live segments.

pub(crate) mod commit;
pub(crate) mod import;
pub(crate) mod publish;
pub(crate) mod stage;
pub(crate) mod time_check;
mod upload;

use crate::lake::Lake;

/// Ingest of a lake: stages samples and merges as segments, which become visible when they are
/// published.
#[derive(Clone, Copy)]
pub struct Ingest<'a> {
    lake: &'a Lake,
}

impl Lake {
    /// Its ingest.
    #[must_use]
    pub fn ingest(&self) -> Ingest<'_> {
        Ingest { lake: self }
    }
}
