//! The database's clock, asked once a minute and carried on by this machine's steady one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use marketlake_entities::{Millis, database};
use marketlake_lake::Lake;
use parking_lot::Mutex;

const KEPT: Duration = Duration::from_secs(60);
/// How long a database that did not answer is not asked again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Tells the time that all processes agree on, without asking the database each time.
#[derive(Default)]
pub(crate) struct Clock {
    state: Arc<Mutex<State>>,
    /// Who comes before the first answer waits for it together with the others.
    first: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    set: Option<(Millis, Instant)>,
    asked: Option<Instant>,
}

impl State {
    fn is_due(self) -> bool {
        self.asked.is_none_or(|at| at.elapsed() >= RETRY_INTERVAL)
    }
}

impl Clock {
    /// The time; `None` where the database could never be asked. Waits for it only the first time:
    /// later it is asked beside the request, and the time goes on by this machine's clock until
    /// there is an answer.
    pub(crate) async fn now(&self, lake: &Lake) -> Option<Millis> {
        if self.state.lock().set.is_none() {
            let _first = self.first.lock().await;
            let state = *self.state.lock();
            if state.set.is_none() && state.is_due() {
                self.ask(lake).await;
            }
        }
        let state = *self.state.lock();
        let (then, at) = state.set?;
        if at.elapsed() >= KEPT && state.is_due() {
            tokio::spawn(self.ask(lake));
        }
        Some(then.plus(at.elapsed()))
    }

    fn ask(&self, lake: &Lake) -> impl Future<Output = ()> + Send + use<> {
        let asked = Instant::now();
        let (state, database) = (Arc::clone(&self.state), lake.database().clone());
        state.lock().asked = Some(asked);
        async move {
            match database::clock(&database).await {
                Ok(now) => state.lock().set = Some((now, asked)),
                Err(error) => tracing::debug!(%error, "the database's clock cannot be read"),
            }
        }
    }
}
