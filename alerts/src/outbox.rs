//! Hands deliveries out, each to one worker at a time, and records what came of them.
//!
//! A delivery found in `sending` after its lease belongs to a worker that died: whether its mail left is unknown,
//! so it is tried once more under the same Message-ID, and counted.

use std::time::Duration;

use lettre::message::Mailbox;
use marketlake_entities::records::deliveries::{ActiveModel, Column, Entity, Model, State};
use marketlake_entities::records::{alerts, subscriptions};
use marketlake_entities::{Millis, backoff, database};
use metrics::counter;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait,
    FromQueryResult, QueryFilter, Set, Statement,
};

use crate::{AlertError, Channel, Mail, Sending};

/// Longer than any channel's patience.
const LEASE: Duration = Duration::from_secs(90);
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// A jump is stale news after so long.
const STALE: Duration = Duration::from_secs(6 * 3_600);
/// A delivery whose outcome is unknown is tried this often in all.
const UNKNOWN_ATTEMPTS: i32 = 2;
const NEVER: Millis = Millis(i64::MAX);

/// What a round of sending did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Taken by the channel.
    pub sent: u64,
    /// To be tried again.
    pub retry: u64,
    /// Given up.
    pub dead: u64,
    /// Nobody can know.
    pub unknown: u64,
}

/// Whether any delivery waits to be sent now.
///
/// # Errors
/// Where the database fails.
pub async fn is_due(database: &DatabaseConnection) -> Result<bool, AlertError> {
    let backend = database.get_database_backend();
    let sql = format!(
        "select id from deliveries where {} limit 1",
        due_sql(backend)
    );
    Ok(database
        .query_one_raw(Statement::from_string(backend, sql))
        .await?
        .is_some())
}

/// Sends all that is due, one after the other, until nothing is or `stop` says so.
///
/// # Errors
/// Where the database fails; what was sent and recorded until then stays so.
pub async fn send_due(
    database: &DatabaseConnection,
    channel: &dyn Channel,
    from: &Mailbox,
    stop: impl Fn() -> bool,
) -> Result<Round, AlertError> {
    let mut round = Round::default();
    while !stop() {
        let Some(delivery) = claim(database).await? else {
            break;
        };
        let sending = match read(database, from, &delivery).await {
            Ok(mail) => channel.send(&mail).await,
            Err(AlertError::Corrupt { reason, .. }) => Sending::Dead(reason),
            Err(error) => return Err(error),
        };
        finish(database, &delivery, sending, &mut round).await?;
    }
    Ok(round)
}

fn due_sql(backend: DbBackend) -> String {
    let clock = database::clock_sql(backend);
    format!(
        "((state in ('pending', 'retry', 'unknown') and not_before <= {clock}) \
         or (state = 'sending' and lease_until < {clock}))"
    )
}

/// Takes the oldest due delivery, by the database's clock.
async fn claim(database: &DatabaseConnection) -> Result<Option<Model>, AlertError> {
    let backend = database.get_database_backend();
    let skip = database::skip_locked_sql(backend);
    let sql = format!(
        "update deliveries set state = 'sending', token = token + 1, attempts = attempts + 1, lease_until = {clock} + {lease} \
         where id = (select id from deliveries where {due} order by created_at, id limit 1 {skip}) returning *",
        clock = database::clock_sql(backend),
        lease = LEASE.as_millis(),
        due = due_sql(backend),
    );
    let row = database
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    row.map(|row| Model::from_query_result(&row, ""))
        .transpose()
        .map_err(AlertError::from)
}

async fn read(
    database: &DatabaseConnection,
    from: &Mailbox,
    delivery: &Model,
) -> Result<Mail, AlertError> {
    let gone = |table: &'static str, id: &str| AlertError::Corrupt {
        table,
        id: id.to_owned(),
        reason: "not there".to_owned(),
    };
    let alert = alerts::Entity::find_by_id(delivery.alert_id.clone())
        .one(database)
        .await?
        .ok_or_else(|| gone("alerts", &delivery.alert_id))?;
    let subscription = subscriptions::Entity::find_by_id(alert.subscription_id.clone())
        .one(database)
        .await?
        .ok_or_else(|| gone("subscriptions", &alert.subscription_id))?;
    Mail::write(from, delivery, &alert, &subscription)
}

async fn finish(
    database: &DatabaseConnection,
    delivery: &Model,
    sending: Sending,
    round: &mut Round,
) -> Result<(), DbErr> {
    let now = database::clock(database).await?;
    let stale = now > delivery.created_at.plus(STALE);
    let (state, not_before, error) = match sending {
        Sending::Sent => (State::Sent, NEVER, None),
        Sending::Retry(reason) if stale => (
            State::Dead,
            NEVER,
            Some(format!("given up as stale news: {reason}")),
        ),
        Sending::Retry(reason) => (
            State::Retry,
            now.plus(pause(delivery.attempts)),
            Some(reason),
        ),
        Sending::Dead(reason) => (State::Dead, NEVER, Some(reason)),
        Sending::Unknown(reason) if delivery.attempts < UNKNOWN_ATTEMPTS => (
            State::Unknown,
            now.plus(pause(delivery.attempts)),
            Some(reason),
        ),
        Sending::Unknown(reason) => (State::Unknown, NEVER, Some(reason)),
    };
    let (count, word) = match state {
        State::Sent => (&mut round.sent, "sent"),
        State::Retry => (&mut round.retry, "retry"),
        State::Dead => (&mut round.dead, "dead"),
        _ => (&mut round.unknown, "unknown"),
    };
    *count += 1;
    counter!("marketlake_deliveries_total", "outcome" => word).increment(1);
    if let Some(error) = &error {
        tracing::warn!(
            delivery = delivery.id,
            outcome = word,
            error,
            "mail not sent"
        );
    }
    let ended = matches!(state, State::Sent | State::Dead);
    let result = Entity::update_many()
        .set(ActiveModel {
            state: Set(state),
            not_before: Set(not_before),
            lease_until: Set(None),
            error: Set(error),
            finished_at: Set(ended.then_some(now)),
            ..Default::default()
        })
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .exec(database)
        .await?;
    if result.rows_affected == 0 {
        tracing::warn!(
            delivery = delivery.id,
            "the lease ran out while the mail was being sent"
        );
    }
    Ok(())
}

fn pause(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(FIRST_PAUSE, LONGEST_PAUSE, failed, rand::random())
}
