//! Limits queries to the subscriptions that a requester may see and change. The filter is in the
//! SQL: a foreign id is answered like one that does not exist.

use marketlake_entities::records::subscriptions::{Column, Entity, SubscriptionState};
use sea_orm::sea_query::Condition;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::Subscription;
use crate::error::AlertError;

/// Subscriptions that a requester may access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// All subscriptions: for operators.
    All,
    /// Those of a mail address, which holds a link that was mailed there.
    Address(&'a str),
    /// Those that were requested with a key, or by a user of an identity provider.
    Owner(&'a str),
}

impl Access<'_> {
    pub(super) fn condition(self) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Address(address) => Condition::all().add(Column::Address.eq(address)),
            Self::Owner(owner) => Condition::all().add(Column::Owner.eq(owner)),
        }
    }
}

impl Subscription {
    /// All of them but those that have ended, oldest first.
    ///
    /// # Errors
    /// If the database fails or holds what no code of ours writes.
    pub async fn of(
        connection: &impl ConnectionTrait,
        access: Access<'_>,
    ) -> Result<Vec<Self>, AlertError> {
        let rows = Entity::find()
            .filter(access.condition())
            .filter(Column::State.ne(SubscriptionState::Deleted))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(connection)
            .await?;
        rows.into_iter().map(Self::from_row).collect()
    }

    /// One of them, unless it has ended.
    ///
    /// # Errors
    /// If the database fails or holds what no code of ours writes.
    pub async fn find_of(
        connection: &impl ConnectionTrait,
        id: &str,
        access: Access<'_>,
    ) -> Result<Option<Self>, AlertError> {
        let row = Entity::find_by_id(id)
            .filter(access.condition())
            .filter(Column::State.ne(SubscriptionState::Deleted))
            .one(connection)
            .await?;
        row.map(Self::from_row).transpose()
    }
}
