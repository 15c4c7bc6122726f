//! What holds deliveries back: a server that asked for time, or an operator. In the database, so that every process keeps to it.

use std::time::Duration;

use marketlake_entities::records::brakes::{ActiveModel, Column, Entity, Model};
use marketlake_entities::{Millis, backoff};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, Set};

/// The brake that holds everything: the operator's switch.
const EVERYTHING: &str = "all";
/// The brake of the mail server.
const MAIL: &str = "mail";
const NEVER: Millis = Millis(i64::MAX);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Stops all deliveries until [`release`]d; nothing is lost by it.
///
/// # Errors
/// Where the database fails.
pub async fn brake(
    connection: &impl ConnectionTrait,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    set(connection, EVERYTHING, NEVER, 0, reason, now).await
}

/// Lets all deliveries go on. `false` where they were not stopped.
///
/// # Errors
/// Where the database fails.
pub async fn release(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let result = Entity::delete_by_id(EVERYTHING).exec(connection).await?;
    Ok(result.rows_affected == 1)
}

/// What holds deliveries back at a time.
///
/// # Errors
/// Where the database fails.
pub async fn brakes(connection: &impl ConnectionTrait, now: Millis) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::Until.gt(now))
        .order_by_asc(Column::Name)
        .all(connection)
        .await
}

/// The mail server asked for time: each time in a row for longer.
pub(super) async fn slow(
    connection: &impl ConnectionTrait,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    let row = Entity::find_by_id(MAIL).one(connection).await?;
    if row.as_ref().is_some_and(|row| row.until > now) {
        // Another connection heard the same: it counts once.
        return Ok(());
    }
    let failures = row.map_or(0, |row| row.failures).saturating_add(1);
    let count = u32::try_from(failures).unwrap_or(1);
    let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, count, rand::random());
    set(connection, MAIL, now.plus(pause), failures, reason, now).await
}

/// Whether the mail server asked for time, and has not taken a mail since.
pub(super) async fn is_slowed(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(MAIL).one(connection).await?.is_some())
}

/// The mail server took a mail: it is well again.
pub(super) async fn well(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    Entity::delete_by_id(MAIL).exec(connection).await?;
    Ok(())
}

async fn set(
    connection: &impl ConnectionTrait,
    name: &str,
    until: Millis,
    failures: i32,
    reason: &str,
    now: Millis,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        name: Set(name.to_owned()),
        until: Set(until),
        failures: Set(failures),
        reason: Set(reason.chars().take(500).collect()),
        set_at: Set(now),
    };
    let again = OnConflict::column(Column::Name)
        .update_columns([
            Column::Until,
            Column::Failures,
            Column::Reason,
            Column::SetAt,
        ])
        .to_owned();
    Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
