//! Work of many milliseconds, on threads of its own: with a maximum of concurrent work, of which
//! one client gets half at most, and charged by its time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use marketlake_lake::LakeError;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::task_local;
use tokio::time::timeout_at;
use tracing::Span;

/// Computing time that costs a point.
const TIME_PER_POINT: Duration = Duration::from_millis(10);
/// Most points of one computation: it may wait for what others do.
const MAX_POINTS: u32 = 1_000;
/// Timeout of work that reads and computes in turn, until it begins: less than a request has.
const READ_TIMEOUT: Duration = Duration::from_secs(25);
/// Clients after which those are forgotten that compute nothing.
const MAX_IDLE_CLIENTS: usize = 1_000;

/// One for each computation that runs: more of them at once would not end sooner, and would take
/// the cores from those who answer.
static CORES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| permits(cores()));
/// One for each that reads in between, so that half of them may wait for that.
static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| permits(2 * cores()));
/// Permits of each client that computes: half the cores, so that others find one.
static CLIENTS: LazyLock<Mutex<HashMap<String, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

task_local! {
    static REQUEST: RequestCost;
}

/// A request that is being answered.
#[derive(Clone)]
struct RequestCost {
    /// Points that it turns out to cost, beyond what it costs by itself.
    points: Arc<AtomicU32>,
    /// Its client.
    account: Arc<str>,
}

/// Error of work that has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// No thread was free in time.
    #[error("the machine is busy with other requests; try again in a second")]
    Timeout,
    /// It panicked; the log says where.
    #[error("the computation failed")]
    Panicked,
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count))
}

/// The permits of a client's account, shared by all its requests.
fn permits_of(account: &str) -> Arc<Semaphore> {
    let mut clients = CLIENTS.lock();
    if let Some(own) = clients.get(account).and_then(Weak::upgrade) {
        return own;
    }
    if clients.len() >= MAX_IDLE_CLIENTS {
        clients.retain(|_, own| own.strong_count() > 0);
    }
    let own = permits((cores() / 2).max(1));
    clients.insert(account.to_owned(), Arc::downgrade(&own));
    own
}

/// The output of a request's work, and the points that it turned out to cost.
pub async fn measure_cost<T>(account: &str, work: impl Future<Output = T>) -> (T, u32) {
    let request = RequestCost {
        points: Arc::default(),
        account: account.into(),
    };
    let output = REQUEST.scope(request.clone(), work).await;
    (output, request.points.load(Ordering::Relaxed))
}

/// Adds points to what the request costs that is being answered.
pub fn add_points(points: usize) {
    if let Some(request) = RequestCost::current() {
        request.add(u32::try_from(points).unwrap_or(u32::MAX));
    }
}

/// Runs work that waits for nothing. Work that may take longer checks the deadline itself.
///
/// # Errors
/// Fails if no thread was free in time, or the work panicked.
pub async fn run_blocking<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    run_on_thread(&CORES, deadline, work).await
}

/// Runs work that reads and computes in turn. It ends at its next step where the request is given
/// up.
///
/// # Errors
/// Fails if no thread was free in time, or the work panicked.
pub async fn run_blocking_query<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ComputeError> {
    let runtime = Handle::current();
    let deadline = Instant::now() + READ_TIMEOUT;
    // Dropped with this future.
    let (request, given_up) = oneshot::channel::<()>();
    let work = async move {
        tokio::select! {
            output = work => Some(output),
            _ = given_up => None,
        }
    };
    let output = run_on_thread(&READERS, deadline, move || runtime.block_on(work)).await?;
    drop(request);
    output.ok_or(ComputeError::Timeout)
}

async fn run_on_thread<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    deadline: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let request = RequestCost::current();
    let acquire = async {
        // A client's own permit first: a client that waits for it delays no other.
        let own = match &request {
            Some(request) => Some(permits_of(&request.account).acquire_owned().await.ok()?),
            None => None,
        };
        let shared = Arc::clone(permits).acquire_owned().await.ok()?;
        Some((own, shared))
    };
    let Ok(Some(held)) = timeout_at(deadline.into(), acquire).await else {
        return Err(ComputeError::Timeout);
    };
    let span = Span::current();
    let timed = move || span.in_scope(|| run_timed(held, request, work));
    let done = spawn_blocking(timed).await;
    done.map_err(|error| {
        tracing::error!(%error, "a computation failed");
        ComputeError::Panicked
    })
}

type Permits = (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit);

/// Holds the permits until the work ends: where the request is given up, work without steps goes
/// on.
fn run_timed<T>(held: Permits, request: Option<RequestCost>, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let output = work();
    if let Some(request) = request {
        let points = begun.elapsed().as_millis() / TIME_PER_POINT.as_millis();
        request.add(u32::try_from(points).unwrap_or(u32::MAX).min(MAX_POINTS));
    }
    drop(held);
    output
}

impl From<ComputeError> for LakeError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Timeout => Self::Busy,
            ComputeError::Panicked => Self::Query(error.into()),
        }
    }
}

impl RequestCost {
    /// The request that is being answered; none outside of one.
    fn current() -> Option<Self> {
        REQUEST.try_with(Self::clone).ok()
    }

    fn add(&self, points: u32) {
        let add = |had: u32| Some(had.saturating_add(points));
        // It is never refused.
        let _ = self
            .points
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_client_leaves_a_core_to_others() {
        if cores() < 2 {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let greedy: Vec<_> = (0..2 * cores())
            .map(|_| {
                let held = Arc::clone(&held);
                let wait = move || held.lock().recv_timeout(Duration::from_secs(30)).is_ok();
                tokio::spawn(measure_cost("greedy", run_blocking(deadline, wait)))
            })
            .collect();
        let (answer, _) = measure_cost("modest", run_blocking(deadline, || 42)).await;
        assert_eq!(answer, Ok(42));
        for _ in &greedy {
            assert!(release.send(()).is_ok());
        }
        for computed in greedy {
            assert!(matches!(computed.await, Ok((Ok(true), _))));
        }
    }

    /// Tells when it is dropped.
    struct Ended(mpsc::Sender<()>);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_query_ends_with_the_request_that_was_given_up() {
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let endless = async move {
            let _ended = Ended(ended);
            let _ = begun.send(());
            loop {
                tokio::task::yield_now().await;
            }
        };
        let request = tokio::spawn(run_blocking_query::<()>(endless));
        let wait = Duration::from_secs(30);
        assert_eq!(has_begun.recv_timeout(wait), Ok(()));
        assert!(has_ended.try_recv().is_err());
        request.abort();
        assert_eq!(has_ended.recv_timeout(wait), Ok(()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_computation_is_charged_by_its_time_and_a_panic_ends_only_itself() {
        let deadline = Instant::now() + Duration::from_secs(30);
        let busy = || {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(50) {}
        };
        let (_, points) = measure_cost("client", run_blocking(deadline, busy)).await;
        assert!(points >= 5, "{points} points");
        let broken = run_blocking(deadline, || panic!("on purpose"));
        let (answer, _) = measure_cost("client", broken).await;
        assert_eq!(answer, Err::<(), _>(ComputeError::Panicked));
        let (answer, _) = measure_cost("client", run_blocking(deadline, || 1)).await;
        assert_eq!(answer, Ok(1));
    }
}
