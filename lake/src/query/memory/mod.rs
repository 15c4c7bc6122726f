//! The last 24 hours of every metric, in memory: blocks of an hour, 9 bytes a minute.
//!
//! A [`Snapshot`] is immutable: a commit builds the next one beside it, then swaps the two. A
//! reader keeps one consistent state for as long as it needs, and waits only for the swap.

mod builder;
mod follow;
mod hour;
mod index;
pub(crate) mod snapshot;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use marketlake_model::Minute;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::segment::rows::Rows;
use crate::span::Span;
use builder::SnapshotBuilder;
use snapshot::Snapshot;

/// Last 24 hours in memory. Committed samples only; see
/// [`Queries::follow`](crate::query::Queries::follow).
pub struct RecentDay {
    /// Held for as long as it takes to copy or swap a pointer.
    current: RwLock<Arc<Snapshot>>,
    /// Held while the next snapshot is made.
    next: Mutex<()>,
    /// Set once what was live at the start is in; until then it answers nothing.
    ready: AtomicBool,
    newest: watch::Sender<Option<Minute>>,
    /// The newest segment that is in.
    version: AtomicI64,
    /// The first minute that was left out because it lay in the future; its number, or `i64::MAX`.
    skipped_from: AtomicI64,
}

impl Default for RecentDay {
    fn default() -> Self {
        Self {
            current: RwLock::default(),
            next: Mutex::default(),
            ready: AtomicBool::default(),
            newest: watch::Sender::new(None),
            version: AtomicI64::new(0),
            skipped_from: AtomicI64::new(i64::MAX),
        }
    }
}

impl RecentDay {
    /// Takes rows in, all of which become visible at once. The newest minute moves on with them;
    /// what is then older than a day is forgotten. Rows behind the `last` minute that can be true
    /// are left out.
    pub(crate) fn apply<E>(
        &self,
        batches: impl Iterator<Item = Result<Rows, E>>,
        last: Minute,
    ) -> Result<(), E> {
        let _next = self.next.lock();
        let mut next = SnapshotBuilder::new(&self.snapshot());
        for batch in batches {
            let (rows, left_out) = batch?.up_to(last);
            if let Some(first) = left_out {
                self.skipped_from
                    .fetch_min(first.number(), Ordering::AcqRel);
            }
            next.take(&rows);
        }
        let snapshot = Arc::new(next.finish());
        let newest = snapshot.newest();
        *self.current.write() = snapshot;
        self.newest.send_replace(newest);
        Ok(())
    }

    /// The state of this moment.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read())
    }

    /// The newest minute with a sample.
    #[must_use]
    pub fn newest(&self) -> Option<Minute> {
        self.snapshot().newest()
    }

    /// Returns whether all segments that were live at the start are applied.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// A number that rises with each commit that is in: while it stays, so do the answers. `None`
    /// where the in-memory day is not filled.
    #[must_use]
    pub fn version(&self) -> Option<i64> {
        self.is_ready()
            .then(|| self.version.load(Ordering::Acquire))
    }

    pub(crate) fn set_version(&self, newest_segment: i64) {
        self.version.fetch_max(newest_segment, Ordering::AcqRel);
    }

    /// Publishes each newest minute; a slow receiver sees the last one only.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Minute>> {
        self.newest.subscribe()
    }

    /// Returns whether a skipped minute is no longer in the future, as after a clock was
    /// behind for a while; the call resets it.
    pub(crate) fn take_skipped_before(&self, last: Minute) -> bool {
        let due = self.skipped_from.load(Ordering::Acquire) <= last.number();
        if due {
            self.skipped_from.store(i64::MAX, Ordering::Release);
        }
        due
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Returns whether it holds all of a span that ends no later than the newest committed minute.
    #[must_use]
    pub fn covers(&self, span: Span) -> bool {
        self.is_ready() && self.snapshot().covers(span)
    }

    /// Waits, but not for longer than `timeout`, until a committed minute is in. Returns at once
    /// where the in-memory day is not filled.
    pub async fn wait_for(&self, minute: Minute, timeout: Duration) {
        if self.is_ready() {
            let mut newest = self.newest.subscribe();
            let reached = newest.wait_for(|newest| *newest >= Some(minute));
            let _ = tokio::time::timeout(timeout, reached).await;
        }
    }
}
