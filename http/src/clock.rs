//! Clock of requests: the database's time, read once a minute and carried on by a monotonic clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use marketlake_lake::Lake;
use marketlake_model::Millis;
use parking_lot::Mutex;
use tokio::time::timeout;

const TTL: Duration = Duration::from_secs(60);
/// Time after a failure until the database is read again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Longest wait of answers that can do without the time.
const NOW_TIMEOUT: Duration = Duration::from_millis(100);

/// Tells the time that all processes agree on, without a database query each time.
#[derive(Default)]
pub struct RequestClock {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    set: Option<(Millis, Instant)>,
    failed: Option<Instant>,
    reading: Option<Shared<BoxFuture<'static, ()>>>,
}

impl RequestClock {
    /// The time; `None` where the database has never answered. Waits for the database only before
    /// its first answer: later readings run beside the requests, and the time goes on by this
    /// machine's clock.
    pub async fn now(&self, lake: &Lake) -> Option<Millis> {
        let reading = self.read_if_due(lake);
        if self.known().is_none()
            && let Some(reading) = reading
        {
            reading.await;
        }
        self.known()
    }

    /// The time for answers that need no database otherwise, which hardly wait for it.
    pub async fn now_within_timeout(&self, lake: &Lake) -> Option<Millis> {
        timeout(NOW_TIMEOUT, self.now(lake)).await.ok()?
    }

    fn known(&self) -> Option<Millis> {
        let (then, at) = self.state.lock().set?;
        Some(then.plus(at.elapsed()))
    }

    /// The read that is running, or a new one where it is due.
    fn read_if_due(&self, lake: &Lake) -> Option<Shared<BoxFuture<'static, ()>>> {
        let mut state = self.state.lock();
        let is_fresh = state.set.is_some_and(|(_, at)| at.elapsed() < TTL);
        let has_failed = state.failed.is_some_and(|at| at.elapsed() < RETRY_INTERVAL);
        if is_fresh || has_failed {
            return None;
        }
        if state.reading.is_none() {
            let (shared, database) = (Arc::clone(&self.state), lake.database().clone());
            let clock = lake.clock().clone();
            // A task, so that it goes on without the request that began it.
            let task = tokio::spawn(async move {
                let began = Instant::now();
                let answer = clock.now(&database).await;
                let mut state = shared.lock();
                state.reading = None;
                match answer {
                    Ok(now) => state.set = Some((now, began)),
                    Err(error) => {
                        tracing::debug!(%error, "the database's clock cannot be read");
                        state.failed = Some(Instant::now());
                    }
                }
            });
            state.reading = Some(task.map(drop).boxed().shared());
        }
        state.reading.clone()
    }
}
