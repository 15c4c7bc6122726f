//! Request and response bodies of subscriptions.

use marketlake_alerts::subscriptions::in_words;
use marketlake_alerts::{NewSubscription, Subscription};
use marketlake_http::problem::Problem;
use serde::{Deserialize, Serialize};

use super::time;

/// A number, or a text with exactly its digits.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum Number {
    /// As a number.
    Number(f64),
    /// As a text.
    Text(String),
}

/// Input of a new subscription.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionInput {
    /// Metrics: a name, a list separated by commas, or a pattern.
    #[schema(example = "hottry:volume")]
    metric: String,
    /// Mail address of its owner, who must confirm it by mail. It cannot be changed later.
    address: Option<String>,
    /// Multiple of the mean that a sample must exceed; default 3.
    factor: Option<Number>,
    /// up or down; default up.
    direction: Option<String>,
    /// Window of the mean, in minutes; default 60.
    window_minutes: Option<i64>,
    /// Minimum number of samples in the window; default three quarters of it.
    min_samples: Option<i64>,
    /// Consecutive minutes that must jump before it fires; default 1.
    for_minutes: Option<i64>,
    /// Multiple of the mean at or within which it resolves after firing; default the factor.
    resolve_factor: Option<Number>,
    /// Cooldown: minutes after an alert without a further one of the metric; default 60.
    cooldown_minutes: Option<i64>,
    /// Maximum number of alerts per UTC day.
    max_per_day: Option<i64>,
    /// Time at which it expires, as RFC 3339.
    expires_at: Option<String>,
    /// Number of alerts after which it expires.
    max_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; default UTC.
    time_zone: Option<String>,
    /// mail, webhook or slack; default mail.
    channel: Option<String>,
    /// HTTPS URL that webhooks are sent to.
    endpoint: Option<String>,
}

/// Change of a subscription: exactly one of the two fields.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionChange {
    /// active or paused.
    pub(super) state: Option<String>,
    /// End of the snooze, as RFC 3339; until then it is evaluated without a message.
    pub(super) snoozed_until: Option<String>,
}

/// A subscription.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubscriptionAnswer {
    id: String,
    /// pending, active, paused, suspended, expired or unsubscribed.
    state: String,
    metric: String,
    factor: String,
    direction: String,
    window_minutes: u32,
    min_samples: u32,
    for_minutes: u32,
    cooldown_minutes: u32,
    max_per_day: Option<u32>,
    expires_at: Option<String>,
    max_alerts: Option<u32>,
    snoozed_until: Option<String>,
    address: String,
    channel: String,
    endpoint: Option<String>,
    time_zone: String,
    created_at: String,
    /// Secret that signs its webhooks; shown at its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// All subscriptions of the owner.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubscriptionRows {
    pub(super) data: Vec<SubscriptionAnswer>,
    /// Cursor of the next page: always null, for there is one page.
    pub(super) next: Option<String>,
}

/// Confirmation that a test message is queued.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Queued {
    pub(super) queued: bool,
}

impl SubscriptionInput {
    pub(super) fn into_new(self) -> Result<NewSubscription, Problem> {
        let text = |number: Number| match number {
            Number::Number(number) => number.to_string(),
            Number::Text(text) => text,
        };
        let expires_at = self.expires_at.map(|text| time("expires_at", &text));
        Ok(NewSubscription {
            metric: self.metric,
            factor: self.factor.map(text),
            direction: self.direction,
            window_minutes: self.window_minutes,
            min_samples: self.min_samples,
            for_minutes: self.for_minutes,
            resolve_factor: self.resolve_factor.map(text),
            cooldown_minutes: self.cooldown_minutes,
            max_per_day: self.max_per_day,
            expires_at: expires_at.transpose()?,
            max_alerts: self.max_alerts,
            address: self.address.unwrap_or_default(),
            time_zone: self.time_zone,
            channel: self.channel,
            endpoint: self.endpoint,
        })
    }
}

impl From<Subscription> for SubscriptionAnswer {
    fn from(record: Subscription) -> Self {
        let rule = *record.rule();
        Self {
            state: in_words(record.state).to_owned(),
            metric: record.scoped_rule.pattern.to_string(),
            factor: rule.jump.factor.to_string(),
            direction: rule.jump.direction.to_string(),
            window_minutes: rule.jump.window,
            min_samples: rule.jump.min_samples,
            for_minutes: rule.for_minutes,
            cooldown_minutes: rule.cooldown,
            max_per_day: rule.max_per_day,
            expires_at: rule.expires_at.map(|at| at.to_string()),
            max_alerts: rule.max_alerts,
            snoozed_until: record.scoped_rule.muted_until.map(|at| at.to_string()),
            address: record.address,
            channel: record.channel.to_string(),
            endpoint: record.endpoint,
            time_zone: record.time_zone.name().to_owned(),
            created_at: record.created_at.to_string(),
            secret: None,
            id: record.id,
        }
    }
}
