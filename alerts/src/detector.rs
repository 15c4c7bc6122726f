//! From jumps to alerts.

use marketlake_entities::records::{alerts, deliveries};
use marketlake_entities::{Jump, JumpRule, Millis};
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, EntityTrait, Set};
use uuid::Uuid;

use crate::{AlertError, Subscription};

/// The different rules of some subscriptions: each is asked of the lake once.
#[must_use]
pub fn rules(subscriptions: &[Subscription]) -> Vec<JumpRule> {
    let mut rules: Vec<JumpRule> = Vec::new();
    for subscription in subscriptions {
        if !rules.contains(&subscription.rule) {
            rules.push(subscription.rule);
        }
    }
    rules
}

/// Writes the alerts and deliveries of the jumps that a rule found, within the caller's transaction. An
/// alert that is there already, by (subscription, metric, ts), stays as it is and makes no new delivery.
/// Returns how many alerts are new, each with its delivery.
///
/// # Errors
/// Where the database fails.
pub async fn record(
    transaction: &DatabaseTransaction,
    subscriptions: &[Subscription],
    rule: &JumpRule,
    jumps: &[Jump],
    now: Millis,
) -> Result<u64, AlertError> {
    let mut recorded = 0;
    for subscription in subscriptions.iter().filter(|s| s.rule == *rule) {
        for jump in jumps
            .iter()
            .filter(|jump| subscription.pattern.matches(&jump.metric))
        {
            if record_one(transaction, subscription, jump, now).await? {
                recorded += 1;
            }
        }
    }
    Ok(recorded)
}

async fn record_one(
    transaction: &DatabaseTransaction,
    subscription: &Subscription,
    jump: &Jump,
    now: Millis,
) -> Result<bool, AlertError> {
    let alert_id = Uuid::new_v4().to_string();
    let alert = alerts::ActiveModel {
        id: Set(alert_id.clone()),
        subscription_id: Set(subscription.id.clone()),
        metric: Set(jump.metric.id().to_owned()),
        ts: Set(jump.ts.start()),
        value: Set(jump.value.to_string()),
        mean: Set(jump.mean),
        ratio: Set(jump.ratio),
        samples: Set(i32::try_from(jump.samples).unwrap_or(i32::MAX)),
        created_at: Set(now),
    };
    let once = [
        alerts::Column::SubscriptionId,
        alerts::Column::Metric,
        alerts::Column::Ts,
    ];
    let inserted = alerts::Entity::insert_many([alert])
        .on_conflict(OnConflict::columns(once).do_nothing().to_owned())
        .exec_without_returning(transaction)
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    let delivery = deliveries::ActiveModel {
        id: Set(Uuid::new_v4().to_string()),
        alert_id: Set(alert_id),
        address: Set(subscription.address.clone()),
        state: Set(deliveries::State::Pending),
        token: Set(0),
        attempts: Set(0),
        not_before: Set(now),
        lease_until: Set(None),
        error: Set(None),
        created_at: Set(now),
        finished_at: Set(None),
    };
    deliveries::Entity::insert(delivery)
        .exec_without_returning(transaction)
        .await?;
    Ok(true)
}
