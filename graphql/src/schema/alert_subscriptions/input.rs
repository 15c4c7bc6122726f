//! Input types of subscriptions.

use async_graphql::{ID, InputObject};
use marketlake_alerts::NewSubscription;

use super::super::scalars::{DateTime, Decimal};

/// Rule of an alert subscription, and its metrics.
#[derive(InputObject)]
pub(in crate::schema) struct RuleInput {
    /// Metrics: a name, a list separated by commas, or a pattern: binance:hottry, *usdt,
    /// binance:*:volume. Without a market it is about that pair on every market.
    metric: String,
    /// Times the mean; default 3.
    factor: Option<Decimal>,
    /// up: strictly above the mean times the factor; down: strictly below the mean divided by it;
    /// default up.
    direction: Option<String>,
    /// Window of the mean, in minutes, 1 to 1,440; default 60.
    window_minutes: Option<i64>,
    /// Minimum number of samples in the window; default three quarters of it.
    min_samples: Option<i64>,
    /// Consecutive minutes that must jump before it fires, 1 to 60; default 1.
    for_minutes: Option<i64>,
    /// Multiple of the mean at or within which it resolves after firing, 1 to the factor; default
    /// the factor.
    resolve_factor: Option<Decimal>,
    /// Cooldown: minutes after an alert without a further one of the metric, up to a week; default
    /// 60.
    cooldown_minutes: Option<i64>,
    /// Maximum number of alerts per UTC day.
    max_per_day: Option<i64>,
}

impl RuleInput {
    pub(super) fn to_new(&self) -> NewSubscription {
        NewSubscription {
            metric: self.metric.clone(),
            factor: self.factor.map(|factor| factor.0.to_string()),
            window_minutes: self.window_minutes,
            min_samples: self.min_samples,
            direction: self.direction.clone(),
            for_minutes: self.for_minutes,
            resolve_factor: self
                .resolve_factor
                .map(|resolve_factor| resolve_factor.0.to_string()),
            cooldown_minutes: self.cooldown_minutes,
            max_per_day: self.max_per_day,
            ..NewSubscription::default()
        }
    }
}

/// Input of a new alert subscription.
#[derive(InputObject)]
pub(in crate::schema) struct CreateSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    /// Time at which it expires.
    expires_at: Option<DateTime>,
    /// Number of alerts after which it expires.
    max_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; default UTC.
    time_zone: Option<String>,
    /// Mail address of its owner, who must confirm it by mail.
    address: String,
    /// mail, webhook or slack; default mail.
    channel: Option<String>,
    /// HTTPS URL that webhooks are sent to.
    endpoint: Option<String>,
}

/// Input of a changed alert subscription; replaces its whole rule.
#[derive(InputObject)]
pub(in crate::schema) struct EditSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    /// Time at which it expires.
    expires_at: Option<DateTime>,
    /// Number of alerts after which it expires.
    max_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; default UTC.
    time_zone: Option<String>,
    /// Token of the link to one's subscriptions; null where the API key identifies the owner.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
}

impl CreateSubscriptionInput {
    pub(super) fn to_new(&self) -> NewSubscription {
        NewSubscription {
            expires_at: self.expires_at.map(|at| at.0),
            max_alerts: self.max_alerts,
            time_zone: self.time_zone.clone(),
            address: self.address.clone(),
            channel: self.channel.clone(),
            endpoint: self.endpoint.clone(),
            ..self.rule.to_new()
        }
    }
}

impl EditSubscriptionInput {
    pub(super) fn to_new(&self) -> NewSubscription {
        NewSubscription {
            expires_at: self.expires_at.map(|at| at.0),
            max_alerts: self.max_alerts,
            time_zone: self.time_zone.clone(),
            ..self.rule.to_new()
        }
    }
}

/// Input that ends a subscription.
#[derive(InputObject)]
pub(in crate::schema) struct DeleteSubscriptionInput {
    /// Token of the link to one's subscriptions; null where the API key identifies the owner.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
}

/// Input that confirms a pending subscription.
#[derive(InputObject)]
pub(in crate::schema) struct ConfirmSubscriptionInput {
    /// Token of the link in the mail.
    pub(super) token: String,
}

/// Input that names one of the owner's subscriptions.
#[derive(InputObject)]
pub(in crate::schema) struct OwnSubscriptionInput {
    /// Token of the link to one's subscriptions; null where the API key identifies the owner.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
}

/// Input that snoozes a subscription.
#[derive(InputObject)]
pub(in crate::schema) struct SnoozeSubscriptionInput {
    /// Token of the link to one's subscriptions; null where the API key identifies the owner.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
    /// End of the snooze; until then it is evaluated without a message.
    pub(super) until: DateTime,
}

/// Address to mail the link to one's subscriptions to.
#[derive(InputObject)]
pub(in crate::schema) struct RequestManageLinkInput {
    /// The mail address.
    pub(super) address: String,
}
