//! Who answered: noted by the router for as long as a request is being answered.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task_local;

/// The engines, the fastest first.
const NAMES: [&str; 3] = ["memory", "datafusion", "athena"];

/// An engine, by its place in the names.
#[derive(Clone, Copy)]
pub(super) enum Answerer {
    Window,
    Embedded,
    Athena,
}

task_local! {
    static SEEN: Arc<AtomicU8>;
}

/// Does something, and says which engines gave answers for it: `memory`, `datafusion`, `athena`.
pub async fn witnessed<T>(doing: impl Future<Output = T>) -> (T, Vec<&'static str>) {
    let seen = Arc::new(AtomicU8::new(0));
    let done = SEEN.scope(Arc::clone(&seen), doing).await;
    let bits = seen.load(Ordering::Relaxed);
    let named = NAMES.iter().enumerate();
    let engines = named.filter(|(place, _)| bits & (1 << place) != 0);
    (done, engines.map(|(_, name)| *name).collect())
}

/// The same task in another place: what is done there is seen here too.
pub fn seen_from_here<F: Future>(doing: F) -> impl Future<Output = F::Output> {
    let seen = SEEN.try_with(Arc::clone).unwrap_or_default();
    SEEN.scope(seen, doing)
}

pub(super) fn note(answerer: Answerer) {
    // Nobody need look.
    let _ = SEEN.try_with(|seen| seen.fetch_or(1 << answerer as u8, Ordering::Relaxed));
}
