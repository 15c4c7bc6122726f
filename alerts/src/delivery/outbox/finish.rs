//! Records the outcome of an attempt, and schedules the next one.

use std::time::Duration;

use marketlake_common::backoff;
use marketlake_entities::records::deliveries::{ActiveModel, Column, DeliveryState, Entity, Model};
use marketlake_entities::{Clock, database};
use marketlake_model::Millis;
use metrics::counter;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, Set,
};

use super::outliers::Outliers;
use super::throttle::{Cause, Key, Throttles, is_outage};
use super::{SendCounts, gone};
use crate::address::masked;
use crate::delivery::channels::{OutgoingMessage, SendOutcome, ThrottleScope};
use crate::error::AlertError;
use crate::queue::lane::Lane;

const INITIAL_BACKOFF: Duration = Duration::from_secs(30);
const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
/// Pauses of a delivery that failed for a reason that concerns others too: its throttle holds it
/// back besides.
const INITIAL_SHARED_BACKOFF: Duration = Duration::from_secs(4);
const MAX_SHARED_BACKOFF: Duration = Duration::from_secs(60);
/// Longest pause of a server that takes connections and no mail: a probe is cheap, and only the
/// receivers that were tried may be affected.
const MAX_AMBIGUOUS_BACKOFF: Duration = Duration::from_secs(5);
/// A receiver that broke off twice after the bytes went over is not tried again.
const MAX_BROKEN_TRANSFERS: i32 = 2;
/// Number of our workers that died handing over the same bytes after which it is given up.
pub(super) const MAX_UNKNOWN_ATTEMPTS: i32 = 5;
pub(super) const NEVER: Millis = Millis(i64::MAX);

/// A delivery that was tried, with its bytes, where they could be made.
#[derive(Clone, Copy)]
pub(super) struct Tried<'a> {
    pub(super) delivery: &'a Model,
    pub(super) message: Option<&'a OutgoingMessage>,
}

/// Records what came of an attempt. Returns what is to be left alone for a while.
pub(super) async fn finish(
    database: &DatabaseConnection,
    clock: &Clock,
    tried: Tried<'_>,
    sending: SendOutcome,
    throttles: &Throttles,
    counts: &mut SendCounts,
) -> Result<Option<Key>, AlertError> {
    let now = clock.now(database).await?;
    let delivery = tried.delivery;
    let well: &[ThrottleScope] = match sending {
        SendOutcome::Sent => &[
            ThrottleScope::Channel,
            ThrottleScope::Destination,
            ThrottleScope::Address,
        ],
        // A server that refuses a recipient has accepted the sender: the server itself is well.
        SendOutcome::Throttled { .. } => &[ThrottleScope::Channel],
        _ => &[],
    };
    match sending {
        SendOutcome::Sent => throttles.outliers.succeed(delivery),
        SendOutcome::Throttled { .. } => throttles.outliers.answer(delivery),
        _ => (),
    }
    throttles.clear(database, delivery, well).await?;
    let throttled = match cause(delivery, &sending, &throttles.outliers) {
        Some(cause) => Some(throttles.set(database, delivery, &cause, now).await?),
        None => None,
    };
    let is_outage = throttled.as_ref().is_some_and(|key| is_outage(key.0));
    let is_gone = matches!(sending, SendOutcome::Gone(_));
    let end = decide(delivery, sending, now);
    let reason = end.error.clone().unwrap_or_default();
    if is_gone {
        let transaction = database::begin_write(database).await?;
        record(&transaction, tried, end, now, counts, is_outage).await?;
        gone::end(&transaction, delivery, &reason, now).await?;
        transaction.commit().await?;
    } else {
        let dead = end.state == DeliveryState::Dead;
        record(database, tried, end, now, counts, is_outage).await?;
        if dead {
            gone::suspend_if_refused(database, delivery, &reason, now).await?;
        }
    }
    Ok(throttled)
}

/// Records that it stays unknown whether a delivery arrived, and why it is not tried again.
pub(super) async fn give_up(
    database: &DatabaseConnection,
    clock: &Clock,
    delivery: &Model,
    reason: String,
    counts: &mut SendCounts,
) -> Result<(), AlertError> {
    let now = clock.now(database).await?;
    let end = End {
        state: DeliveryState::Unknown,
        not_before: NEVER,
        unknowns: delivery.unknowns,
        error: Some(reason),
    };
    let tried = Tried {
        delivery,
        message: None,
    };
    record(database, tried, end, now, counts, false).await?;
    Ok(())
}

/// Puts a delivery off whose attempt panicked before its bytes went over. One that panicked later
/// may have arrived: its lease runs out, and that is counted.
pub(super) async fn put_off(
    database: &DatabaseConnection,
    clock: &Clock,
    delivery: &Model,
    words: &str,
) -> Result<(), AlertError> {
    let now = clock.now(database).await?;
    let update = ActiveModel {
        state: Set(DeliveryState::Retry),
        not_before: Set(now.plus(max_backoff(delivery.attempts))),
        lease_until: Set(None),
        error: Set(Some(format!("the attempt panicked: {words}"))),
        ..Default::default()
    };
    Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .filter(Column::State.eq(DeliveryState::Sending))
        .filter(Column::TransmitStartedAt.is_null())
        .exec(database)
        .await?;
    Ok(())
}

/// Throttle that an outcome calls for, if it concerns more than the delivery itself.
fn cause(delivery: &Model, sending: &SendOutcome, outliers: &Outliers) -> Option<Cause> {
    let lane = Lane::of(delivery.channel);
    let mut max_backoff = None;
    let (scope, reason, retry_after) = match sending {
        SendOutcome::Unavailable(reason) => (ThrottleScope::Channel, reason, None),
        SendOutcome::Throttled {
            scope: ThrottleScope::Destination,
            reason,
            retry_after,
        } => (outliers.fail(delivery), reason, *retry_after),
        SendOutcome::Throttled {
            scope,
            reason,
            retry_after,
        } => (*scope, reason, *retry_after),
        // A mail server that broke off or is mute may do so to every mail, a receiver of webhooks
        // to all of its own.
        SendOutcome::Ambiguous(reason) | SendOutcome::Unknown(reason) if lane == Lane::Mail => {
            let scope = outliers.fail_at_server(delivery);
            max_backoff = (scope == ThrottleScope::Channel).then_some(MAX_AMBIGUOUS_BACKOFF);
            (scope, reason, None)
        }
        SendOutcome::Ambiguous(reason) | SendOutcome::Unknown(reason) => {
            (outliers.fail(delivery), reason, None)
        }
        _ => return None,
    };
    Some(Cause {
        scope,
        reason: reason.clone(),
        retry_after,
        max_backoff,
    })
}

async fn record(
    connection: &impl ConnectionTrait,
    tried: Tried<'_>,
    end: End,
    now: Millis,
    counts: &mut SendCounts,
    is_outage: bool,
) -> Result<(), DbErr> {
    let Tried { delivery, message } = tried;
    let (state, error) = (end.state, end.error.clone());
    let ended = matches!(state, DeliveryState::Sent | DeliveryState::Dead);
    let mut update = ActiveModel {
        state: Set(end.state),
        not_before: Set(end.not_before),
        unknowns: Set(end.unknowns),
        transmit_started_at: Set(None),
        lease_until: Set(None),
        error: Set(end.error),
        finished_at: Set(ended.then_some(now)),
        ..Default::default()
    };
    if let Some(message) = message {
        update.message_id = Set(Some(message.message_id.clone()));
        update.message = Set(Some(message.bytes.to_vec()));
    }
    if end.state == DeliveryState::Sent {
        update.message = Set(None);
    }
    let result = Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(delivery.id.as_str()))
        .filter(Column::Token.eq(delivery.token))
        .exec(connection)
        .await?;
    let word = counts.count(state);
    let is_expired = error
        .as_deref()
        .is_some_and(|error| error.starts_with("expired: "));
    let outcome = if is_expired { "expired" } else { word };
    counter!("marketlake_deliveries_total", "outcome" => outcome).increment(1);
    if let Some(error) = error {
        let to = masked(&delivery.address);
        if is_outage {
            // Its throttle is logged: once when it begins, once when it ends.
            tracing::debug!(delivery = delivery.id, to, outcome, error, "not sent");
        } else {
            tracing::warn!(delivery = delivery.id, to, outcome, error, "not sent");
        }
    }
    if result.rows_affected == 0 {
        tracing::warn!(
            delivery = delivery.id,
            "the lease ran out while it was being sent"
        );
    }
    Ok(())
}

struct End {
    state: DeliveryState,
    not_before: Millis,
    unknowns: i32,
    error: Option<String>,
}

fn decide(delivery: &Model, sending: SendOutcome, now: Millis) -> End {
    let end = |state, not_before, error| End {
        state,
        not_before,
        unknowns: delivery.unknowns,
        error,
    };
    let own = || now.plus(pause(delivery.attempts));
    match sending {
        SendOutcome::Sent => end(DeliveryState::Sent, NEVER, None),
        SendOutcome::Retry(reason)
        | SendOutcome::Throttled {
            scope: ThrottleScope::Address,
            reason,
            ..
        } => end(DeliveryState::Retry, own(), Some(reason)),
        SendOutcome::Unavailable(reason)
        | SendOutcome::Ambiguous(reason)
        | SendOutcome::Throttled { reason, .. } => {
            let at = now.plus(shared_backoff(delivery.attempts));
            end(DeliveryState::Retry, at, Some(reason))
        }
        SendOutcome::Permanent(reason) | SendOutcome::Gone(reason) => {
            end(DeliveryState::Dead, NEVER, Some(reason))
        }
        SendOutcome::Unknown(reason) => {
            let unknowns = delivery.unknowns + 1;
            End {
                state: DeliveryState::Unknown,
                not_before: if unknowns < MAX_BROKEN_TRANSFERS {
                    own()
                } else {
                    NEVER
                },
                unknowns,
                error: Some(reason),
            }
        }
    }
}

fn pause(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, rand::random())
}

/// Longest pause of a delivery after a number of attempts.
pub(super) fn max_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    let own = backoff(INITIAL_BACKOFF, MAX_BACKOFF, failed, 1.0);
    own.max(backoff(
        INITIAL_SHARED_BACKOFF,
        MAX_SHARED_BACKOFF,
        failed,
        1.0,
    ))
}

fn shared_backoff(attempts: i32) -> Duration {
    let failed = u32::try_from(attempts).unwrap_or(1);
    let chance = 0.5 + rand::random::<f64>() / 2.0;
    backoff(INITIAL_SHARED_BACKOFF, MAX_SHARED_BACKOFF, failed, chance)
}
