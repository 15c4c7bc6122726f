//! Sign-up with double opt-in. Any client may request a subscription for any address, so a
//! confirmation mail goes to the address, and limits keep the form from being used against third
//! parties. The response does not tell whether an address is known.

use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::deliveries::{self, DeliveryKind};
use marketlake_entities::records::subscription_events;
use marketlake_entities::records::subscriptions::{
    ChannelKind, Column, Entity, Model, SubscriptionState,
};
use marketlake_model::Millis;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect, Set, TryIntoModel,
};
use sha2::{Digest, Sha256};

use super::access::Access;
use super::lifecycle::{MAX_SUBSCRIPTIONS_PER_ADDRESS, Transition, apply_transition};
use super::spec::SubscriptionSpec;
use super::{Subscription, lifecycle};
use crate::address::check_address;
use crate::error::{AlertError, FieldError};
use crate::queue::enqueue::{NewDelivery, enqueue};
use crate::queue::suppression_list;

const BATCH_SIZE: usize = 500;
const DAY: Duration = Duration::from_secs(86_400);
/// Time after which an unconfirmed subscription is deleted.
pub(super) const PENDING_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Limits of sign-ups.
#[derive(Clone, Copy, Debug)]
pub struct SignupLimits {
    /// Confirmation and manage-link mails to one address a day.
    pub max_mails_per_address: u64,
    /// Subscriptions requested from one network address a day.
    pub max_per_source: u64,
    /// Confirmation mails in all, a day.
    pub max_confirmations: u64,
}

impl Default for SignupLimits {
    fn default() -> Self {
        Self {
            max_mails_per_address: 3,
            max_per_source: 20,
            max_confirmations: 1_000,
        }
    }
}

/// The requester of a sign-up.
#[derive(Clone, Copy, Debug)]
pub struct SignupRequester<'a> {
    /// Network address, by which sign-ups are counted.
    pub source: &'a str,
    /// Key or identity-provider user, if any.
    pub owner: Option<&'a str>,
    /// Idempotency key, chosen by the requester: a repeated request under it makes nothing new.
    pub idempotency_key: Option<&'a str>,
}

impl SignupRequester<'_> {
    /// The id of what is requested: the same for the same request of the same requester.
    fn id(&self) -> Option<String> {
        let mut hash = Sha256::new();
        for part in [self.owner.unwrap_or(self.source), self.idempotency_key?] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Some(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .to_string(),
        )
    }
}

/// Makes a pending subscription and the confirmation mail to its owner, in one transaction.
///
/// The response does not reveal whether the address is known: where it has had its mails for today,
/// wants none or has too many subscriptions already, the response is the same and no mail is
/// written.
///
/// # Errors
/// If the database fails. Wrong fields, and limits that concern the requester or all, are the inner
/// error; nothing is written then.
pub async fn request(
    database: &DatabaseConnection,
    new: &SubscriptionSpec,
    requester: &SignupRequester<'_>,
    limits: &SignupLimits,
    now: Millis,
) -> Result<Result<Subscription, Vec<FieldError>>, AlertError> {
    let valid = match new.check_at(now) {
        Ok(valid) => valid,
        Err(errors) => return Ok(Err(errors)),
    };
    let mut fresh = lifecycle::row(&valid, SubscriptionState::Pending, now);
    fresh.source = Set(Some(requester.source.to_owned()));
    fresh.owner = Set(requester.owner.map(str::to_owned));
    let transaction = database::begin_write(database).await?;
    if let Some(id) = requester.id() {
        if let Some(made) = Entity::find_by_id(id.as_str()).one(&transaction).await? {
            return existing_for_key(made, &fresh.try_into_model()?);
        }
        fresh.id = Set(id);
    }
    let since = now.minus(DAY);
    if count_from_source(&transaction, requester.source, since).await? >= limits.max_per_source {
        let message = format!(
            "expected at most {} new subscriptions a day from one network address; confirm those \
             that are pending, or come back tomorrow",
            limits.max_per_source
        );
        return Ok(Err(vec![too_many("address", message)]));
    }
    if count_mails(&transaction, None, since).await? >= limits.max_confirmations {
        let message =
            "the server's limit of new subscriptions per day is reached; try again tomorrow";
        return Ok(Err(vec![too_many("address", message.to_owned())]));
    }
    let address = &valid.address;
    let full = lifecycle::count(&transaction, address, &[SubscriptionState::Pending]).await?
        >= MAX_SUBSCRIPTIONS_PER_ADDRESS
        || lifecycle::in_force(&transaction, address).await? >= MAX_SUBSCRIPTIONS_PER_ADDRESS;
    if full || suppression_list::complained(&transaction, address).await? {
        return Ok(Ok(Subscription::from_row(fresh.try_into_model()?)?));
    }
    let made = lifecycle::insert(&transaction, &valid, fresh, now).await?;
    if count_mails(&transaction, Some(address), since).await? < limits.max_mails_per_address {
        let delivery = NewDelivery {
            subscription_id: Some(made.id.clone()),
            ..NewDelivery::new(DeliveryKind::Confirmation, ChannelKind::Mail, address)
        };
        enqueue(&transaction, delivery, now).await?;
    }
    transaction.commit().await?;
    Ok(Ok(made))
}

/// Returns the subscription made under the same idempotency key, if the request was the same.
fn existing_for_key(
    made: Model,
    requested: &Model,
) -> Result<Result<Subscription, Vec<FieldError>>, AlertError> {
    let words = |row: &Model| {
        let (pattern, rule, zone) = (&row.pattern, &row.rule, &row.time_zone);
        let words = (
            pattern,
            rule,
            zone,
            &row.address,
            row.channel,
            &row.endpoint,
        );
        format!("{words:?}")
    };
    if words(&made) == words(requested) {
        return Ok(Ok(Subscription::from_row(made)?));
    }
    let message = "expected a new idempotency key: this one was used for another subscription";
    Ok(Err(vec![FieldError {
        field: "Idempotency-Key",
        message: message.to_owned(),
        code: "IDEMPOTENCY_KEY_REUSED",
    }]))
}

/// Writes the mail that brings an address the link to its subscriptions, if it has any and has not
/// had its mails for today.
///
/// # Errors
/// If the database fails. An address that is none is the inner error; else the answer is always the
/// same.
pub async fn request_manage_link(
    database: &DatabaseConnection,
    address: &str,
    limits: &SignupLimits,
    now: Millis,
) -> Result<Result<(), FieldError>, AlertError> {
    let address = match check_address(address) {
        Ok(address) => address,
        Err(message) => return Ok(Err(FieldError::invalid("address", message))),
    };
    let transaction = database::begin_write(database).await?;
    let known = !Subscription::of(&transaction, Access::Address(&address))
        .await?
        .is_empty();
    let had = count_mails(&transaction, Some(&address), now.minus(DAY)).await?;
    let complained = suppression_list::complained(&transaction, &address).await?;
    if known && !complained && had < limits.max_mails_per_address {
        let delivery = NewDelivery::new(DeliveryKind::Manage, ChannelKind::Mail, &address);
        enqueue(&transaction, delivery, now).await?;
        transaction.commit().await?;
    }
    Ok(Ok(()))
}

/// Deletes subscriptions that were not confirmed in time, without a trace. Returns how many.
///
/// # Errors
/// If the database fails.
pub async fn delete_unconfirmed(
    connection: &impl ConnectionTrait,
    now: Millis,
) -> Result<u64, DbErr> {
    let ids: Vec<String> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::State.eq(SubscriptionState::Pending))
        .filter(Column::CreatedAt.lt(now.minus(PENDING_TTL)))
        .into_tuple()
        .all(connection)
        .await?;
    let mut deleted = 0;
    for chunk in ids.chunks(BATCH_SIZE) {
        let chunk = || chunk.iter().map(String::as_str);
        deliveries::Entity::delete_many()
            .filter(deliveries::Column::SubscriptionId.is_in(chunk()))
            .exec(connection)
            .await?;
        subscription_events::Entity::delete_many()
            .filter(subscription_events::Column::SubscriptionId.is_in(chunk()))
            .exec(connection)
            .await?;
        let result = Entity::delete_many()
            .filter(Column::Id.is_in(chunk()))
            .exec(connection)
            .await?;
        deleted += result.rows_affected;
    }
    Ok(deleted)
}

/// Ends subscriptions whose expiry time has passed. Returns how many.
///
/// # Errors
/// If the database fails.
pub async fn expire(connection: &impl ConnectionTrait, now: Millis) -> Result<u64, AlertError> {
    let mut expired = 0;
    for subscription in Subscription::all(connection).await? {
        let over = |end: &Millis| *end <= now;
        if let Some(end) = subscription.rule().expires_at.filter(over) {
            let change = Transition::Expire(format!("it expired at {end}"));
            let done = apply_transition(connection, &subscription.id, &change, now).await?;
            expired += u64::from(done.is_ok());
        }
    }
    Ok(expired)
}

fn too_many(field: &'static str, message: String) -> FieldError {
    FieldError {
        field,
        message,
        code: "TOO_MANY",
    }
}

async fn count_from_source(
    connection: &impl ConnectionTrait,
    source: &str,
    since: Millis,
) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Source.eq(source))
        .filter(Column::CreatedAt.gt(since))
        .count(connection)
        .await
}

/// Counts confirmation mails, to one address (with manage links) or in all.
async fn count_mails(
    connection: &impl ConnectionTrait,
    address: Option<&str>,
    since: Millis,
) -> Result<u64, DbErr> {
    use deliveries::Column;
    let all = deliveries::Entity::find().filter(Column::CreatedAt.gt(since));
    let some = match address {
        Some(address) => all
            .filter(Column::Address.eq(address))
            .filter(Column::Kind.is_in([DeliveryKind::Confirmation, DeliveryKind::Manage])),
        None => all.filter(Column::Kind.eq(DeliveryKind::Confirmation)),
    };
    some.count(connection).await
}
