//! Outages: one log line when one begins, one when it ends.
//!
//! Each loop that uses the database or the store holds a [`Reporter`] and tells it how each round
//! went. An outage begins with the first reporter that fails, and ends when the last one that
//! failed succeeds again. One that is dropped before leaves that to the next success of any.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use sea_orm::DatabaseConnection;

use super::connect::{diagnose, is_pool_timeout};

/// Outage of the catalog's database, as this process sees it.
pub static DATABASE: Outage = Outage::new("database");
/// Outage of the object store, as this process sees it.
pub static STORE: Outage = Outage::new("object store");

/// The state of one thing that this process depends on.
pub struct Outage {
    what: &'static str,
    state: Mutex<State>,
    /// Whether all that failed are dropped, and none has succeeded since.
    is_orphaned: AtomicBool,
}

struct State {
    failing: BTreeSet<u64>,
    since: Option<Instant>,
    cause: Option<String>,
}

/// One user of it, like a worker.
pub struct Reporter {
    outage: &'static Outage,
    id: u64,
    source: String,
    is_failing: bool,
}

impl Outage {
    const fn new(what: &'static str) -> Self {
        Self {
            what,
            state: Mutex::new(State {
                failing: BTreeSet::new(),
                since: None,
                cause: None,
            }),
            is_orphaned: AtomicBool::new(false),
        }
    }

    /// A user of it, by a name that is shown where it is the first to fail.
    pub fn reporter(&'static self, source: impl Into<String>) -> Reporter {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        Reporter {
            outage: self,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source: source.into(),
            is_failing: false,
        }
    }

    /// Cause of the current outage.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        self.state.lock().cause.clone()
    }

    /// Returns whether an outage begins.
    fn fail(&self, id: u64) -> bool {
        let mut state = self.state.lock();
        state.failing.insert(id);
        let begins = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        begins
    }

    fn succeed(&self, id: u64) {
        let mut state = self.state.lock();
        state.failing.remove(&id);
        if !state.failing.is_empty() {
            return;
        }
        self.is_orphaned.store(false, Ordering::Relaxed);
        state.cause = None;
        if let Some(since) = state.since.take() {
            let seconds = since.elapsed().as_secs_f64();
            tracing::warn!(seconds, "outage of the {} ended", self.what);
        }
    }

    /// A user that failed is gone: that says nothing about whether the outage is over.
    fn forget(&self, id: u64) {
        let mut state = self.state.lock();
        state.failing.remove(&id);
        let is_orphaned = state.failing.is_empty() && state.since.is_some();
        self.is_orphaned.store(is_orphaned, Ordering::Relaxed);
    }
}

impl Reporter {
    /// Reports a failure; its reason is logged if an outage begins with it.
    pub fn fail(&mut self, error: &dyn Display) {
        self.is_failing = true;
        if self.outage.fail(self.id) {
            self.begin(&error.to_string());
        }
    }

    /// Notes that a statement failed; where the pool does not say why, queries the database.
    pub async fn fail_statement(
        &mut self,
        database: &DatabaseConnection,
        error: &(dyn std::error::Error + Send + Sync + 'static),
    ) {
        self.is_failing = true;
        if self.outage.fail(self.id) {
            self.begin(&diagnose(database, error).await);
        }
    }

    /// Reports a success.
    pub fn succeed(&mut self) {
        if self.is_failing || self.outage.is_orphaned.load(Ordering::Relaxed) {
            self.is_failing = false;
            self.outage.succeed(self.id);
        }
    }

    fn begin(&self, cause: &str) {
        self.outage.state.lock().cause = Some(cause.to_owned());
        let (what, source) = (self.outage.what, &self.source);
        tracing::error!(source, cause, "outage of the {what} begins");
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if self.is_failing {
            self.outage.forget(self.id);
        }
    }
}

/// An error as it is shown: where the pool only says that it timed out, the cause of the outage,
/// where one is known.
#[must_use]
pub fn with_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let cause = DATABASE.cause().filter(|_| is_pool_timeout(error));
    cause.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_outlives_who_reported_it_and_ends_with_the_next_success() {
        static OUTAGE: Outage = Outage::new("test");
        let (mut one, mut other) = (OUTAGE.reporter("one"), OUTAGE.reporter("other"));
        one.fail(&"down");
        drop(one);
        assert_eq!(OUTAGE.cause().as_deref(), Some("down"));
        other.succeed();
        assert_eq!(OUTAGE.cause(), None);
        other.fail(&"down again");
        let mut third = OUTAGE.reporter("third");
        third.succeed();
        assert_eq!(OUTAGE.cause().as_deref(), Some("down again"));
        other.succeed();
        assert_eq!(OUTAGE.cause(), None);
    }
}
