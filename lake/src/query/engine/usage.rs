//! Recorder of the engines that answered within a task: the selector records each choice.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task_local;

/// The engines, the fastest first.
const NAMES: [&str; 3] = ["memory", "datafusion", "athena"];

/// Engine, by its index in the names.
#[derive(Clone, Copy)]
pub(super) enum EngineKind {
    Memory,
    DataFusion,
    Athena,
}

task_local! {
    static RECORDER: Arc<AtomicU8>;
}

/// Runs a future and returns the engines that answered within it: `memory`, `datafusion`, `athena`.
pub async fn record_engines<T>(doing: impl Future<Output = T>) -> (T, Vec<&'static str>) {
    let recorder = Arc::new(AtomicU8::new(0));
    let done = RECORDER.scope(Arc::clone(&recorder), doing).await;
    let bits = recorder.load(Ordering::Relaxed);
    let named = NAMES.iter().enumerate();
    let engines = named.filter(|(place, _)| bits & (1 << place) != 0);
    (done, engines.map(|(_, name)| *name).collect())
}

/// Wraps a future so that another task records its engines here too.
pub fn inherit_recorder<F: Future>(doing: F) -> impl Future<Output = F::Output> {
    let recorder = RECORDER.try_with(Arc::clone).unwrap_or_default();
    RECORDER.scope(recorder, doing)
}

pub(super) fn record(engine: EngineKind) {
    // No recorder need be set.
    let _ = RECORDER.try_with(|recorder| recorder.fetch_or(1 << engine as u8, Ordering::Relaxed));
}
