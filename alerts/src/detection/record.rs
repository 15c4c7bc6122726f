//! Records the evaluation of a minute.

use std::collections::HashSet;

use marketlake_entities::database;
use marketlake_entities::records::{alerts, rule_states, transitions};
use marketlake_model::{Jump, Millis, Minute};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, NotSet, QueryFilter, QuerySelect, Set,
};
use sha2::{Digest, Sha256};

use super::{Evaluation, FiringRule, StateChange};
use crate::delivery::outbox;
use crate::delivery::outbox::enqueue_alerts::{EnqueueOptions, NewAlert};
use crate::error::AlertError;
use crate::rules::evidence;
use crate::rules::evidence::Evidence;
use crate::rules::state_machine::{DETECTOR_VERSION, RuleState};
use crate::subscriptions::lifecycle::{Transition, apply_transition};

/// Counts of rows written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// New alerts.
    pub alerts: u64,
    /// New deliveries; fewer than alerts where several are in one message.
    pub deliveries: u64,
    /// Watches whose state is another now.
    pub transitions: u64,
}

impl Evaluation {
    /// Writes alerts, deliveries, states and their history within the caller's transaction. An
    /// alert that is there already, by (subscription, metric, ts), stays as it is and makes no new
    /// delivery.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn record(
        self,
        transaction: &DatabaseTransaction,
        now: Millis,
        telling: EnqueueOptions<'_>,
    ) -> Result<RecordCounts, AlertError> {
        let minute = self.minute;
        self.spans.record(transaction, minute).await?;
        let transitions = write_watches(transaction, self.watches, minute).await?;
        evidence::insert(transaction, self.evidence, now).await?;
        let told = write_alerts(transaction, self.alerts, minute, now).await?;
        let alerts = told.len() as u64;
        let deliveries = outbox::enqueue_alerts(transaction, told, now, telling).await?;
        for id in &self.spent {
            let reason = "it has sent its maximum number of alerts".to_owned();
            // It may have been unsubscribed this moment: then there is nothing to expire.
            let _ = apply_transition(transaction, id, &Transition::Expire(reason), now).await?;
        }
        Ok(RecordCounts {
            alerts,
            deliveries,
            transitions,
        })
    }
}

async fn write_watches(
    transaction: &DatabaseTransaction,
    changes: Vec<StateChange>,
    minute: Minute,
) -> Result<u64, DbErr> {
    let mut states = Vec::new();
    let mut history = Vec::new();
    for change in changes {
        if change.to == RuleState::default() {
            rule_states::Entity::delete_by_id((
                change.subscription_id.clone(),
                change.metric.to_string(),
            ))
            .exec(transaction)
            .await?;
        } else {
            states.push(state(&change, minute));
        }
        if let Some(reason) = change.reason {
            history.push(transitions::ActiveModel {
                id: NotSet,
                subscription_id: Set(change.subscription_id),
                metric: Set(change.metric.to_string()),
                ts: Set(minute.start()),
                from_state: Set(change.from),
                to_state: Set(change.to.state),
                resume_state: Set(change.to.resume_state),
                streak: Set(i32::try_from(change.to.streak).unwrap_or(i32::MAX)),
                reason: Set(reason),
                ratio: Set(change.ratio.filter(|ratio| ratio.is_finite())),
            });
        }
    }
    let written = history.len() as u64;
    let again = OnConflict::columns([
        rule_states::Column::SubscriptionId,
        rule_states::Column::Metric,
    ])
    .update_columns([
        rule_states::Column::State,
        rule_states::Column::ResumeState,
        rule_states::Column::Streak,
        rule_states::Column::Since,
    ])
    .to_owned();
    // A minute that is evaluated again by hand leaves what was recorded then.
    let once = OnConflict::columns([
        transitions::Column::SubscriptionId,
        transitions::Column::Metric,
        transitions::Column::Ts,
    ])
    .do_nothing()
    .to_owned();
    database::insert_all(transaction, states, Some(again)).await?;
    database::insert_all(transaction, history, Some(once)).await?;
    Ok(written)
}

fn state(change: &StateChange, minute: Minute) -> rule_states::ActiveModel {
    rule_states::ActiveModel {
        subscription_id: Set(change.subscription_id.clone()),
        metric: Set(change.metric.to_string()),
        state: Set(change.to.state),
        resume_state: Set(change.to.resume_state),
        streak: Set(i32::try_from(change.to.streak).unwrap_or(i32::MAX)),
        since: Set(minute.start()),
    }
}

/// Writes the alerts that are not there yet, and says which those are.
async fn write_alerts(
    transaction: &DatabaseTransaction,
    fired: Vec<FiringRule>,
    minute: Minute,
    now: Millis,
) -> Result<Vec<NewAlert>, DbErr> {
    if fired.is_empty() {
        return Ok(Vec::new());
    }
    let there: Vec<(String, String)> = alerts::Entity::find()
        .select_only()
        .column(alerts::Column::SubscriptionId)
        .column(alerts::Column::Metric)
        .filter(alerts::Column::Ts.eq(minute.start()))
        .into_tuple()
        .all(transaction)
        .await?;
    let there: HashSet<(String, String)> = there.into_iter().collect();
    let is_new = |fired: &FiringRule| {
        !there.contains(&(fired.subscription.id.clone(), fired.jump.metric.to_string()))
    };
    let told: Vec<NewAlert> = fired
        .into_iter()
        .filter(is_new)
        .map(|fired| NewAlert {
            alert_id: alert_id(&fired.subscription.id, &fired.jump),
            subscription: fired.subscription,
            jump: fired.jump,
        })
        .collect();
    let rows = told.iter().map(|told| alert(told, now)).collect();
    database::insert_all(transaction, rows, None).await?;
    Ok(told)
}

/// The key of an alert: the same whenever the same minute is evaluated by the same subscription,
/// after a restore too.
fn alert_id(subscription_id: &str, jump: &Jump) -> String {
    let mut hash = Sha256::new();
    let ts = jump.ts.start().0.to_string();
    for part in [subscription_id, jump.metric.id(), &ts] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}

fn alert(told: &NewAlert, now: Millis) -> alerts::ActiveModel {
    let (subscription, jump) = (&told.subscription, &told.jump);
    let window = subscription.rule().jump.window;
    alerts::ActiveModel {
        id: Set(told.alert_id.clone()),
        subscription_id: Set(subscription.id.clone()),
        metric: Set(jump.metric.to_string()),
        ts: Set(jump.ts.start()),
        value: Set(jump.value.to_string()),
        mean: Set(jump.mean),
        ratio: Set(jump.ratio),
        samples: Set(i32::try_from(jump.samples).unwrap_or(i32::MAX)),
        created_at: Set(now),
        revision: Set(subscription.revision),
        detector: Set(DETECTOR_VERSION),
        evidence_id: Set(Some(Evidence::id(&jump.metric, jump.ts, window))),
    }
}
