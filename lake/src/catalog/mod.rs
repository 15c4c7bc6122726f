//! Catalog: the live segments, the directory of metrics, upload intents, and the identity that ties
//! the database to the store.

pub(crate) mod directory;
pub(crate) mod guard;
pub(crate) mod identity;
pub(crate) mod lake_file;
pub(crate) mod layout;
pub(crate) mod metrics;
pub(crate) mod mismatch;
pub(crate) mod segments;
pub(crate) mod upload_intents;
