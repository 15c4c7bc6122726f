//! Actions of links and buttons in mails and on pages, besides lifecycle transitions.

use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::deliveries::{self, DeliveryKind};
use marketlake_entities::records::subscriptions::SubscriptionState;
use marketlake_entities::records::{alerts, delivery_alerts};
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter,
};

use super::Subscription;
use super::access::Access;
use super::lifecycle::{Transition, apply_transition};
use crate::error::AlertError;
use crate::queue::admin;
use crate::queue::enqueue::{NewDelivery, enqueue};

/// Tests of one address are at least so far apart.
const TEST_INTERVAL: Duration = Duration::from_secs(60);

/// Ends the subscriptions that an unsubscribe link names: `s:SUBSCRIPTION`, or `d:IDENTITY` for all
/// of a digest. Returns how many ended by it; one that has ended already is no error.
///
/// # Errors
/// If the database fails.
pub async fn unsubscribe(
    database: &DatabaseConnection,
    subject: &str,
    now: Millis,
) -> Result<u64, AlertError> {
    let transaction = database::begin_write(database).await?;
    let ids = named(&transaction, subject).await?;
    let mut ended = 0;
    for id in ids {
        let change = Transition::Unsubscribe("by the link in the mail");
        ended += u64::from(
            apply_transition(&transaction, &id, &change, now)
                .await?
                .is_ok(),
        );
    }
    transaction.commit().await?;
    Ok(ended)
}

/// The subscriptions that an unsubscribe link names.
async fn named(connection: &impl ConnectionTrait, subject: &str) -> Result<Vec<String>, DbErr> {
    let Some(identity) = subject.strip_prefix("d:") else {
        return Ok(subject
            .strip_prefix("s:")
            .map(str::to_owned)
            .into_iter()
            .collect());
    };
    let Some(delivery) = admin::find_by_message_id(connection, identity).await? else {
        return Ok(Vec::new());
    };
    let members = delivery_alerts::Entity::find()
        .filter(delivery_alerts::Column::DeliveryId.eq(delivery.id))
        .all(connection)
        .await?;
    let mut ids = Vec::new();
    for member in members {
        let alert = alerts::Entity::find_by_id(member.alert_id)
            .one(connection)
            .await?;
        ids.extend(alert.map(|alert| alert.subscription_id));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// Puts a test of a subscription's channel into the outbox, at most one a minute. `false` where
/// there was one just now, or it is not active.
///
/// # Errors
/// If the database fails.
pub async fn test(
    database: &DatabaseConnection,
    id: &str,
    access: Access<'_>,
    now: Millis,
) -> Result<bool, AlertError> {
    let transaction = database::begin_write(database).await?;
    let found = Subscription::find_of(&transaction, id, access).await?;
    let Some(subscription) = found.filter(|s| {
        matches!(
            s.state,
            SubscriptionState::Active | SubscriptionState::Paused
        )
    }) else {
        return Ok(false);
    };
    let lately = deliveries::Entity::find()
        .filter(deliveries::Column::Address.eq(subscription.target()))
        .filter(deliveries::Column::Kind.eq(DeliveryKind::Test))
        .filter(deliveries::Column::CreatedAt.gt(now.minus(TEST_INTERVAL)))
        .count(&transaction)
        .await?;
    if lately > 0 {
        return Ok(false);
    }
    let delivery = NewDelivery {
        subscription_id: Some(subscription.id.clone()),
        ..NewDelivery::new(
            DeliveryKind::Test,
            subscription.channel,
            subscription.target(),
        )
    };
    enqueue(&transaction, delivery, now).await?;
    transaction.commit().await?;
    Ok(true)
}
