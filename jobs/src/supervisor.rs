//! Supervises long-running tasks: restarts one that panics or ends; ends the process if it does so
//! repeatedly.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use marketlake_common::{backoff, panic_message};
use metrics::counter;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Limits of restarts of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restarts {
    /// Maximum number of restarts within the window; the next end ends the process.
    pub max: usize,
    /// Ends that lie further back do not count.
    pub window: Duration,
    /// The pause after the first end, doubled with each.
    pub initial_backoff: Duration,
    /// The pause grows no longer than this.
    pub max_backoff: Duration,
}

impl Default for Restarts {
    /// Five times within five minutes, after 1, 2, 4, 8 and 16 seconds.
    fn default() -> Self {
        Self {
            max: 5,
            window: Duration::from_secs(300),
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(30),
        }
    }
}

/// A task that ended too often.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task}: ended {times} times within {} s, the last time: {reason}", .window.as_secs())]
pub struct TaskError {
    /// Its name.
    pub task: String,
    /// Number of times that it ended.
    pub times: usize,
    /// Within how long.
    pub window: Duration,
    /// Last reason.
    pub reason: String,
}

/// Runs a task until `stop`, however often it has to be started. It is to end by itself once `stop`
/// is cancelled.
///
/// # Errors
/// If it ended more often than `restarts` allows.
pub async fn supervise<T>(
    task: &str,
    restarts: Restarts,
    stop: &CancellationToken,
    mut start: impl FnMut() -> T,
) -> Result<(), TaskError>
where
    T: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut ends: VecDeque<Instant> = VecDeque::new();
    loop {
        // Alone in a set, which ends it where this future is dropped.
        let mut running = JoinSet::new();
        running.spawn(start());
        let ended = running.join_next().await;
        let (reason, detail) = match ended {
            None | Some(Ok(Ok(()))) if stop.is_cancelled() => return Ok(()),
            None | Some(Ok(Ok(()))) => ("ended", "it ended unasked".to_owned()),
            Some(Ok(Err(error))) => ("failed", error),
            Some(Err(error)) => ("panicked", panicked(error)),
        };
        counter!("marketlake_task_restarts_total", "task" => task.to_owned(), "reason" => reason)
            .increment(1);
        tracing::error!(task, reason, "task {task} {reason}: {detail}");
        if stop.is_cancelled() {
            return Ok(());
        }
        ends.retain(|end| end.elapsed() < restarts.window);
        ends.push_back(Instant::now());
        let times = ends.len();
        if times > restarts.max {
            return Err(TaskError {
                task: task.to_owned(),
                times,
                window: restarts.window,
                reason: detail,
            });
        }
        let failed = u32::try_from(times).unwrap_or(u32::MAX);
        tokio::select! {
            () = sleep(backoff(restarts.initial_backoff, restarts.max_backoff, failed, 1.0)) => (),
            () = stop.cancelled() => return Ok(()),
        }
    }
}

fn panicked(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic_message(&*panic),
        Err(error) => error.to_string(),
    }
}
