//! Suppression list: addresses that bounce or complained.

use marketlake_entities::records::suppressions::{ActiveModel, Column, Entity, SuppressionState};
use marketlake_model::Millis;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, Set};

/// Whether the owner of an address called a mail of ours spam.
pub(crate) async fn complained(
    connection: &impl ConnectionTrait,
    address: &str,
) -> Result<bool, DbErr> {
    let row = Entity::find_by_id(address).one(connection).await?;
    Ok(row.is_some_and(|row| row.state == SuppressionState::Complained))
}

/// Remembers what an address is; a complaint is never forgotten for less.
pub(crate) async fn remember(
    connection: &impl ConnectionTrait,
    address: &str,
    state: SuppressionState,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    if state == SuppressionState::Suspended && complained(connection, address).await? {
        return Ok(());
    }
    let row = ActiveModel {
        address: Set(address.to_owned()),
        state: Set(state),
        reason: Set(reason.to_owned()),
        since: Set(now),
    };
    let again = OnConflict::column(Column::Address)
        .update_columns([Column::State, Column::Reason, Column::Since])
        .to_owned();
    Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// Forgets that an address did not take mail: its owner has just followed a link that was mailed
/// there.
pub(crate) async fn lift(connection: &impl ConnectionTrait, address: &str) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::Address.eq(address))
        .filter(Column::State.eq(SuppressionState::Suspended))
        .exec(connection)
        .await?;
    Ok(())
}
