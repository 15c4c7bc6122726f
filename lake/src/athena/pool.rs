//! Pool of workgroups: leases the least busy one, backs off a throttled one, and drains one that
//! cannot be used.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::error::AthenaError;

/// A workgroup that could not be used is tried again after that.
const DRAIN_TTL: Duration = Duration::from_secs(60);

/// The workgroups.
pub(crate) struct Pool {
    groups: Vec<Arc<Group>>,
}

struct Group {
    name: String,
    max: usize,
    free: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Reason why it is drained.
    broken: Option<String>,
    until: Option<Instant>,
}

/// A place for one query in a workgroup.
pub(crate) struct Lease {
    group: Arc<Group>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(names: &[String], max: usize) -> Self {
        let groups = names.iter().map(|name| {
            gauge!("marketlake_athena_workgroup_up", "workgroup" => name.clone()).set(1.0);
            Arc::new(Group {
                name: name.clone(),
                max,
                free: Arc::new(Semaphore::new(max)),
                state: Mutex::default(),
            })
        });
        Self {
            groups: groups.collect(),
        }
    }

    /// A place in the least busy workgroup that can be used, as soon as there is one.
    ///
    /// # Errors
    /// Fails if none can be used, or all stay busy for longer than the timeout that is left.
    pub(crate) async fn lease(&self, timeout: Duration) -> Result<Lease, AthenaError> {
        let waiting = async {
            loop {
                let now = Instant::now();
                let usable = self.usable(now)?;
                let ready = usable
                    .iter()
                    .filter(|group| group.backoff_left(now).is_none());
                let Some(group) = ready.min_by_key(|group| group.running()).cloned() else {
                    // All rest: until the first has rested.
                    let waits = usable.iter().filter_map(|group| group.backoff_left(now));
                    sleep(waits.min().unwrap_or_default()).await;
                    continue;
                };
                let Ok(place) = Arc::clone(&group.free).acquire_owned().await else {
                    continue;
                };
                gauge!("marketlake_athena_queries_running", "workgroup" => group.name.clone())
                    .increment(1.0);
                return Ok(Lease {
                    group,
                    _place: place,
                });
            }
        };
        let busy = |_| AthenaError::Busy {
            seconds: timeout.as_secs(),
            reason: "every workgroup runs its maximum number of queries".to_owned(),
        };
        tokio::time::timeout(timeout, waiting).await.map_err(busy)?
    }

    /// Those that are not known to be broken.
    fn usable(&self, now: Instant) -> Result<Vec<Arc<Group>>, AthenaError> {
        let whole = |group: &&Arc<Group>| group.broken(now).is_none();
        let usable: Vec<Arc<Group>> = self.groups.iter().filter(whole).cloned().collect();
        if usable.is_empty() {
            let broken = self.groups.iter().filter_map(|group| {
                let why = group.broken(now)?;
                Some(format!("{}: {why}", group.name))
            });
            let all: Vec<String> = broken.collect();
            return Err(AthenaError::NoWorkgroup(all.join("; ")));
        }
        Ok(usable)
    }
}

impl Group {
    fn running(&self) -> usize {
        self.max - self.free.available_permits()
    }

    fn broken(&self, now: Instant) -> Option<String> {
        let mut state = self.state.lock();
        if state.broken.is_some() && state.until.is_none_or(|until| until <= now) {
            *state = State::default();
            gauge!("marketlake_athena_workgroup_up", "workgroup" => self.name.clone()).set(1.0);
        }
        state.broken.clone()
    }

    fn backoff_left(&self, now: Instant) -> Option<Duration> {
        let until = self.state.lock().until?;
        until.checked_duration_since(now)
    }
}

impl Lease {
    /// The workgroup's name.
    pub(crate) fn workgroup(&self) -> &str {
        &self.group.name
    }

    /// Nothing is begun here for a while: it is throttled.
    pub(crate) fn back_off(&self, pause: Duration) {
        counter!("marketlake_athena_throttled_total", "workgroup" => self.group.name.clone())
            .increment(1);
        let until = Instant::now() + pause;
        let mut state = self.group.state.lock();
        state.until = state.until.max(Some(until));
    }

    /// Nothing is begun here for a minute: it cannot be used.
    pub(crate) fn drain(&self, why: &str) {
        let name = &self.group.name;
        tracing::error!(
            workgroup = name,
            why,
            "an Athena workgroup is left out for a minute"
        );
        gauge!("marketlake_athena_workgroup_up", "workgroup" => name.clone()).set(0.0);
        *self.group.state.lock() = State {
            broken: Some(why.to_owned()),
            until: Some(Instant::now() + DRAIN_TTL),
        };
    }

    /// Counts what a query read, and how long it took.
    pub(crate) fn count(&self, scanned: u64, dollars: f64, taken: Duration) {
        let name = &self.group.name;
        counter!("marketlake_athena_queries_total", "workgroup" => name.clone()).increment(1);
        counter!("marketlake_athena_scanned_bytes_total", "workgroup" => name.clone())
            .increment(scanned);
        gauge!("marketlake_athena_cost_dollars", "workgroup" => name.clone()).increment(dollars);
        histogram!("marketlake_athena_query_duration_seconds", "workgroup" => name.clone())
            .record(taken.as_secs_f64());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        gauge!("marketlake_athena_queries_running", "workgroup" => self.group.name.clone())
            .decrement(1.0);
    }
}
