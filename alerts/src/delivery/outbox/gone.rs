//! Ends or suspends subscriptions of webhooks that are gone: 410 ends them, repeated refusals
//! suspend them.

use marketlake_entities::database;
use marketlake_entities::records::deliveries::{ActiveModel, Column, DeliveryState, Entity, Model};
use marketlake_entities::records::subscriptions;
use marketlake_entities::records::subscriptions::SubscriptionState;
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use crate::delivery::channels::webhook::STATUS_REASON_PREFIX;
use crate::error::AlertError;
use crate::queue::UNWANTED_REASON_PREFIX;
use crate::queue::lane::Lane;
use crate::subscriptions::lifecycle::{Transition, apply_transition};

/// Refusals in a row that suspend the subscriptions that lead to an address.
const MAX_REFUSALS: usize = 10;

/// Ends the subscriptions that lead to a delivery's address, and closes what waits for it; within
/// the caller's transaction.
pub(super) async fn end(
    connection: &impl ConnectionTrait,
    delivery: &Model,
    reason: &str,
    now: Millis,
) -> Result<(), AlertError> {
    let change = Transition::End(reason.to_owned());
    let lives = [
        SubscriptionState::Pending,
        SubscriptionState::Active,
        SubscriptionState::Paused,
        SubscriptionState::Suspended,
    ];
    change_all(connection, &delivery.address, &lives, &change, now).await?;
    close(connection, delivery, reason, now).await?;
    Ok(())
}

/// Suspends the subscriptions that lead to a delivery's address, where it has refused a delivery
/// once too often.
pub(super) async fn suspend_if_refused(
    database: &DatabaseConnection,
    delivery: &Model,
    reason: &str,
    now: Millis,
) -> Result<(), AlertError> {
    if Lane::of(delivery.channel) != Lane::Webhook || !reason.starts_with(STATUS_REASON_PREFIX) {
        return Ok(());
    }
    let last: Vec<(DeliveryState, Option<String>)> = Entity::find()
        .select_only()
        .column(Column::State)
        .column(Column::Error)
        .filter(Column::Address.eq(delivery.address.as_str()))
        .filter(Column::Channel.eq(delivery.channel))
        .filter(Column::State.is_in([DeliveryState::Sent, DeliveryState::Dead]))
        .order_by_desc(Column::FinishedAt)
        .limit(MAX_REFUSALS as u64)
        .into_tuple()
        .all(database)
        .await?;
    let is_refusal = |(state, error): &(DeliveryState, Option<String>)| {
        let answered = error
            .as_deref()
            .is_some_and(|e| e.starts_with(STATUS_REASON_PREFIX));
        *state == DeliveryState::Dead && answered
    };
    if last.len() < MAX_REFUSALS || !last.iter().all(is_refusal) {
        return Ok(());
    }
    let reason = format!("{MAX_REFUSALS} deliveries in a row were refused, the last: {reason}");
    let transaction = database::begin_write(database).await?;
    let change = Transition::Suspend(reason.clone());
    let lives = [SubscriptionState::Active, SubscriptionState::Paused];
    change_all(&transaction, &delivery.address, &lives, &change, now).await?;
    close(&transaction, delivery, &reason, now).await?;
    transaction.commit().await?;
    Ok(())
}

async fn change_all(
    connection: &impl ConnectionTrait,
    endpoint: &str,
    lives: &[SubscriptionState],
    change: &Transition,
    now: Millis,
) -> Result<(), AlertError> {
    use subscriptions::Column;
    let ids: Vec<String> = subscriptions::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Endpoint.eq(endpoint))
        .filter(Column::State.is_in(lives.iter().copied()))
        .into_tuple()
        .all(connection)
        .await?;
    for id in ids {
        // It may have been unsubscribed this moment: then there is nothing to end.
        let _ = apply_transition(connection, &id, change, now).await?;
    }
    Ok(())
}

/// Closes what waits for an address; what another worker is sending ends by itself.
async fn close(
    connection: &impl ConnectionTrait,
    delivery: &Model,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    Entity::update_many()
        .set(ActiveModel {
            state: Set(DeliveryState::Dead),
            error: Set(Some(format!("{UNWANTED_REASON_PREFIX}{reason}"))),
            finished_at: Set(Some(now)),
            ..Default::default()
        })
        .filter(Column::Address.eq(delivery.address.as_str()))
        .filter(Column::Channel.eq(delivery.channel))
        .filter(Column::State.is_in([DeliveryState::Pending, DeliveryState::Retry]))
        .exec(connection)
        .await?;
    Ok(())
}
