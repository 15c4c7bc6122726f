//! Enqueues deliveries of alerts: one per alert, or a digest if there are many at once or were
//! many today.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_entities::records::deliveries::{
    ActiveModel, Column, DeliveryKind, DeliveryState, Entity,
};
use marketlake_entities::records::delivery_alerts;
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::{Jump, Millis};
use metrics::counter;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, Set, Unchanged,
};

use crate::queue::enqueue::new_row;
use crate::subscriptions::Subscription;

/// Number of alerts for one address at one minute from which they are one mail.
pub const MIN_DIGEST_ALERTS: usize = 4;
/// Default number of alert mails in 24 hours after which an address gets the rest in hourly
/// digests.
pub const DEFAULT_MAX_MAILS_PER_DAY: u64 = 30;
const DAY: Duration = Duration::from_secs(86_400);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// Options of enqueueing alerts.
#[derive(Clone, Copy, Debug)]
pub struct EnqueueOptions<'a> {
    /// Reason if the alerts are stale: they are recorded, and their deliveries written as given up.
    pub stale: Option<&'a str>,
    /// Number of alert mails in 24 hours after which an address gets the rest in hourly digests.
    pub max_mails_per_day: u64,
}

impl Default for EnqueueOptions<'_> {
    fn default() -> Self {
        Self {
            stale: None,
            max_mails_per_day: DEFAULT_MAX_MAILS_PER_DAY,
        }
    }
}

/// New alert to be sent.
#[derive(Clone, Debug)]
pub struct NewAlert {
    /// Its key.
    pub alert_id: String,
    /// Its subscription.
    pub subscription: Arc<Subscription>,
    /// The jump.
    pub jump: Jump,
}

/// Puts new alerts of one minute into the outbox, within the caller's transaction.
/// Returns how many deliveries there are for them.
///
/// # Errors
/// If the database fails.
pub async fn enqueue_alerts(
    connection: &impl ConnectionTrait,
    told: Vec<NewAlert>,
    now: Millis,
    telling: EnqueueOptions<'_>,
) -> Result<u64, DbErr> {
    let EnqueueOptions {
        stale,
        max_mails_per_day,
    } = telling;
    let mut by_target: BTreeMap<(String, ChannelKind), Vec<NewAlert>> = BTreeMap::new();
    for one in told {
        let target = (
            one.subscription.target().to_owned(),
            one.subscription.channel,
        );
        by_target.entry(target).or_default().push(one);
    }
    let mut plan = Plan::default();
    for ((address, channel), told) in by_target {
        let had = lately(connection, &address, now).await?;
        if stale.is_none() && had + (told.len().min(MIN_DIGEST_ALERTS) as u64) > max_mails_per_day {
            let digest = waiting(connection, channel, &address, now).await?;
            plan.gather(digest, channel, &address, told, now);
        } else if told.len() >= MIN_DIGEST_ALERTS {
            let row = ActiveModel {
                subscription_id: Set(only(&told)),
                ..new_row(DeliveryKind::Digest, channel, address, now)
            };
            plan.add(row, told.into_iter().map(|one| one.alert_id));
        } else {
            for one in told {
                let row = ActiveModel {
                    subscription_id: Set(Some(one.subscription.id.clone())),
                    ..new_row(DeliveryKind::Alert, channel, address.clone(), now)
                };
                plan.add(row, [one.alert_id]);
            }
        }
    }
    plan.write(connection, now, stale).await
}

/// The one subscription that some alerts are of, if it is one.
fn only(told: &[NewAlert]) -> Option<String> {
    let first = &told.first()?.subscription.id;
    told.iter()
        .all(|one| one.subscription.id == *first)
        .then(|| first.clone())
}

/// Counts the mails about alerts to an address in the last 24 hours; those that were too old
/// to be sent count for none.
async fn lately(
    connection: &impl ConnectionTrait,
    address: &str,
    now: Millis,
) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Address.eq(address))
        .filter(Column::CreatedAt.gt(now.minus(DAY)))
        .filter(Column::Kind.is_in([DeliveryKind::Alert, DeliveryKind::Digest]))
        .filter(
            Column::Error
                .is_null()
                .or(Column::Error.not_like("expired: %")),
        )
        .count(connection)
        .await
}

/// The digest of an address that still waits for its hour, held against being sent meanwhile.
async fn waiting(
    connection: &impl ConnectionTrait,
    channel: ChannelKind,
    address: &str,
    now: Millis,
) -> Result<Option<String>, DbErr> {
    let waits = |column: Column| column.gt(now);
    let found = Entity::find()
        .filter(Column::Address.eq(address))
        .filter(Column::Channel.eq(channel))
        .filter(Column::Kind.eq(DeliveryKind::Digest))
        .filter(Column::State.eq(DeliveryState::Pending))
        .filter(waits(Column::NotBefore))
        .order_by_asc(Column::CreatedAt)
        .one(connection)
        .await?;
    let Some(found) = found else { return Ok(None) };
    // The write holds the row: a sender that takes it now waits for this transaction's end.
    let held = Entity::update_many()
        .set(ActiveModel {
            not_before: Set(found.not_before),
            ..Default::default()
        })
        .filter(Column::Id.eq(found.id.as_str()))
        .filter(Column::State.eq(DeliveryState::Pending))
        .exec(connection)
        .await?;
    Ok((held.rows_affected == 1).then_some(found.id))
}

#[derive(Default)]
struct Plan {
    deliveries: Vec<ActiveModel>,
    members: Vec<delivery_alerts::ActiveModel>,
}

impl Plan {
    fn add(&mut self, row: ActiveModel, alerts: impl IntoIterator<Item = String>) {
        let (Set(id) | Unchanged(id)) = row.id.clone() else {
            return;
        };
        self.join(&id, alerts);
        self.deliveries.push(row);
    }

    fn join(&mut self, delivery_id: &str, alerts: impl IntoIterator<Item = String>) {
        let members = alerts
            .into_iter()
            .map(|alert_id| delivery_alerts::ActiveModel {
                alert_id: Set(alert_id),
                delivery_id: Set(delivery_id.to_owned()),
            });
        self.members.extend(members);
    }

    /// Adds to the digest that waits, or begins one.
    fn gather(
        &mut self,
        digest: Option<String>,
        channel: ChannelKind,
        address: &str,
        told: Vec<NewAlert>,
        now: Millis,
    ) {
        let alerts = told.into_iter().map(|one| one.alert_id);
        match digest {
            Some(id) => self.join(&id, alerts),
            None => {
                let row = ActiveModel {
                    not_before: Set(now.plus(HOUR)),
                    ..new_row(DeliveryKind::Digest, channel, address.to_owned(), now)
                };
                self.add(row, alerts);
            }
        }
    }

    async fn write(
        self,
        connection: &impl ConnectionTrait,
        now: Millis,
        stale: Option<&str>,
    ) -> Result<u64, DbErr> {
        let written = self.deliveries.len() as u64;
        let mut rows = self.deliveries;
        if let Some(reason) = stale {
            for row in &mut rows {
                row.state = Set(DeliveryState::Dead);
                row.error = Set(Some(reason.to_owned()));
                row.finished_at = Set(Some(now));
            }
        }
        database::insert_all(connection, rows, None).await?;
        database::insert_all(connection, self.members, None).await?;
        if stale.is_some() {
            counter!("marketlake_deliveries_total", "outcome" => "expired").increment(written);
        }
        Ok(written)
    }
}
