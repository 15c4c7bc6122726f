//! Queries and actions of operators on the outbox.

use std::time::Duration;

use marketlake_entities::records::deliveries::{
    ActiveModel, Column, DeliveryKind, DeliveryState, Entity, Model,
};
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};

use super::{TOO_OLD_REASON, UNWANTED_REASON_PREFIX};
use crate::address::masked;

/// A delivery, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySummary {
    /// Its key.
    pub id: String,
    /// Kind of message.
    pub kind: DeliveryKind,
    /// Channel.
    pub channel: ChannelKind,
    /// Recipient, masked.
    pub to: String,
    /// State.
    pub state: DeliveryState,
    /// Number of attempts.
    pub attempts: i32,
    /// Number of attempts of unknown outcome: the message may have arrived.
    pub unknowns: i32,
    /// Last error.
    pub error: Option<String>,
    /// Time of the decision.
    pub created_at: Millis,
    /// Time at which it ended.
    pub finished_at: Option<Millis>,
    /// The left part of its Message-ID, once it was rendered.
    pub message_id: Option<String>,
}

impl From<Model> for DeliverySummary {
    fn from(row: Model) -> Self {
        Self {
            to: masked(&row.address),
            id: row.id,
            kind: row.kind,
            channel: row.channel,
            state: row.state,
            attempts: row.attempts,
            unknowns: row.unknowns,
            error: row.error,
            created_at: row.created_at,
            finished_at: row.finished_at,
            message_id: row.message_id,
        }
    }
}

/// Deliveries, newest first, in one state or in all.
///
/// # Errors
/// If the database fails.
pub async fn list(
    connection: &impl ConnectionTrait,
    state: Option<DeliveryState>,
    max: u64,
) -> Result<Vec<DeliverySummary>, DbErr> {
    let mut all = Entity::find();
    if let Some(state) = state {
        all = all.filter(Column::State.eq(state));
    }
    let rows = all
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .limit(max)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(DeliverySummary::from).collect())
}

/// One delivery.
///
/// # Errors
/// If the database fails.
pub async fn find(
    connection: &impl ConnectionTrait,
    id: &str,
) -> Result<Option<DeliverySummary>, DbErr> {
    let row = Entity::find_by_id(id).one(connection).await?;
    Ok(row.map(DeliverySummary::from))
}

/// The delivery of a message; of one that was rendered by a version without identities, by its key.
pub(crate) async fn find_by_message_id(
    connection: &impl ConnectionTrait,
    identity: &str,
) -> Result<Option<Model>, DbErr> {
    let found = Entity::find()
        .filter(Column::MessageId.eq(identity))
        .order_by_desc(Column::CreatedAt)
        .one(connection)
        .await?;
    if found.is_some() {
        return Ok(found);
    }
    Entity::find_by_id(identity).one(connection).await
}

/// Counts deliveries that died since a time, except those that were no longer wanted, or that were
/// too old when they were evaluated.
///
/// # Errors
/// If the database fails.
pub async fn count_dead(connection: &impl ConnectionTrait, since: Millis) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::State.eq(DeliveryState::Dead))
        .filter(Column::Error.not_like(format!("{UNWANTED_REASON_PREFIX}%")))
        .filter(Column::Error.not_like(format!("{TOO_OLD_REASON}%")))
        .filter(Column::FinishedAt.gt(since))
        .count(connection)
        .await
}

/// Requeues a delivery that was given up, or whose outcome is unknown. It keeps its age: one that
/// is too old expires anew. `false` where there is none of that id in such a state.
///
/// # Errors
/// If the database fails.
pub async fn requeue(
    connection: &impl ConnectionTrait,
    id: &str,
    now: Millis,
) -> Result<bool, DbErr> {
    let result = Entity::update_many()
        .set(ActiveModel {
            state: Set(DeliveryState::Retry),
            not_before: Set(now),
            attempts: Set(0),
            unknowns: Set(0),
            finished_at: Set(None),
            // The old message may have been refused: it is rendered anew.
            message: Set(None),
            ..Default::default()
        })
        .filter(Column::Id.eq(id))
        .filter(Column::State.is_in([DeliveryState::Dead, DeliveryState::Unknown]))
        .exec(connection)
        .await?;
    Ok(result.rows_affected == 1)
}

/// Time for which the bytes of dead and unknown deliveries are kept.
const MESSAGE_TTL: Duration = Duration::from_secs(30 * 86_400);

/// Lets go of the bytes of deliveries that ended badly long ago. Returns of how many.
///
/// # Errors
/// If the database fails.
pub async fn prune_messages(connection: &impl ConnectionTrait, now: Millis) -> Result<u64, DbErr> {
    let result = Entity::update_many()
        .set(ActiveModel {
            message: Set(None),
            ..Default::default()
        })
        .filter(Column::State.is_in([DeliveryState::Dead, DeliveryState::Unknown]))
        .filter(Column::CreatedAt.lt(now.minus(MESSAGE_TTL)))
        .filter(Column::Message.is_not_null())
        .exec(connection)
        .await?;
    Ok(result.rows_affected)
}
