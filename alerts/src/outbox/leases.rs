//! Leases of deliveries, as this process sees them.
//!
//! A lease is taken over once this process has seen it unchanged for the whole of its time, counted
//! by a steady clock: a step of the database's or of a machine's clock frees none early, which
//! would send a mail twice, and keeps none for longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use marketlake_entities::Millis;
use marketlake_entities::records::deliveries::{Column, Entity, State};
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
pub(super) struct Leases(Mutex<HashMap<Lease, Instant>>);

impl Leases {
    /// Looks at all leases, and ends those that have not changed for their time. Returns how many.
    pub(super) async fn expire(&self, database: &DatabaseConnection) -> Result<u64, DbErr> {
        let held: Vec<Lease> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Token, Column::LeaseUntil])
            .filter(Column::State.eq(State::Sending))
            .filter(Column::LeaseUntil.is_not_null())
            .limit(MAX_WATCHED)
            .into_tuple()
            .all(database)
            .await?;
        let mut ended = 0;
        for (id, token, until) in self.unchanged(held, Instant::now()) {
            let result = Entity::update_many()
                .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                .filter(Column::Id.eq(id.as_str()))
                .filter(Column::Token.eq(token))
                .filter(Column::LeaseUntil.eq(until))
                .filter(Column::State.eq(State::Sending))
                .exec(database)
                .await?;
            if result.rows_affected == 1 {
                tracing::warn!(delivery = id, "the lease of a delivery has run out");
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Those of the leases held now that were seen the same [`LEASE`] ago.
    fn unchanged(&self, held: Vec<Lease>, now: Instant) -> Vec<Lease> {
        let mut seen = self.0.lock();
        let known = std::mem::take(&mut *seen);
        let since = |lease: &Lease| known.get(lease).copied().unwrap_or(now);
        let held = held.into_iter().map(|lease| {
            let at = since(&lease);
            (lease, at)
        });
        *seen = held.collect();
        let is_over = |at: &Instant| now.saturating_duration_since(*at) >= LEASE;
        let over = seen.iter().filter(|(_, at)| is_over(at));
        over.map(|(lease, _)| lease.clone()).collect()
    }
}
