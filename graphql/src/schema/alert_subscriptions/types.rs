//! Output types of subscriptions and alerts.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use marketlake_alerts::subscriptions::history::{self, PastAlert};
use marketlake_alerts::subscriptions::in_words;
use marketlake_alerts::{FieldError, Subscription as Record};
use marketlake_lake::Lake;

use super::super::errors;
use super::super::errors::field_name;
use super::super::scalars::{DateTime, Decimal};

/// Entries of a history.
const ENTRIES: u64 = 100;

/// Subscription to jump alerts.
#[derive(SimpleObject)]
#[graphql(complex, name = "AlertSubscription")]
pub(in crate::schema) struct Subscription {
    /// Id of the subscription.
    pub(in crate::schema) id: ID,
    /// pending, active, paused, suspended (its address does not take mail), expired or
    /// unsubscribed.
    state: String,
    /// Metrics that it matches: a name, a list separated by commas, or a pattern.
    metric: String,
    /// Multiple of the mean before a sample: it jumps when it is strictly above the mean times
    /// this, or with direction down, below the mean divided by it.
    factor: Decimal,
    /// up or down.
    direction: String,
    /// Window of the mean, in minutes.
    window_minutes: i64,
    /// Minimum number of samples in the window.
    min_samples: i64,
    /// Consecutive minutes that must jump before it fires.
    for_minutes: i64,
    /// Multiple of the mean at or within which it resolves after firing.
    resolve_factor: Decimal,
    /// Cooldown: minutes after an alert without a further one of the metric.
    cooldown_minutes: i64,
    /// Maximum number of alerts per UTC day; null where there is no limit.
    max_per_day: Option<i64>,
    /// Time at which it expires; null: never.
    expires_at: Option<DateTime>,
    /// Number of alerts after which it expires; null: never.
    max_alerts: Option<i64>,
    /// End of the snooze, until which it is evaluated without a message; null where it is not
    /// snoozed.
    snoozed_until: Option<DateTime>,
    /// Mail address of its owner.
    address: String,
    /// Channel of its alerts.
    channel: String,
    /// HTTPS URL that webhooks are sent to; null for mail.
    endpoint: Option<String>,
    /// The reader's time zone.
    time_zone: String,
    /// Reason for its state, where its owner did not choose it.
    reason: Option<String>,
    /// Time at which it was created.
    created_at: DateTime,
}

/// Jump that was sent as an alert.
#[derive(SimpleObject)]
pub(in crate::schema) struct Alert {
    /// Id of the alert.
    pub(in crate::schema) id: ID,
    /// The metric's id.
    metric: String,
    /// The minute at which it jumped.
    timestamp: DateTime,
    /// The value, with the digits that the exchange sent.
    value: String,
    /// Mean of the samples before it.
    mean: f64,
    /// Value over mean.
    ratio: f64,
    /// pending, sending, sent, retry, dead or unknown.
    delivery: Option<String>,
}

/// Change of state of one metric, with its reason.
#[derive(SimpleObject)]
struct Transition {
    /// The metric's id.
    metric: String,
    /// The minute.
    timestamp: DateTime,
    /// State before the change: ok, pending, firing or `no_data`.
    from: String,
    /// State after the change: ok, pending, firing or `no_data`.
    to: String,
    /// Explanation why it did or did not fire.
    reason: String,
}

/// Difference that a late or corrected sample would have made. Sent alerts are never rewritten.
#[derive(SimpleObject)]
struct Note {
    /// The metric's id.
    metric: String,
    /// The minute.
    timestamp: DateTime,
    /// "would have fired" or "would not have fired".
    verdict: String,
    /// Value over mean, by the samples known now.
    ratio: f64,
}

#[ComplexObject]
impl Subscription {
    /// Its newest alerts, at most 100.
    async fn alerts(&self, context: &Context<'_>) -> Result<Vec<Alert>> {
        let database = context.data::<Arc<Lake>>()?.database();
        let past = history::alerts(database, &self.id, ENTRIES).await;
        let past = past.map_err(|error| errors::unavailable(&error))?;
        Ok(past.into_iter().map(Alert::from).collect())
    }

    /// Its newest changes of state, at most 100, with the reasons for which it did and did not
    /// fire.
    async fn transitions(&self, context: &Context<'_>) -> Result<Vec<Transition>> {
        let database = context.data::<Arc<Lake>>()?.database();
        let whys = history::whys(database, &self.id, ENTRIES).await;
        let whys = whys
            .map_err(|error| errors::unavailable(&error))?
            .into_iter();
        let transitions = whys.map(|why| Transition {
            metric: why.metric,
            timestamp: why.ts.into(),
            from: why.from.to_string(),
            to: why.to.to_string(),
            reason: why.reason,
        });
        Ok(transitions.collect())
    }

    /// Differences that late samples would have made, at most 100.
    async fn notes(&self, context: &Context<'_>) -> Result<Vec<Note>> {
        let database = context.data::<Arc<Lake>>()?.database();
        let notes = history::notes(database, &self.id, ENTRIES).await;
        let notes = notes
            .map_err(|error| errors::unavailable(&error))?
            .into_iter();
        let notes = notes.map(|note| Note {
            metric: note.metric,
            timestamp: note.ts.into(),
            verdict: note.verdict.to_string(),
            ratio: note.ratio,
        });
        Ok(notes.collect())
    }
}

impl From<PastAlert> for Alert {
    fn from(alert: PastAlert) -> Self {
        Self {
            id: alert.id.into(),
            metric: alert.metric,
            timestamp: alert.ts.into(),
            value: alert.value,
            mean: alert.mean,
            ratio: alert.ratio,
            delivery: alert.delivery.map(|state| state.to_string()),
        }
    }
}

impl From<Record> for Subscription {
    fn from(record: Record) -> Self {
        let rule = *record.rule();
        Self {
            id: record.id.into(),
            state: in_words(record.state).to_owned(),
            metric: record.scoped_rule.pattern.to_string(),
            factor: Decimal(rule.jump.factor),
            direction: rule.jump.direction.to_string(),
            window_minutes: rule.jump.window.into(),
            min_samples: rule.jump.min_samples.into(),
            for_minutes: rule.for_minutes.into(),
            resolve_factor: Decimal(rule.resolve_threshold()),
            cooldown_minutes: rule.cooldown.into(),
            max_per_day: rule.max_per_day.map(i64::from),
            expires_at: rule.expires_at.map(DateTime::from),
            max_alerts: rule.max_alerts.map(i64::from),
            snoozed_until: record.scoped_rule.muted_until.map(DateTime::from),
            address: record.address,
            channel: record.channel.to_string(),
            endpoint: record.endpoint,
            time_zone: record.time_zone.name().to_owned(),
            reason: record.reason,
            created_at: record.created_at.into(),
        }
    }
}

/// Error in one field of the input.
#[derive(SimpleObject)]
pub(in crate::schema) struct UserError {
    /// Name of the field.
    pub(in crate::schema) field: String,
    /// Error message: the expected and the actual value.
    pub(in crate::schema) message: String,
    /// Error code: stable, for programs.
    pub(in crate::schema) code: String,
}

impl From<FieldError> for UserError {
    fn from(error: FieldError) -> Self {
        Self {
            field: field_name(error.field),
            message: error.message,
            code: error.code.to_owned(),
        }
    }
}
