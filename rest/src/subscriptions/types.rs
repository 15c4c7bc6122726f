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

/// What is subscribed to.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionInput {
    /// A metric, a list parted by commas, or a pattern.
    #[schema(example = "hottry:volume")]
    metric: String,
    /// Mail address of its owner, who is asked to confirm it. Not to be changed later.
    address: Option<String>,
    /// Times the mean; 3, if none is given.
    factor: Option<Number>,
    /// up or down; up, if nothing is said.
    direction: Option<String>,
    /// Length of the time that the mean is of, in minutes; 60, if none is given.
    window_minutes: Option<i64>,
    /// The fewest samples in that time; three quarters of it, if none is given.
    min_samples: Option<i64>,
    /// Minutes in a row that must jump; 1, if none is given.
    sustain_minutes: Option<i64>,
    /// Calm begins where a sample is no longer beyond so many times the mean; the factor, if none is given.
    rearm: Option<Number>,
    /// Minutes of quiet of a metric after an alert; 60, if none is given.
    cooldown_minutes: Option<i64>,
    /// The most alerts in a UTC day.
    most_per_day: Option<i64>,
    /// When it ends, as RFC 3339.
    expires_at: Option<String>,
    /// After how many alerts it ends.
    most_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; UTC, if none is given.
    time_zone: Option<String>,
    /// mail, webhook or slack; mail, if nothing is said.
    channel: Option<String>,
    /// Where webhooks go: an https address.
    endpoint: Option<String>,
}

/// What becomes of a subscription: one of the two.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionChange {
    /// active or paused.
    pub(super) state: Option<String>,
    /// Until when it is judged without a word, as RFC 3339.
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
    sustain_minutes: u32,
    cooldown_minutes: u32,
    most_per_day: Option<u32>,
    expires_at: Option<String>,
    most_alerts: Option<u32>,
    snoozed_until: Option<String>,
    address: String,
    channel: String,
    endpoint: Option<String>,
    time_zone: String,
    created_at: String,
    /// With which its webhooks are signed; shown where it is made only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

/// All of one's subscriptions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SubscriptionRows {
    pub(super) data: Vec<SubscriptionAnswer>,
    /// There is one page only: null.
    pub(super) next: Option<String>,
}

/// Whether a test is on its way.
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
            sustain_minutes: self.sustain_minutes,
            rearm: self.rearm.map(text),
            cooldown_minutes: self.cooldown_minutes,
            most_per_day: self.most_per_day,
            expires_at: expires_at.transpose()?,
            most_alerts: self.most_alerts,
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
            sustain_minutes: rule.for_minutes,
            cooldown_minutes: rule.cooldown,
            most_per_day: rule.most_per_day,
            expires_at: rule.expires_at.map(|at| at.to_string()),
            most_alerts: rule.most_alerts,
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
