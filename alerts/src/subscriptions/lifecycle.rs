//! Lifecycle of a subscription: each transition is one transaction of the row and its event.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketlake_common::excerpt;
use marketlake_entities::database;
use marketlake_entities::records::subscription_events;
use marketlake_entities::records::subscriptions::{
    ActiveModel, ChannelKind, Column, Entity, SubscriptionState,
};
use marketlake_model::Millis;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, NotSet,
    PaginatorTrait, QueryFilter, Set,
};
use uuid::Uuid;

use super::Subscription;
use super::access::Access;
use super::spec::{SubscriptionSpec, ValidSubscription};
use super::state_words::in_words;
use crate::error::{AlertError, FieldError};
use crate::queue::suppression_list;

/// The most subscriptions in force of one address.
pub(super) const MAX_SUBSCRIPTIONS_PER_ADDRESS: u64 = 50;

/// Transition of a subscription's lifecycle.
#[derive(Clone, Debug)]
pub enum Transition {
    /// The owner confirms: pending becomes active. A repetition changes nothing.
    Confirm,
    /// Nothing is evaluated until it is resumed.
    Pause,
    /// It is evaluated again.
    Resume,
    /// Snoozed: evaluated until then without a message.
    Snooze(Millis),
    /// Another rule, pattern or zone; owner and channel stay.
    Edit(Box<SubscriptionSpec>),
    /// It ends, for a reason in a few words.
    Unsubscribe(&'static str),
    /// It ends for good, for a reason that was not its owner's wish.
    End(String),
    /// Its last day or mail is over.
    Expire(String),
    /// Its address does not take mail.
    Suspend(String),
}

/// Error of a transition that is not possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    /// There is none of that id, or it has ended.
    #[error("no subscription {0:?} is in force")]
    Unknown(String),
    /// It is in another state than that step begins in.
    #[error("expected a subscription that is {expected}, this one is {state}")]
    Not {
        /// States in which the step begins.
        expected: &'static str,
        /// The state that it is in.
        state: &'static str,
    },
    /// The address has as many as it may.
    #[error(
        "expected at most {MAX_SUBSCRIPTIONS_PER_ADDRESS} subscriptions of an address; end \
         another one first"
    )]
    TooMany,
    /// The new rule is no rule.
    #[error("{}", listed(.0))]
    Fields(Vec<FieldError>),
}

/// Errors of fields in one line.
fn listed(errors: &[FieldError]) -> String {
    let errors: Vec<String> = errors.iter().map(FieldError::to_string).collect();
    errors.join("; ")
}

impl Subscription {
    /// Makes a subscription that needs no confirmation: by an operator, for the demo.
    ///
    /// # Errors
    /// If the database fails. Wrong fields are the inner error; nothing is written then.
    pub async fn create(
        database: &DatabaseConnection,
        new: &SubscriptionSpec,
        now: Millis,
    ) -> Result<Result<Self, Vec<FieldError>>, AlertError> {
        let valid = match new.check_at(now) {
            Ok(valid) => valid,
            Err(errors) => return Ok(Err(errors)),
        };
        let transaction = database::begin_write(database).await?;
        let fresh = row(&valid, SubscriptionState::Active, now);
        let made = insert(&transaction, &valid, fresh, now).await?;
        transaction.commit().await?;
        Ok(Ok(made))
    }

    /// Takes a step, in a transaction of its own.
    ///
    /// # Errors
    /// If the database fails. A step that cannot be taken is the inner error; nothing is written
    /// then.
    pub async fn change(
        database: &DatabaseConnection,
        id: &str,
        access: Access<'_>,
        change: &Transition,
        now: Millis,
    ) -> Result<Result<Self, LifecycleError>, AlertError> {
        let transaction = database::begin_write(database).await?;
        let done = apply_transition_of(&transaction, id, access, change, now).await?;
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
    valid: &ValidSubscription,
    fresh: ActiveModel,
    now: Millis,
) -> Result<Subscription, AlertError> {
    let row = fresh.insert(connection).await?;
    let detail = format!("{}: {}", row.pattern, valid.rule.in_words());
    note(connection, &row.id, "created", detail, now).await?;
    Subscription::from_row(row)
}

/// A new row, not written yet.
pub(super) fn row(valid: &ValidSubscription, state: SubscriptionState, now: Millis) -> ActiveModel {
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let jump = valid.rule.jump;
    let secret = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    ActiveModel {
        id: Set(Uuid::new_v4().to_string()),
        state: Set(state),
        pattern: Set(valid.pattern.to_string()),
        factor: Set(jump.factor.to_string()),
        window_minutes: Set(count(jump.window)),
        min_samples: Set(count(jump.min_samples)),
        address: Set(valid.address.clone()),
        created_at: Set(now),
        deleted_at: Set(None),
        revision: Set(1),
        rule: Set(Some(valid.rule.to_json())),
        channel: Set(valid.channel),
        endpoint: Set(valid.endpoint.clone()),
        secret: Set((valid.channel != ChannelKind::Mail).then(secret)),
        time_zone: Set(valid.time_zone.name().to_owned()),
        source: Set(None),
        confirmed_at: Set((state == SubscriptionState::Active).then_some(now)),
        muted_until: Set(None),
        reason: Set(None),
        owner: Set(None),
    }
}

/// Takes a step within the caller's transaction.
pub(crate) async fn apply_transition(
    connection: &impl ConnectionTrait,
    id: &str,
    change: &Transition,
    now: Millis,
) -> Result<Result<Subscription, LifecycleError>, AlertError> {
    apply_transition_of(connection, id, Access::All, change, now).await
}

async fn apply_transition_of(
    connection: &impl ConnectionTrait,
    id: &str,
    access: Access<'_>,
    change: &Transition,
    now: Millis,
) -> Result<Result<Subscription, LifecycleError>, AlertError> {
    let one = Entity::find_by_id(id).filter(access.condition());
    let row = one.one(connection).await?;
    let Some(row) = row.filter(|row| row.state != SubscriptionState::Deleted) else {
        return Ok(Err(LifecycleError::Unknown(excerpt(id).into_owned())));
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
    if matches!(change, Transition::Confirm) {
        if in_force(connection, &address).await? >= MAX_SUBSCRIPTIONS_PER_ADDRESS {
            return Ok(Err(LifecycleError::TooMany));
        }
        // A confirmed link that was mailed there shows that the address takes mail.
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
    Ok(after.ok_or_else(|| LifecycleError::Unknown(id.to_owned())))
}

type Planned = (ActiveModel, &'static str, String);

/// Plans the row of a transition; `None` if nothing changes.
fn plan(
    change: &Transition,
    before: &Subscription,
    now: Millis,
) -> Result<Option<Planned>, LifecycleError> {
    let only = |states: &[SubscriptionState], expected| {
        let state = in_words(before.state);
        let fits = states.contains(&before.state);
        fits.then_some(())
            .ok_or(LifecycleError::Not { expected, state })
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
        Transition::Confirm if before.state == SubscriptionState::Active => return Ok(None),
        Transition::Pause if before.state == SubscriptionState::Paused => return Ok(None),
        Transition::Resume
            if before.state == SubscriptionState::Active
                && before.scoped_rule.muted_until.is_none() =>
        {
            return Ok(None);
        }
        Transition::Confirm => {
            only(
                &[SubscriptionState::Pending, SubscriptionState::Suspended],
                "pending",
            )?;
            let update = ActiveModel {
                confirmed_at: Set(Some(now)),
                source: Set(None),
                ..to(SubscriptionState::Active)
            };
            (update, "confirmed", "by the link in the mail".to_owned())
        }
        Transition::Pause => {
            only(&[SubscriptionState::Active], "active")?;
            (to(SubscriptionState::Paused), "paused", String::new())
        }
        Transition::Resume if before.state == SubscriptionState::Active => {
            let update = ActiveModel {
                muted_until: Set(None),
                ..to(SubscriptionState::Active)
            };
            (update, "resumed", "no longer snoozed".to_owned())
        }
        Transition::Resume => {
            only(&[SubscriptionState::Paused], "active or paused")?;
            (to(SubscriptionState::Active), "resumed", String::new())
        }
        Transition::Snooze(until) => {
            only(&[SubscriptionState::Active], "active")?;
            let update = ActiveModel {
                muted_until: Set(Some(*until)),
                ..to(SubscriptionState::Active)
            };
            (update, "snoozed", format!("until {until}"))
        }
        Transition::Unsubscribe(reason) => {
            let update = ActiveModel {
                deleted_at: Set(Some(now)),
                ..to(SubscriptionState::Deleted)
            };
            (update, "unsubscribed", (*reason).to_owned())
        }
        Transition::End(reason) => {
            let update = ActiveModel {
                deleted_at: Set(Some(now)),
                ..ended(SubscriptionState::Deleted, reason)
            };
            (update, "ended", reason.clone())
        }
        Transition::Expire(reason) => (
            ended(SubscriptionState::Expired, reason),
            "expired",
            reason.clone(),
        ),
        Transition::Suspend(reason) => (
            ended(SubscriptionState::Suspended, reason),
            "suspended",
            reason.clone(),
        ),
        Transition::Edit(new) => edit(new, before, now)?,
    };
    Ok(Some((update, kind, detail)))
}

fn edit(
    new: &SubscriptionSpec,
    before: &Subscription,
    now: Millis,
) -> Result<Planned, LifecycleError> {
    let mut new = new.clone();
    new.address.clone_from(&before.address);
    new.channel = None;
    new.endpoint = None;
    let valid = new.check_at(now).map_err(LifecycleError::Fields)?;
    if before.state == SubscriptionState::Suspended {
        return Err(LifecycleError::Not {
            expected: "pending, active, paused or expired",
            state: in_words(before.state),
        });
    }
    let fresh = row(&valid, SubscriptionState::Active, before.created_at);
    let update = ActiveModel {
        pattern: fresh.pattern,
        factor: fresh.factor,
        window_minutes: fresh.window_minutes,
        min_samples: fresh.min_samples,
        rule: fresh.rule,
        time_zone: fresh.time_zone,
        // A new last day brings an expired one back.
        state: Set(match before.state {
            SubscriptionState::Expired => SubscriptionState::Active,
            state => state,
        }),
        reason: Set(None),
        ..Default::default()
    };
    let detail = format!("{}: {}", valid.pattern, valid.rule.in_words());
    Ok((update, "edited", detail))
}

/// Counts the subscriptions of an address that are active or paused.
pub(super) async fn in_force(
    connection: &impl ConnectionTrait,
    address: &str,
) -> Result<u64, DbErr> {
    count(
        connection,
        address,
        &[SubscriptionState::Active, SubscriptionState::Paused],
    )
    .await
}

/// Counts the subscriptions of an address in some states.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    address: &str,
    states: &[SubscriptionState],
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
