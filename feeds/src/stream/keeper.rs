//! Keeps one part of an exchange's symbols connected: reconnects with backoff, and opens the next
//! connection before it closes one that shall be replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use marketlake_common::{backoff, reason};
use metrics::counter;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, ConnectionState};
use super::error::StreamError;
use super::shared::Shared;

/// Age of a connection after which its end does not count as a further failure in a row.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// Times that a handover is prolonged while the next session has proved nothing yet.
const MAX_HANDOVERS: u32 = 6;

/// Sessions of all feeds of the process have numbers of their own.
static NEXT_SESSION: AtomicU64 = AtomicU64::new(1);

/// Keeper of one part of the symbols.
pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) symbols: watch::Receiver<Arc<Vec<String>>>,
    pub(super) stop: CancellationToken,
}

/// A connection that runs.
struct Running {
    state: watch::Receiver<ConnectionState>,
    task: JoinHandle<Result<(), StreamError>>,
    stop: CancellationToken,
    since: Instant,
    session: u64,
}

impl Keeper {
    /// Runs until it is stopped.
    pub(super) async fn run(self: Arc<Self>) {
        let mut failures = 0;
        let mut leaving: Option<Running> = None;
        let mut symbols = self.symbols.clone();
        while !self.stop.is_cancelled() {
            if symbols.borrow_and_update().is_empty() {
                leaving = None;
                tokio::select! {
                    () = self.stop.cancelled() => (),
                    _ = symbols.changed() => (),
                }
                continue;
            }
            let mut running = self.connect();
            let outcome = match running.until_live().await {
                Ok(()) => {
                    if let Some(old) = leaving.take() {
                        let shared = Arc::clone(&self.shared);
                        tokio::spawn(old.hand_over(shared, running.session));
                    }
                    self.shared.connected(1);
                    let left = running.until_left().await;
                    self.shared.connected(-1);
                    left
                }
                Err(error) => Err(error),
            };
            if running.since.elapsed() >= STABLE_AFTER {
                failures = 0;
            } else {
                failures += 1;
            }
            match outcome {
                Ok(reason) => {
                    let reason = self.shared.clean(&reason);
                    tracing::info!(feed = self.shared.name(), reason, "replacing a connection");
                    leaving = Some(running);
                    if failures > 0 {
                        self.sleep(self.backoff(failures)).await;
                    }
                }
                Err(Some(error)) => self.pause(&error, failures).await,
                // It was stopped.
                Err(None) => (),
            }
        }
    }

    fn connect(&self) -> Running {
        let (state, states) = watch::channel(ConnectionState::Connecting);
        let stop = self.stop.child_token();
        let session = NEXT_SESSION.fetch_add(1, Ordering::Relaxed);
        let connection = Connection {
            shared: Arc::clone(&self.shared),
            session,
            symbols: self.symbols.clone(),
            state,
            stop: stop.clone(),
        };
        Running {
            state: states,
            task: tokio::spawn(connection.run()),
            stop,
            since: Instant::now(),
            session,
        }
    }

    /// Waits after a failure: by backoff, and at least as long as the exchange requests.
    async fn pause(&self, error: &StreamError, failures: u32) {
        let own = self.backoff(failures.max(1));
        let pause = error.pause().map_or(own, |pause| pause.max(own));
        let text = self.shared.clean(&reason(error));
        self.shared.fail(&text);
        counter!("marketlake_stream_disconnects_total", "feed" => self.shared.name()).increment(1);
        tracing::warn!(
            feed = self.shared.name(),
            error = text,
            retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "stream disconnected"
        );
        self.sleep(pause).await;
    }

    fn backoff(&self, failures: u32) -> Duration {
        let timings = self.shared.timings;
        let chance = rand::random();
        backoff(
            timings.initial_backoff,
            timings.max_backoff,
            failures,
            chance,
        )
    }

    async fn sleep(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => (),
            () = sleep(pause) => (),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Waits until it is live; an error where it ends before, without one where it was stopped.
    async fn until_live(&mut self) -> Result<(), Option<StreamError>> {
        let live = self
            .state
            .wait_for(|state| *state != ConnectionState::Connecting)
            .await
            .is_ok();
        if live {
            Ok(())
        } else {
            Err(self.ended().await)
        }
    }

    /// Waits until it shall be replaced, and returns the reason; an error where it ends before.
    async fn until_left(&mut self) -> Result<String, Option<StreamError>> {
        let leaving = |state: &ConnectionState| matches!(state, ConnectionState::Leaving(_));
        let reason = match self.state.wait_for(leaving).await {
            Ok(state) => match &*state {
                ConnectionState::Leaving(reason) => Some(reason.clone()),
                _ => None,
            },
            Err(_) => None,
        };
        match reason {
            Some(reason) => Ok(reason),
            None => Err(self.ended().await),
        }
    }

    /// Error with which it ended. A panic is one, too.
    async fn ended(&mut self) -> Option<StreamError> {
        match (&mut self.task).await {
            Ok(result) => result.err(),
            Err(error) => Some(StreamError::Closed {
                reason: format!("its task ended: {error}"),
            }),
        }
    }

    /// Ends it once the next session proves by itself what comes, or when everything is stopped.
    async fn hand_over(self, shared: Arc<Shared>, next: u64) {
        let handover = shared.timings.handover;
        let deadline = Instant::now() + handover * MAX_HANDOVERS;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(handover) => (),
            }
            if shared.book.lock().is_proving(next) || Instant::now() >= deadline {
                return;
            }
        }
    }
}
