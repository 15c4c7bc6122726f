//! Answers that stay true until the next commit, kept by (state of the lake, question). Who asks while an answer is being made waits for
//! it rather than making another. A new commit invalidates by construction: its questions have another key.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use metrics::{counter, gauge};
use moka::future::Cache;

/// Nobody asks about a state of two minutes ago.
const KEPT: Duration = Duration::from_secs(120);
/// What an entry costs beyond its bytes.
const OVERHEAD: usize = 512;

/// A state of the lake, and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// See [`Window::version`](marketlake_lake::Window::version).
    pub(crate) version: i64,
    pub(crate) question: String,
}

/// What is kept has bytes that can be counted.
pub(crate) trait Weigh {
    fn body(&self) -> &Bytes;
}

/// Kept answers of one kind.
pub(crate) struct Answers<T> {
    kept: Cache<Key, Arc<T>>,
    name: &'static str,
    asked: AtomicU64,
    hits: AtomicU64,
}

/// An answer, which may be kept or not.
pub(crate) enum Made<T> {
    /// It is true for as long as the lake stays as it is.
    Lasting(T),
    /// It is for those who ask now.
    Passing(T),
}

impl<T: Weigh + Send + Sync + 'static> Answers<T> {
    /// At most so many bytes.
    pub(crate) fn new(name: &'static str, most_bytes: u64) -> Self {
        let weigh = |key: &Key, kept: &Arc<T>| {
            let bytes = key.question.len() + kept.body().len() + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            kept: Cache::builder()
                .max_capacity(most_bytes)
                .weigher(weigh)
                .time_to_live(KEPT)
                .build(),
            name,
            asked: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// The answer to a question: kept, or made now.
    pub(crate) async fn get(&self, key: Key, make: impl Future<Output = Made<T>>) -> Arc<T> {
        let make = async {
            match make.await {
                Made::Lasting(answer) => Ok(Arc::new(answer)),
                Made::Passing(answer) => Err(answer),
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
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        gauge!("marketlake_response_cache_hit_ratio", "api" => self.name)
            .set(hits as f64 / asked as f64);
    }
}
