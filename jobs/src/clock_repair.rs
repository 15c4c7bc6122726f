//! Repairs slots that a wrong clock left in the slot table.

use std::time::Duration;

use marketlake_entities::records::job_runs::{Column, Entity, JobRunState};
use marketlake_model::Millis;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
};

use crate::slots::LEASE;

/// A slot that lies further ahead was entered under another time.
const MAX_AHEAD: Duration = Duration::from_secs(120);
/// No slot is put off for longer.
pub(crate) const MAX_SLOT_PAUSE: Duration = Duration::from_secs(600);

/// Takes out slots that lie in the future, however they ended, so that they are done when their
/// time comes; and shortens leases and pauses that are longer than any is given.
pub(crate) async fn repair_slots(database: &DatabaseConnection, now: Millis) -> Result<(), DbErr> {
    let ahead = Column::Slot.gt(now.plus(MAX_AHEAD));
    let rows = Entity::find()
        .filter(ahead.clone())
        .order_by_asc(Column::Slot)
        .all(database)
        .await?;
    if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
        let in_state = |state| rows.iter().filter(|row| row.state == state).count();
        let (done, missed) = (in_state(JobRunState::Done), in_state(JobRunState::Missed));
        Entity::delete_many().filter(ahead).exec(database).await?;
        tracing::error!(
            slots = rows.len(),
            done,
            missed,
            first = %first.slot,
            last = %last.slot,
            "removed slots in the future, which were inserted under a wrong clock; \
             `marketlake check` finds what the {done} done ones recorded"
        );
    }
    let leased = Column::State
        .eq(JobRunState::Running)
        .and(Column::LeaseUntil.gt(now.plus(2 * LEASE)));
    let put_off = Column::State
        .eq(JobRunState::Pending)
        .and(Column::NotBefore.gt(now.plus(2 * MAX_SLOT_PAUSE)));
    let found = Entity::find()
        .filter(leased.clone().or(put_off.clone()))
        .one(database)
        .await?;
    if found.is_none() {
        return Ok(());
    }
    let leases = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(now.plus(LEASE).0))
        .filter(leased)
        .exec(database)
        .await?;
    let pauses = Entity::update_many()
        .col_expr(Column::NotBefore, Expr::value(now.0))
        .filter(put_off)
        .exec(database)
        .await?;
    tracing::warn!(
        leases = leases.rows_affected,
        pauses = pauses.rows_affected,
        "leases and pauses that were given under a wrong clock are shortened"
    );
    Ok(())
}
