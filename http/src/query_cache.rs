//! Answers that stay true until the next commit, kept by (state of the lake, request). Who asks while an answer is being made waits for
//! it rather than making another. A new commit invalidates by construction: its requests have another key.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::{counter, gauge};
use moka::future::Cache;

/// Nobody asks about a state of two minutes ago.
const TTL: Duration = Duration::from_secs(120);
/// What an entry costs beyond its bytes.
const OVERHEAD: usize = 512;

/// A state of the lake, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey {
    /// See [`Window::version`](marketlake_lake::Window::version).
    pub version: i64,
    /// The request: what it asks for, in full.
    pub request: String,
}

/// What is kept has bytes that can be counted.
pub trait CacheWeight {
    /// The body whose bytes are counted.
    fn body(&self) -> &Bytes;
}

/// CachedResponse answers of one kind.
pub struct QueryCache<T> {
    kept: Cache<CacheKey, Arc<T>>,
    name: &'static str,
    lookups: AtomicU64,
    hits: AtomicU64,
}

/// An answer, which may be kept or not.
pub enum Cacheable<T> {
    /// It is true for as long as the lake stays as it is.
    Yes(T),
    /// It is for those who ask now.
    No(T),
}

impl<T: CacheWeight + Send + Sync + 'static> QueryCache<T> {
    /// At most so many bytes.
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
        counter!("marketlake_answer_cache_total", "face" => self.name, "outcome" => outcome)
            .increment(1);
        let hits = self.hits.fetch_add(u64::from(is_hit), Ordering::Relaxed) + u64::from(is_hit);
        let lookups = self.lookups.fetch_add(1, Ordering::Relaxed) + 1;
        gauge!("marketlake_answer_cache_hit_ratio", "face" => self.name)
            .set(hits as f64 / lookups as f64);
    }
}
