//! Writes deliveries into the outbox, within the transaction of the decision.

use marketlake_entities::records::deliveries::{self, ActiveModel, DeliveryKind, DeliveryState};
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::Millis;
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set};
use uuid::Uuid;

use super::lane::destination;

/// A delivery that is not about alerts.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Kind of message.
    pub kind: DeliveryKind,
    /// Subscription that it is about.
    pub subscription_id: Option<String>,
    /// Channel.
    pub channel: ChannelKind,
    /// Recipient.
    pub address: String,
    /// Content as JSON.
    pub content: Option<String>,
}

impl NewDelivery {
    /// A delivery of a kind to an address.
    #[must_use]
    pub fn new(kind: DeliveryKind, channel: ChannelKind, address: &str) -> Self {
        Self {
            kind,
            subscription_id: None,
            channel,
            address: address.to_owned(),
            content: None,
        }
    }
}

/// Inserts a delivery into the outbox, within the caller's transaction. Returns the delivery's id.
///
/// # Errors
/// If the database fails.
pub async fn enqueue(
    connection: &impl ConnectionTrait,
    delivery: NewDelivery,
    now: Millis,
) -> Result<String, DbErr> {
    let row = ActiveModel {
        subscription_id: Set(delivery.subscription_id),
        content: Set(delivery.content),
        ..new_row(delivery.kind, delivery.channel, delivery.address, now)
    };
    let id = row.id.clone().unwrap();
    deliveries::Entity::insert(row)
        .exec_without_returning(connection)
        .await?;
    Ok(id)
}

pub(crate) fn new_row(
    kind: DeliveryKind,
    channel: ChannelKind,
    address: String,
    now: Millis,
) -> ActiveModel {
    ActiveModel {
        id: Set(Uuid::new_v4().to_string()),
        message_id: Set(None),
        destination: Set(destination(channel, &address)),
        kind: Set(kind),
        subscription_id: Set(None),
        channel: Set(channel),
        address: Set(address),
        content: Set(None),
        message: Set(None),
        state: Set(DeliveryState::Pending),
        token: Set(0),
        attempts: Set(0),
        unknowns: Set(0),
        transmit_started_at: Set(None),
        not_before: Set(now),
        lease_until: Set(None),
        error: Set(None),
        created_at: Set(now),
        finished_at: Set(None),
    }
}
