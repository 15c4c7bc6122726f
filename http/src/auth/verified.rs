//! Keys that were verified lately. While the database does not answer they stay valid, for reading
//! only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_entities::records::api_keys::Model;
use moka::future::Cache;
use parking_lot::Mutex;

use super::key::ApiKey;
use super::scope::{Scope, Scopes};

/// Time after it was last found good for which a key goes on without the database.
const OUTAGE_TTL: Duration = Duration::from_secs(300);
/// Time for which a database that did not answer is not queried again about such keys.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
const MAX_KEYS: u64 = 10_000;

/// Keys by their hash: the keys themselves do not stay in memory.
pub(crate) struct VerifiedKeys {
    keys: Cache<String, Arc<Model>>,
    failed: Mutex<Option<Instant>>,
}

impl Default for VerifiedKeys {
    fn default() -> Self {
        let keys = Cache::builder().max_capacity(MAX_KEYS);
        Self {
            keys: keys.time_to_live(OUTAGE_TTL).build(),
            failed: Mutex::default(),
        }
    }
}

impl VerifiedKeys {
    /// The database says that a key is good.
    pub(crate) async fn remember(&self, key: &ApiKey, row: &Arc<Model>) {
        *self.failed.lock() = None;
        self.keys.insert(key.hash(), Arc::clone(row)).await;
    }

    /// The database says that a key is invalid.
    pub(crate) async fn forget(&self, key: &ApiKey) {
        self.keys.invalidate(&key.hash()).await;
    }

    /// The database did not answer.
    pub(crate) fn fail(&self) {
        *self.failed.lock() = Some(Instant::now());
    }

    /// Whether it did not a moment ago.
    pub(crate) fn has_just_failed(&self) -> bool {
        let failed = *self.failed.lock();
        failed.is_some_and(|at| at.elapsed() < RETRY_INTERVAL)
    }

    /// A key that was good lately and may read.
    pub(crate) async fn reader(&self, key: &ApiKey) -> Option<Arc<Model>> {
        let row = self.keys.get(&key.hash()).await?;
        let scopes: Scopes = row.scopes.parse().ok()?;
        scopes.hold(Scope::Read).then_some(row)
    }
}
