//! Repairs backoffs in the outbox that a wrong clock made longer than any can be.

use std::time::Duration;

use marketlake_entities::clock::MAX_CLOCK_DIFFERENCE;
use marketlake_entities::records::deliveries::{Column, DeliveryState, Entity};
use marketlake_entities::records::delivery_throttles;
use marketlake_model::Millis;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, ExprTrait, QueryFilter,
};

use super::enqueue_alerts::HOUR;
use super::outcome::{NEVER, max_backoff};
use super::throttle::MAX_THROTTLE_BACKOFF;

/// A time that lies further ahead was written under another clock.
const MAX_AHEAD: Duration = MAX_CLOCK_DIFFERENCE.saturating_mul(2);
/// Number of attempts after which a pause grows no longer.
const MAX_COUNTED_ATTEMPTS: i32 = 8;

/// Makes deliveries due that wait for longer than any is made to, and lets go of throttles that
/// were set at a time that has not come. Returns how many.
///
/// # Errors
/// If the database fails.
pub async fn repair_backoffs(connection: &impl ConnectionTrait, now: Millis) -> Result<u64, DbErr> {
    let ahead = |span: Duration| now.plus(span.saturating_add(MAX_AHEAD));
    let waits = Column::NotBefore.gt(now).and(Column::NotBefore.lt(NEVER));
    let mut too_long = Condition::any()
        .add(Column::CreatedAt.gt(ahead(Duration::ZERO)))
        .add(Column::NotBefore.gt(ahead(HOUR)));
    for attempts in 1..=MAX_COUNTED_ATTEMPTS {
        let tried = Column::State.is_in([DeliveryState::Retry, DeliveryState::Unknown]);
        let is_counted = tried.and(Column::Attempts.lte(attempts));
        let put_off = Column::NotBefore.gt(ahead(max_backoff(attempts)));
        too_long = too_long.add(is_counted.and(put_off));
    }
    let deliveries = Entity::update_many()
        .col_expr(Column::NotBefore, Expr::value(now.0))
        .filter(Column::State.is_in([
            DeliveryState::Pending,
            DeliveryState::Retry,
            DeliveryState::Unknown,
        ]))
        .filter(waits)
        .filter(too_long)
        .exec(connection)
        .await?
        .rows_affected;
    let throttles = {
        use delivery_throttles::{Column, Entity};
        let unlikely = Condition::any()
            .add(Column::SetAt.gt(ahead(Duration::ZERO)))
            .add(Column::Until.gt(ahead(MAX_THROTTLE_BACKOFF)));
        Entity::update_many()
            .col_expr(Column::Until, Expr::value(now.0))
            .col_expr(Column::SetAt, Expr::value(now.0))
            .filter(Column::Until.gt(now))
            .filter(Column::Until.lt(NEVER))
            .filter(unlikely)
            .exec(connection)
            .await?
            .rows_affected
    };
    let mended = deliveries + throttles;
    if mended > 0 {
        tracing::warn!(
            deliveries,
            throttles,
            "deliveries and throttles that were put off under a wrong clock are due now"
        );
    }
    Ok(mended)
}
