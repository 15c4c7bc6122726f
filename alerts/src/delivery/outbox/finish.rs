//! Records the outcome of an attempt in the database.

use marketlake_entities::records::deliveries::{ActiveModel, Column, DeliveryState, Entity, Model};
use marketlake_entities::{Clock, database};
use marketlake_model::Millis;
use metrics::counter;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, Set,
};

use super::counts::SendCounts;
use super::gone;
use super::outcome::{Consequences, End, NEVER, consequences, max_backoff};
use super::throttle::{Key, Throttles, is_outage};
use crate::address::masked;
use crate::delivery::channels::{OutgoingMessage, SendOutcome};
use crate::error::AlertError;

/// Number of our workers that died handing over the same bytes after which it is given up.
pub(super) const MAX_UNKNOWN_ATTEMPTS: i32 = 5;

/// A delivery that was tried, with its bytes, where they could be made.
#[derive(Clone, Copy)]
pub(super) struct Tried<'a> {
    pub(super) delivery: &'a Model,
    pub(super) message: Option<&'a OutgoingMessage>,
}

/// Records the outcome of an attempt. Returns the throttle that it set.
pub(super) async fn finish(
    database: &DatabaseConnection,
    clock: &Clock,
    tried: Tried<'_>,
    sending: SendOutcome,
    throttles: &Throttles,
    counts: &mut SendCounts,
) -> Result<Option<Key>, AlertError> {
    let now = clock.now(database).await?;
    let delivery = tried.delivery;
    let Consequences {
        end,
        healthy,
        cause,
        is_gone,
    } = consequences(delivery, sending, &throttles.outliers, now);
    throttles.clear(database, delivery, healthy).await?;
    let throttled = match cause {
        Some(cause) => Some(throttles.set(database, delivery, &cause, now).await?),
        None => None,
    };
    let is_outage = throttled.as_ref().is_some_and(|key| is_outage(key.0));
    let reason = end.error.clone().unwrap_or_default();
    if is_gone {
        let transaction = database::begin_write(database).await?;
        record(&transaction, tried, end, now, counts, is_outage).await?;
        gone::end(&transaction, delivery, &reason, now).await?;
        transaction.commit().await?;
    } else {
        let dead = end.state == DeliveryState::Dead;
        record(database, tried, end, now, counts, is_outage).await?;
        if dead {
            gone::suspend_if_refused(database, delivery, &reason, now).await?;
        }
    }
    Ok(throttled)
}

/// Records that it stays unknown whether a delivery arrived, and why it is not tried again.
pub(super) async fn give_up(
    database: &DatabaseConnection,
    clock: &Clock,
    delivery: &Model,
    reason: String,
    counts: &mut SendCounts,
) -> Result<(), AlertError> {
    let now = clock.now(database).await?;
    let end = End {
        state: DeliveryState::Unknown,
        not_before: NEVER,
        unknowns: delivery.unknowns,
        error: Some(reason),
    };
    let tried = Tried {
        delivery,
        message: None,
    };
    record(database, tried, end, now, counts, false).await?;
    Ok(())
}

/// Puts a delivery off whose attempt panicked before its bytes went over. One that panicked later
/// may have arrived: its lease runs out, and that is counted.
pub(super) async fn put_off(
    database: &DatabaseConnection,
    clock: &Clock,
    delivery: &Model,
    words: &str,
) -> Result<(), AlertError> {
    let now = clock.now(database).await?;
    let update = ActiveModel {
        state: Set(DeliveryState::Retry),
        not_before: Set(now.plus(max_backoff(delivery.attempts))),
        lease_until: Set(None),
        error: Set(Some(format!("the attempt panicked: {words}"))),
        ..Default::default()
    };
    Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .filter(Column::State.eq(DeliveryState::Sending))
        .filter(Column::TransmitStartedAt.is_null())
        .exec(database)
        .await?;
    Ok(())
}

async fn record(
    connection: &impl ConnectionTrait,
    tried: Tried<'_>,
    end: End,
    now: Millis,
    counts: &mut SendCounts,
    is_outage: bool,
) -> Result<(), DbErr> {
    let Tried { delivery, message } = tried;
    let (state, error) = (end.state, end.error.clone());
    let ended = matches!(state, DeliveryState::Sent | DeliveryState::Dead);
    let mut update = ActiveModel {
        state: Set(end.state),
        not_before: Set(end.not_before),
        unknowns: Set(end.unknowns),
        transmit_started_at: Set(None),
        lease_until: Set(None),
        error: Set(end.error),
        finished_at: Set(ended.then_some(now)),
        ..Default::default()
    };
    if let Some(message) = message {
        update.message_id = Set(Some(message.message_id.clone()));
        update.message = Set(Some(message.bytes.to_vec()));
    }
    if end.state == DeliveryState::Sent {
        update.message = Set(None);
    }
    let result = Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .exec(connection)
        .await?;
    let word = counts.count(state);
    let is_expired = error
        .as_deref()
        .is_some_and(|error| error.starts_with("expired: "));
    let outcome = if is_expired { "expired" } else { word };
    counter!("marketlake_deliveries_total", "outcome" => outcome).increment(1);
    if let Some(error) = error {
        let to = masked(&delivery.address);
        if is_outage {
            // Its throttle is logged: once when it begins, once when it ends.
            tracing::debug!(delivery = delivery.id, to, outcome, error, "not sent");
        } else {
            tracing::warn!(delivery = delivery.id, to, outcome, error, "not sent");
        }
    }
    if result.rows_affected == 0 {
        tracing::warn!(
            delivery = delivery.id,
            "the lease ran out while it was being sent"
        );
    }
    Ok(())
}
