//! Leases of deliveries, as this process sees them.
//!
//! A lease is taken over once this process has seen it unchanged for its whole duration by a
//! monotonic clock. So a step of the database's or a machine's clock neither ends a lease early,
//! which would send a mail twice, nor prolongs it. Only a process that runs once, too briefly to
//! observe a lease, uses the clock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use marketlake_entities::Clock;
use marketlake_entities::clock::MAX_CLOCK_DIFFERENCE;
use marketlake_entities::records::deliveries::{Column, DeliveryState, Entity};
use marketlake_model::Millis;
use parking_lot::Mutex;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QuerySelect};

/// Time for which a worker holds a delivery: longer than either of any channel's two steps.
pub(super) const LEASE: Duration = Duration::from_secs(90);
/// Leases that are watched at most; what lies beyond has its turn later.
const MAX_WATCHED: u64 = 10_000;

/// One lease: its delivery, its fencing token, and what stands as its end.
type Lease = (String, i64, Millis);

/// Leases that this process has seen, and since when.
#[derive(Debug, Default)]
pub(super) struct Leases {
    seen: Mutex<HashMap<Lease, Instant>>,
    is_followed: AtomicBool,
}

impl Leases {
    /// Has this process look at all leases again and again.
    pub(super) fn follow(&self) {
        self.is_followed.store(true, Ordering::Relaxed);
    }

    /// Looks at all leases, and ends those that have not changed for their time. Returns how many.
    pub(super) async fn expire(
        &self,
        database: &DatabaseConnection,
        clock: &Clock,
    ) -> Result<u64, DbErr> {
        let overdue = self.overdue(database, clock).await?;
        let held: Vec<Lease> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Token, Column::LeaseUntil])
            .filter(Column::State.eq(DeliveryState::Sending))
            .filter(Column::LeaseUntil.is_not_null())
            .limit(MAX_WATCHED)
            .into_tuple()
            .all(database)
            .await?;
        let mut ended = 0;
        for (id, token, until) in self.over(held, Instant::now(), overdue) {
            let result = Entity::update_many()
                .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                .filter(Column::Id.eq(id.as_str()))
                .filter(Column::Token.eq(token))
                .filter(Column::LeaseUntil.eq(until))
                .filter(Column::State.eq(DeliveryState::Sending))
                .exec(database)
                .await?;
            if result.rows_affected == 1 {
                tracing::warn!(delivery = id, "the lease of a delivery has run out");
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Before when a lease has ended by the clock: for a process that runs once, and while nothing
    /// is known of a step.
    async fn overdue(
        &self,
        database: &DatabaseConnection,
        clock: &Clock,
    ) -> Result<Option<Millis>, DbErr> {
        if self.is_followed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let now = clock.now(database).await?;
        let is_sure = clock.estimate().is_some()
            && clock.describe().is_none()
            && !clock.stepped_within(2 * LEASE);
        Ok(is_sure.then(|| now.minus(MAX_CLOCK_DIFFERENCE)))
    }

    /// Those of the leases held now that were seen the same [`LEASE`] ago, or ended long before.
    fn over(&self, held: Vec<Lease>, now: Instant, overdue: Option<Millis>) -> Vec<Lease> {
        let mut seen = self.seen.lock();
        let known = std::mem::take(&mut *seen);
        let since = |lease: &Lease| known.get(lease).copied().unwrap_or(now);
        let held = held.into_iter().map(|lease| {
            let at = since(&lease);
            (lease, at)
        });
        *seen = held.collect();
        let is_over = |(lease, at): &(&Lease, &Instant)| {
            let is_unchanged = now.saturating_duration_since(**at) >= LEASE;
            is_unchanged || overdue.is_some_and(|before| lease.2 < before)
        };
        let over = seen.iter().filter(is_over);
        over.map(|(lease, _)| lease.clone()).collect()
    }
}
