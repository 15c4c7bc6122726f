//! Cache of answers that hold until the next commit, by (version of the lake, request).
//!
//! Requests for an answer that is being computed wait for it. A commit invalidates by construction:
//! requests after it have other keys.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::{counter, gauge};
use moka::future::Cache;

/// Lifetime of an entry.
const TTL: Duration = Duration::from_secs(120);
/// Memory of an entry beside its bytes.
const OVERHEAD: usize = 512;

/// Key of a cached answer: the version of the lake, and the request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// See [`RecentDay::version`](marketlake_lake::RecentDay::version).
    pub version: i64,
    /// The request in full.
    pub request: String,
}

/// Weight of a cached value: the bytes of its body.
pub trait CacheWeight {
    /// The body whose bytes are counted.
    fn body(&self) -> &Bytes;
}

/// Cache of the answers of one API.
pub struct QueryCache<T> {
    kept: Cache<CacheKey, Arc<T>>,
    name: &'static str,
    lookups: AtomicU64,
    hits: AtomicU64,
}

/// An answer, which can be cached or not.
pub enum Cacheable<T> {
    /// The answer holds until the next commit.
    Yes(T),
    /// The answer is for the current requests only.
    No(T),
}

impl<T: CacheWeight + Send + Sync + 'static> QueryCache<T> {
    /// Creates a cache of at most `max_bytes` bytes.
    pub fn new(name: &'static str, max_bytes: u64) -> Self {
        let weigh = |key: &CacheKey, kept: &Arc<T>| {
            let bytes = key.request.len() + kept.body().len() + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            kept: Cache::builder()
                .max_capacity(max_bytes)
                .weigher(weigh)
                .time_to_live(TTL)
                .build(),
            name,
            lookups: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// The answer to a request: kept, or made now.
    pub async fn get(&self, key: CacheKey, make: impl Future<Output = Cacheable<T>>) -> Arc<T> {
        let make = async {
            match make.await {
                Cacheable::Yes(answer) => Ok(Arc::new(answer)),
                Cacheable::No(answer) => Err(answer),
            }
        };
        match self.kept.entry(key).or_try_insert_with(make).await {
            Ok(entry) => {
                self.count(!entry.is_fresh());
                entry.into_value()
            }
            Err(passing) => {
                self.count(false);
                passing
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio is a float")]
    fn count(&self, is_hit: bool) {
        let outcome = if is_hit { "hit" } else { "miss" };
        counter!("marketlake_response_cache_total", "api" => self.name, "outcome" => outcome)
            .increment(1);
        let hits = self.hits.fetch_add(u64::from(is_hit), Ordering::Relaxed) + u64::from(is_hit);
        let lookups = self.lookups.fetch_add(1, Ordering::Relaxed) + 1;
        gauge!("marketlake_response_cache_hit_ratio", "api" => self.name)
            .set(hits as f64 / lookups as f64);
    }
}
