//! From pending to unsubscribed. Each step is one transaction: the row, and the event that tells of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketlake_common::excerpt;
use marketlake_entities::database;
use marketlake_entities::records::subscription_events;
use marketlake_entities::records::subscriptions::{ActiveModel, Channel, Column, Entity, State};
use marketlake_model::Millis;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, NotSet,
    PaginatorTrait, QueryFilter, Set,
};
use uuid::Uuid;

use super::Subscription;
use super::access::Whose;
use super::input::{NewSubscription, Wanted};
use crate::error::{AlertError, FieldError};
use crate::queue::suppression_list;

/// The most subscriptions in force of one address.
pub(super) const MOST_OF_ADDRESS: u64 = 50;

/// One step of a subscription's life.
#[derive(Clone, Debug)]
pub enum Change {
    /// Its owner says yes; pending becomes active. Said again it changes nothing.
    Confirm,
    /// Nothing is judged until it is resumed.
    Pause,
    /// It is judged again.
    Resume,
    /// It is judged without a word until then.
    Snooze(Millis),
    /// Another rule, pattern or zone; who owns it and how it travels stay.
    Edit(Box<NewSubscription>),
    /// It ends, for a reason in a few words.
    Unsubscribe(&'static str),
    /// It ends for good, for a reason that was not its owner's wish.
    End(String),
    /// Its last day or mail is over.
    Expire(String),
    /// Its address does not take mail.
    Suspend(String),
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeError {
    /// There is none of that id, or it has ended.
    #[error("no subscription {0:?} is in force")]
    Unknown(String),
    /// It is in another state than that step begins in.
    #[error("expected a subscription that is {expected}, this one is {state}")]
    Not {
        /// In which states the step begins.
        expected: &'static str,
        /// The state that it is in.
        state: &'static str,
    },
    /// The address has as many as it may.
    #[error(
        "expected at most {MOST_OF_ADDRESS} subscriptions of an address; end another one first"
    )]
    TooMany,
    /// The new rule is no rule.
    #[error("{}", .0.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; "))]
    Fields(Vec<FieldError>),
}

impl Subscription {
    /// Makes a subscription that needs no confirmation: by an operator, for the demo.
    ///
    /// # Errors
    /// Where the database fails. Wrong fields are the inner error; nothing is written then.
    pub async fn create(
        database: &DatabaseConnection,
        new: &NewSubscription,
        now: Millis,
    ) -> Result<Result<Self, Vec<FieldError>>, AlertError> {
        let wanted = match new.check() {
            Ok(wanted) => wanted,
            Err(errors) => return Ok(Err(errors)),
        };
        let transaction = database::begin_write(database).await?;
        let fresh = row(&wanted, State::Active, now);
        let made = insert(&transaction, &wanted, fresh, now).await?;
        transaction.commit().await?;
        Ok(Ok(made))
    }

    /// Takes a step, in a transaction of its own.
    ///
    /// # Errors
    /// Where the database fails. A step that cannot be taken is the inner error; nothing is written then.
    pub async fn change(
        database: &DatabaseConnection,
        id: &str,
        whose: Whose<'_>,
        change: &Change,
        now: Millis,
    ) -> Result<Result<Self, LifeError>, AlertError> {
        let transaction = database::begin_write(database).await?;
        let done = change_of(&transaction, id, whose, change, now).await?;
        if done.is_ok() {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(done)
    }
}

/// Writes a new subscription and the first event of its life.
pub(super) async fn insert(
    connection: &impl ConnectionTrait,
    wanted: &Wanted,
    fresh: ActiveModel,
    now: Millis,
) -> Result<Subscription, AlertError> {
    let row = fresh.insert(connection).await?;
    let detail = format!("{}: {}", row.pattern, wanted.rule.in_words());
    note(connection, &row.id, "created", detail, now).await?;
    Subscription::from_row(row)
}

/// A new row, not written yet.
pub(super) fn row(wanted: &Wanted, state: State, now: Millis) -> ActiveModel {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let jump = wanted.rule.jump;
    let secret = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    ActiveModel {
        id: Set(Uuid::new_v4().to_string()),
        state: Set(state),
        pattern: Set(wanted.pattern.to_string()),
        factor: Set(jump.factor.to_string()),
        window_minutes: Set(count(jump.window)),
        min_samples: Set(count(jump.min_samples)),
        address: Set(wanted.address.clone()),
        created_at: Set(now),
        deleted_at: Set(None),
        revision: Set(1),
        rule: Set(Some(wanted.rule.to_json())),
        channel: Set(wanted.channel),
        endpoint: Set(wanted.endpoint.clone()),
        secret: Set((wanted.channel != Channel::Mail).then(secret)),
        time_zone: Set(wanted.time_zone.name().to_owned()),
        source: Set(None),
        confirmed_at: Set((state == State::Active).then_some(now)),
        muted_until: Set(None),
        reason: Set(None),
        owner: Set(None),
    }
}

/// Takes a step within the caller's transaction.
pub(crate) async fn change_in(
    connection: &impl ConnectionTrait,
    id: &str,
    change: &Change,
    now: Millis,
) -> Result<Result<Subscription, LifeError>, AlertError> {
    change_of(connection, id, Whose::Anybodys, change, now).await
}

async fn change_of(
    connection: &impl ConnectionTrait,
    id: &str,
    whose: Whose<'_>,
    change: &Change,
    now: Millis,
) -> Result<Result<Subscription, LifeError>, AlertError> {
    let one = Entity::find_by_id(id).filter(whose.condition());
    let row = one.one(connection).await?;
    let Some(row) = row.filter(|row| row.state != State::Deleted) else {
        return Ok(Err(LifeError::Unknown(excerpt(id).into_owned())));
    };
    let revision = row.revision;
    let was = row.state;
    let address = row.address.clone();
    let before = Subscription::from_row(row)?;
    let planned = match plan(change, &before, now) {
        Ok(Some(planned)) => planned,
        Ok(None) => return Ok(Ok(before)),
        Err(error) => return Ok(Err(error)),
    };
    if matches!(change, Change::Confirm) {
        if in_force(connection, &address).await? >= MOST_OF_ADDRESS {
            return Ok(Err(LifeError::TooMany));
        }
        // Who confirms a link that was mailed there shows that the address takes mail.
        suppression_list::lift(connection, &address).await?;
    }
    let (mut update, kind, detail) = planned;
    update.revision = Set(revision + 1);
    let result = Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(was))
        .filter(Column::Revision.eq(revision))
        .exec(connection)
        .await?;
    if result.rows_affected != 1 {
        return Err(DbErr::RecordNotUpdated.into());
    }
    note(connection, id, kind, detail, now).await?;
    let after = Subscription::find(connection, id).await?;
    Ok(after.ok_or_else(|| LifeError::Unknown(id.to_owned())))
}

type Planned = (ActiveModel, &'static str, String);

/// What a step writes; `None` where all is so already.
fn plan(change: &Change, before: &Subscription, now: Millis) -> Result<Option<Planned>, LifeError> {
    let only = |states: &[State], expected| {
        let state = in_words(before.state);
        let fits = states.contains(&before.state);
        fits.then_some(()).ok_or(LifeError::Not { expected, state })
    };
    let to = |state| ActiveModel {
        state: Set(state),
        reason: Set(None),
        ..Default::default()
    };
    let ended = |state, reason: &String| ActiveModel {
        reason: Set(Some(reason.clone())),
        ..to(state)
    };
    let (update, kind, detail) = match change {
        Change::Confirm if before.state == State::Active => return Ok(None),
        Change::Pause if before.state == State::Paused => return Ok(None),
        Change::Resume if before.state == State::Active && before.judged.muted_until.is_none() => {
            return Ok(None);
        }
        Change::Confirm => {
            only(&[State::Pending, State::Suspended], "pending")?;
            let update = ActiveModel {
                confirmed_at: Set(Some(now)),
                source: Set(None),
                ..to(State::Active)
            };
            (update, "confirmed", "by the link in the mail".to_owned())
        }
        Change::Pause => {
            only(&[State::Active], "active")?;
            (to(State::Paused), "paused", String::new())
        }
        Change::Resume if before.state == State::Active => {
            let update = ActiveModel {
                muted_until: Set(None),
                ..to(State::Active)
            };
            (update, "resumed", "no longer snoozed".to_owned())
        }
        Change::Resume => {
            only(&[State::Paused], "active or paused")?;
            (to(State::Active), "resumed", String::new())
        }
        Change::Snooze(until) => {
            only(&[State::Active], "active")?;
            let update = ActiveModel {
                muted_until: Set(Some(*until)),
                ..to(State::Active)
            };
            (update, "snoozed", format!("until {until}"))
        }
        Change::Unsubscribe(reason) => {
            let update = ActiveModel {
                deleted_at: Set(Some(now)),
                ..to(State::Deleted)
            };
            (update, "unsubscribed", (*reason).to_owned())
        }
        Change::End(reason) => {
            let update = ActiveModel {
                deleted_at: Set(Some(now)),
                ..ended(State::Deleted, reason)
            };
            (update, "ended", reason.clone())
        }
        Change::Expire(reason) => (ended(State::Expired, reason), "expired", reason.clone()),
        Change::Suspend(reason) => (ended(State::Suspended, reason), "suspended", reason.clone()),
        Change::Edit(new) => edit(new, before)?,
    };
    Ok(Some((update, kind, detail)))
}

fn edit(new: &NewSubscription, before: &Subscription) -> Result<Planned, LifeError> {
    let mut new = new.clone();
    new.address.clone_from(&before.address);
    new.channel = None;
    new.endpoint = None;
    let wanted = new.check().map_err(LifeError::Fields)?;
    if before.state == State::Suspended {
        return Err(LifeError::Not {
            expected: "pending, active, paused or expired",
            state: in_words(before.state),
        });
    }
    let fresh = row(&wanted, State::Active, before.created_at);
    let update = ActiveModel {
        pattern: fresh.pattern,
        factor: fresh.factor,
        window_minutes: fresh.window_minutes,
        min_samples: fresh.min_samples,
        rule: fresh.rule,
        time_zone: fresh.time_zone,
        // A new last day brings an expired one back.
        state: Set(match before.state {
            State::Expired => State::Active,
            state => state,
        }),
        reason: Set(None),
        ..Default::default()
    };
    let detail = format!("{}: {}", wanted.pattern, wanted.rule.in_words());
    Ok((update, "edited", detail))
}

/// How many subscriptions of an address are judged, or would be but for a pause.
pub(super) async fn in_force(
    connection: &impl ConnectionTrait,
    address: &str,
) -> Result<u64, DbErr> {
    count(connection, address, &[State::Active, State::Paused]).await
}

/// How many subscriptions of an address are in some states.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    address: &str,
    states: &[State],
) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Address.eq(address))
        .filter(Column::State.is_in(states.iter().copied()))
        .count(connection)
        .await
}

async fn note(
    connection: &impl ConnectionTrait,
    id: &str,
    kind: &str,
    detail: String,
    now: Millis,
) -> Result<(), DbErr> {
    let event = subscription_events::ActiveModel {
        id: NotSet,
        subscription_id: Set(id.to_owned()),
        kind: Set(kind.to_owned()),
        detail: Set(detail),
        created_at: Set(now),
    };
    subscription_events::Entity::insert(event)
        .exec_without_returning(connection)
        .await?;
    Ok(())
}

/// A state in a word, as its owner sees it.
#[must_use]
pub fn in_words(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Active => "active",
        State::Paused => "paused",
        State::Suspended => "suspended",
        State::Expired => "expired",
        State::Deleted => "unsubscribed",
    }
}
