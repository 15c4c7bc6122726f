//! Metrics with their names, and the cache of their list.

use std::sync::Arc;

use marketlake_model::Metric;

use crate::catalog::directory::Directory;
use crate::query::memory::snapshot::Snapshot;

/// Metric with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMetric {
    /// Its name: the pair alone where that is enough.
    pub name: String,
    /// The metric.
    pub metric: Metric,
}

/// List of metrics, with the state that it was made from.
#[derive(Clone)]
pub(crate) struct CachedListing {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) listed: Arc<Vec<NamedMetric>>,
}
