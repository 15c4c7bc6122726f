//! Ingest: from samples to live segments.

pub(crate) mod commit;
pub(crate) mod import;
pub(crate) mod publish;
pub(crate) mod stage;
pub(crate) mod time_check;
mod upload;
