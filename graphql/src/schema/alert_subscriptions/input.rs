//! Input types of subscriptions.

use async_graphql::{ID, InputObject};
use marketlake_alerts::NewSubscription;

use super::super::scalars::{DateTime, Decimal};

/// When somebody is told of a metric.
#[derive(InputObject)]
pub(in crate::schema) struct RuleInput {
    /// A metric, a list parted by commas, or a pattern: binance:hottry, *usdt, binance:*:volume. Without a market it is about that pair on every market.
    metric: String,
    /// Times the mean; 3, if none is given.
    factor: Option<Decimal>,
    /// up: strictly above the mean times the factor; down: strictly below the mean divided by it. up, if none is given.
    direction: Option<String>,
    /// Length of the time that the mean is of, in minutes, 1 to 1,440; 60, if none is given.
    window_minutes: Option<i64>,
    /// The fewest samples in that time; three quarters of it, if none is given.
    min_samples: Option<i64>,
    /// Minutes in a row that must jump, 1 to 60; 1, if none is given.
    sustain_minutes: Option<i64>,
    /// Calm begins where a sample is no longer beyond so many times the mean, 1 to the factor; the factor, if none is given.
    rearm: Option<Decimal>,
    /// Minutes of quiet of a metric after an alert, up to a week; 60, if none is given.
    cooldown_minutes: Option<i64>,
    /// The most alerts in a UTC day.
    most_per_day: Option<i64>,
}

impl RuleInput {
    pub(super) fn to_new(&self) -> NewSubscription {
        NewSubscription {
            metric: self.metric.clone(),
            factor: self.factor.map(|factor| factor.0.to_string()),
            window_minutes: self.window_minutes,
            min_samples: self.min_samples,
            direction: self.direction.clone(),
            sustain_minutes: self.sustain_minutes,
            rearm: self.rearm.map(|rearm| rearm.0.to_string()),
            cooldown_minutes: self.cooldown_minutes,
            most_per_day: self.most_per_day,
            ..NewSubscription::default()
        }
    }
}

/// What is subscribed to.
#[derive(InputObject)]
pub(in crate::schema) struct CreateSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    /// When it ends.
    expires_at: Option<DateTime>,
    /// After how many alerts it ends.
    most_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; UTC, if none is given.
    time_zone: Option<String>,
    /// Mail address of its owner, who is asked to confirm it.
    address: String,
    /// mail, webhook or slack; mail, if none is given.
    channel: Option<String>,
    /// Where webhooks go: an https address.
    endpoint: Option<String>,
}

/// What a subscription becomes: all of its rule is given anew.
#[derive(InputObject)]
pub(in crate::schema) struct EditSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    /// When it ends.
    expires_at: Option<DateTime>,
    /// After how many alerts it ends.
    most_alerts: Option<i64>,
    /// The reader's time zone, by its IANA name; UTC, if none is given.
    time_zone: Option<String>,
    /// The token of the link to one's subscriptions; none where a key says who asks.
    pub(super) token: Option<String>,
    /// Which subscription.
    pub(super) id: ID,
}

impl CreateSubscriptionInput {
    pub(super) fn to_new(&self) -> NewSubscription {
        NewSubscription {
            expires_at: self.expires_at.map(|at| at.0),
            most_alerts: self.most_alerts,
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
            most_alerts: self.most_alerts,
            time_zone: self.time_zone.clone(),
            ..self.rule.to_new()
        }
    }
}

/// Which subscription ends.
#[derive(InputObject)]
pub(in crate::schema) struct DeleteSubscriptionInput {
    /// The token of the link to one's subscriptions; none where a key says who asks.
    pub(super) token: Option<String>,
    /// Its key.
    pub(super) id: ID,
}

/// A pending subscription and its owner's yes.
#[derive(InputObject)]
pub(in crate::schema) struct ConfirmSubscriptionInput {
    /// The token of the link in the mail.
    pub(super) token: String,
}

/// One of one's own subscriptions.
#[derive(InputObject)]
pub(in crate::schema) struct OwnSubscriptionInput {
    /// The token of the link to one's subscriptions; none where a key says who asks.
    pub(super) token: Option<String>,
    /// Which subscription.
    pub(super) id: ID,
}

/// Quiet for a while.
#[derive(InputObject)]
pub(in crate::schema) struct SnoozeSubscriptionInput {
    /// The token of the link to one's subscriptions; none where a key says who asks.
    pub(super) token: Option<String>,
    /// Which subscription.
    pub(super) id: ID,
    /// Until when it is judged without a word.
    pub(super) until: DateTime,
}

/// Where the link to one's subscriptions goes.
#[derive(InputObject)]
pub(in crate::schema) struct RequestManageLinkInput {
    /// The mail address.
    pub(super) address: String,
}
