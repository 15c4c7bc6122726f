//! Shutdown on Ctrl-C and SIGTERM.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

/// Token that Ctrl-C or SIGTERM cancels, from this call on.
///
/// # Errors
/// If signal handlers cannot be installed.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    let signal = signal().context("cannot wait for Ctrl-C")?;
    tokio::spawn(async move {
        signal.await;
        tracing::info!("stopping: waiting for running work");
        cancelled.cancel();
    });
    Ok(stop)
}

/// Runs the start of a program, like connecting to a database; `None` if it is stopped before that
/// ends, which leaves what a crash would leave.
///
/// # Errors
/// Those of `start`.
pub(crate) async fn unless_stopped<T>(
    stop: &CancellationToken,
    start: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    stop.run_until_cancelled(start).await.transpose()
}

/// Installs the signal handlers now, and returns a future that waits for a signal. A task would
/// install them when it first runs: a process whose parent ignores Ctrl-C, like a script's
/// background job, would miss a signal before that.
#[cfg(unix)]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    })
}

#[cfg(not(unix))]
fn signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
