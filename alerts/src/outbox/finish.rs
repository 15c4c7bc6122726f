//! What becomes of a delivery after an attempt.

use std::time::Duration;

use marketlake_entities::records::deliveries::{ActiveModel, Column, Entity, Kind, Model, State};
use marketlake_entities::{Millis, backoff, database};
use metrics::counter;
use sea_orm::{ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, Set};

use super::{Round, brakes};
use crate::Sending;
use crate::subscription::{Channel, masked};

const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// A jump is stale news after so long.
const STALE_JUMP: Duration = Duration::from_secs(6 * 3_600);
/// Anything else is after so long.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// A receiver that broke off twice after the bytes went over is not tried again.
const BROKEN_OFF: i32 = 2;
/// Workers of ours that died so often while they handed the same bytes over are enough.
pub(super) const MOST_UNKNOWN: i32 = 5;
const NEVER: Millis = Millis(i64::MAX);

/// Records what came of an attempt.
pub(super) async fn finish(
    database: &DatabaseConnection,
    delivery: &Model,
    sending: Sending,
    bytes: Option<&[u8]>,
    round: &mut Round,
) -> Result<(), DbErr> {
    let now = database::clock(database).await?;
    if let (Sending::Slow(reason), Channel::Mail) = (&sending, delivery.channel) {
        brakes::slow(database, reason, now).await?;
    }
    let end = decide(delivery, sending, now);
    record(database, delivery, end, bytes, now, round).await
}

/// Records that a delivery was handed over too often by workers that died: nobody will know.
pub(super) async fn give_up(
    database: &DatabaseConnection,
    delivery: &Model,
    round: &mut Round,
) -> Result<(), DbErr> {
    let now = database::clock(database).await?;
    let end = End {
        state: State::Unknown,
        not_before: NEVER,
        unknowns: delivery.unknowns,
        error: Some("the process died each time while it was handed over".to_owned()),
    };
    record(database, delivery, end, None, now, round).await
}

async fn record(
    database: &DatabaseConnection,
    delivery: &Model,
    end: End,
    bytes: Option<&[u8]>,
    now: Millis,
    round: &mut Round,
) -> Result<(), DbErr> {
    let word = round.count(end.state);
    counter!("marketlake_deliveries_total", "outcome" => word).increment(1);
    if let Some(error) = &end.error {
        let to = masked(&delivery.address);
        tracing::warn!(
            delivery = delivery.id,
            to,
            outcome = word,
            error,
            "not sent"
        );
    }
    let ended = matches!(end.state, State::Sent | State::Dead);
    let mut update = ActiveModel {
        state: Set(end.state),
        not_before: Set(end.not_before),
        unknowns: Set(end.unknowns),
        handed_at: Set(None),
        lease_until: Set(None),
        error: Set(end.error),
        finished_at: Set(ended.then_some(now)),
        ..Default::default()
    };
    match end.state {
        State::Sent => update.message = Set(None),
        _ if bytes.is_some() => update.message = Set(bytes.map(<[u8]>::to_vec)),
        _ => (),
    }
    let result = Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .exec(database)
        .await?;
    if result.rows_affected == 0 {
        tracing::warn!(
            delivery = delivery.id,
            "the lease ran out while it was being sent"
        );
    }
    Ok(())
}

struct End {
    state: State,
    not_before: Millis,
    unknowns: i32,
    error: Option<String>,
}

fn decide(delivery: &Model, sending: Sending, now: Millis) -> End {
    let life = match delivery.kind {
        Kind::Alert | Kind::Digest => STALE_JUMP,
        _ => STALE,
    };
    let stale = now > delivery.created_at.plus(life);
    let end = |state, not_before, error| End {
        state,
        not_before,
        unknowns: delivery.unknowns,
        error,
    };
    match sending {
        Sending::Sent => end(State::Sent, NEVER, None),
        Sending::Retry(reason) | Sending::Slow(reason) if stale => {
            let reason = format!("given up as stale news: {reason}");
            end(State::Dead, NEVER, Some(reason))
        }
        Sending::Retry(reason) | Sending::Slow(reason) => end(
            State::Retry,
            now.plus(pause(delivery.attempts)),
            Some(reason),
        ),
        Sending::Dead(reason) => end(State::Dead, NEVER, Some(reason)),
        Sending::Unknown(reason) => {
            let unknowns = delivery.unknowns + 1;
            let not_before = if unknowns < BROKEN_OFF && !stale {
                now.plus(pause(delivery.attempts))
            } else {
                NEVER
            };
            End {
                state: State::Unknown,
                not_before,
                unknowns,
                error: Some(reason),
            }
        }
    }
}

fn pause(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(FIRST_PAUSE, LONGEST_PAUSE, failed, rand::random())
}
