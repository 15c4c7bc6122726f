//! Whose subscriptions somebody may see and change. The filter is in the SQL: another's id answers as one that never was.

use marketlake_entities::records::subscriptions::{Column, Entity, State};
use sea_orm::sea_query::Condition;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::Subscription;
use crate::error::AlertError;

/// Whose subscriptions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// Anybody's: for operators.
    Anybodys,
    /// Those of a mail address, which holds a link that was mailed there.
    Address(&'a str),
    /// Those that were asked for with a key, or by a user of an identity provider.
    Owner(&'a str),
}

impl Whose<'_> {
    pub(super) fn condition(self) -> Condition {
        match self {
            Self::Anybodys => Condition::all(),
            Self::Address(address) => Condition::all().add(Column::Address.eq(address)),
            Self::Owner(owner) => Condition::all().add(Column::Owner.eq(owner)),
        }
    }
}

impl Subscription {
    /// All of them but those that have ended, oldest first.
    ///
    /// # Errors
    /// Where the database fails or holds what no code of ours writes.
    pub async fn of(
        connection: &impl ConnectionTrait,
        whose: Whose<'_>,
    ) -> Result<Vec<Self>, AlertError> {
        let rows = Entity::find()
            .filter(whose.condition())
            .filter(Column::State.ne(State::Deleted))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(connection)
            .await?;
        rows.into_iter().map(Self::from_row).collect()
    }

    /// One of them, unless it has ended.
    ///
    /// # Errors
    /// Where the database fails or holds what no code of ours writes.
    pub async fn find_of(
        connection: &impl ConnectionTrait,
        id: &str,
        whose: Whose<'_>,
    ) -> Result<Option<Self>, AlertError> {
        let row = Entity::find_by_id(id)
            .filter(whose.condition())
            .filter(Column::State.ne(State::Deleted))
            .one(connection)
            .await?;
        row.map(Self::from_row).transpose()
    }
}
