//! Work of many milliseconds: on threads of its own, of which only so many run at once, and charged
//! by its time.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::task_local;
use tokio::time::timeout_at;

/// Computing time that costs a point.
const TIME_PER_POINT: Duration = Duration::from_millis(10);
/// Most points of one computation: it may wait for what others do.
const MAX_POINTS: u32 = 1_000;
/// For work that reads and computes in turn, until it begins.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// One for each computation that runs: more of them at once would not end sooner, and would take
/// the cores from those who answer.
static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| permits(1));
/// One for each that reads in between, so that half of them may wait for that.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| permits(2));

task_local! {
    static EXTRA: ExtraPoints;
}

/// Points that a request turns out to cost while it is answered, beyond what it costs by itself.
#[derive(Clone, Debug, Default)]
struct ExtraPoints(Arc<AtomicU32>);

/// Work has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ComputeError {
    /// No thread was free in time.
    #[error("the machine is busy with other requests; try again in a second")]
    Timeout,
    /// It panicked; the log says where.
    #[error("the computation broke off")]
    Panicked,
}

fn permits(per_core: usize) -> Arc<Semaphore> {
    let cores = available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(per_core * cores))
}

/// The output of a request's work, and the points that it turned out to cost.
pub(crate) async fn counted<T>(work: impl Future<Output = T>) -> (T, u32) {
    let extra = ExtraPoints::default();
    let output = EXTRA.scope(extra.clone(), work).await;
    (output, extra.0.load(Ordering::Relaxed))
}

/// Adds points to what the request costs that is being answered.
pub(crate) fn add_points(points: usize) {
    ExtraPoints::current().add(u32::try_from(points).unwrap_or(u32::MAX));
}

/// Computes what waits for nothing. Work that may take longer looks at the deadline itself.
pub(crate) async fn compute<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    apart(&CORES, deadline, work).await
}

/// Does work that reads and computes in turn.
pub(crate) async fn read_and_compute<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ComputeError> {
    let runtime = Handle::current();
    let deadline = Instant::now() + READ_TIMEOUT;
    apart(&READERS, deadline, move || runtime.block_on(work)).await
}

async fn apart<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let permit = timeout_at(deadline.into(), Arc::clone(permits).acquire_owned());
    let Ok(Ok(permit)) = permit.await else {
        return Err(ComputeError::Timeout);
    };
    let extra = ExtraPoints::current();
    let done = spawn_blocking(move || timed(permit, &extra, work)).await;
    done.map_err(|error| {
        tracing::error!(%error, "a computation broke off");
        ComputeError::Panicked
    })
}

/// Goes on where the request is given up, and holds its permit until it ends.
fn timed<T>(permit: OwnedSemaphorePermit, extra: &ExtraPoints, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let output = work();
    let points = begun.elapsed().as_millis() / TIME_PER_POINT.as_millis();
    extra.add(u32::try_from(points).unwrap_or(u32::MAX).min(MAX_POINTS));
    drop(permit);
    output
}

impl ExtraPoints {
    /// Those of the request that is being answered; of nobody outside of one.
    fn current() -> Self {
        EXTRA.try_with(Self::clone).unwrap_or_default()
    }

    fn add(&self, points: u32) {
        let add = |had: u32| Some(had.saturating_add(points));
        // It is never refused.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}
