//! Work of many milliseconds that waits for nothing: on threads of its own, as many at once as the
//! machine has cores, and charged by its time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

/// Computing time that costs a point.
const TIME_PER_POINT: Duration = Duration::from_millis(10);

/// One for each computation that runs: more of them at once would not end sooner, and would take
/// the cores from those who answer.
static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(cores))
});

/// Points that a request turns out to cost while it is answered, beyond those of its route. In the
/// extensions of each request that is charged.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExtraPoints(Arc<AtomicU32>);

/// A computation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComputeError {
    /// No core was free in time.
    #[error("the machine is busy with other requests; try again in a second")]
    Timeout,
    /// It panicked; the log says where.
    #[error("the computation broke off")]
    Panicked,
}

impl ExtraPoints {
    /// Adds points.
    pub(crate) fn add(&self, points: usize) {
        let points = u32::try_from(points).unwrap_or(u32::MAX);
        let add = |had: u32| Some(had.saturating_add(points));
        // It is never refused.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// All that were added.
    pub(crate) fn total(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Computes on a thread of its own. Work that may take longer looks at the deadline itself.
pub(crate) async fn compute<T: Send + 'static>(
    deadline: Instant,
    extra: &ExtraPoints,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let core = timeout_at(deadline.into(), Arc::clone(&CORES).acquire_owned());
    let Ok(Ok(core)) = core.await else {
        return Err(ComputeError::Timeout);
    };
    let extra = extra.clone();
    let done = spawn_blocking(move || {
        // Goes on where the request is given up, and holds its core until it ends.
        let _core = core;
        let begun = Instant::now();
        let result = work();
        let points = begun.elapsed().as_millis() / TIME_PER_POINT.as_millis();
        extra.add(usize::try_from(points).unwrap_or(usize::MAX));
        result
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a computation broke off");
        ComputeError::Panicked
    })
}
