//! Restarts a task that panics.

use std::time::Duration;

use marketlake_common::panic_message;
use metrics::counter;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Time before a restart.
pub(super) const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// Runs a task until it ends or `stop`; starts it anew, after a pause, where it panics.
pub(super) async fn supervise<F>(
    feed: &'static str,
    stop: CancellationToken,
    pause: Duration,
    run: impl Fn() -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    while !stop.is_cancelled() {
        // Alone in a set, which ends it where this future is dropped.
        let mut running = JoinSet::new();
        running.spawn(run());
        let Some(Err(error)) = running.join_next().await else {
            return;
        };
        let Ok(panic) = error.try_into_panic() else {
            return;
        };
        counter!("marketlake_task_restarts_total", "task" => "stream", "reason" => "panicked")
            .increment(1);
        tracing::error!(
            feed,
            panic = panic_message(&*panic),
            "a task of the stream panicked; it starts anew"
        );
        tokio::select! {
            () = stop.cancelled() => (),
            () = sleep(pause) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_and_one_that_ends_is_not() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let run = move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number >= 2, "the first runs fail") }
        };
        supervise("test", CancellationToken::new(), Duration::ZERO, run).await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
    }
}
