//! Input types of subscriptions.

use async_graphql::{ID, InputObject};
use marketlake_alerts::SubscriptionSpec;

use super::super::rule_input::{LifetimeInput, RuleInput};
use super::super::scalars::DateTime;

/// Input of a new alert subscription.
#[derive(InputObject)]
pub(in crate::schema) struct CreateSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    #[graphql(flatten)]
    lifetime: LifetimeInput,
    /// The reader's time zone, by its IANA name; default UTC.
    time_zone: Option<String>,
    /// Mail address of its owner, who must confirm it by mail.
    address: String,
    /// Channel of its alerts; default mail.
    channel: Option<String>,
    /// HTTPS URL that webhooks are sent to.
    endpoint: Option<String>,
}

/// Input of a changed alert subscription; replaces its whole rule.
#[derive(InputObject)]
pub(in crate::schema) struct EditSubscriptionInput {
    #[graphql(flatten)]
    rule: RuleInput,
    #[graphql(flatten)]
    lifetime: LifetimeInput,
    /// The reader's time zone, by its IANA name; default UTC.
    time_zone: Option<String>,
    /// Token from the link to the owner's subscriptions; not needed with an API key.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
}

impl CreateSubscriptionInput {
    pub(super) fn spec(&self) -> SubscriptionSpec {
        SubscriptionSpec {
            time_zone: self.time_zone.clone(),
            address: self.address.clone(),
            channel: self.channel.clone(),
            endpoint: self.endpoint.clone(),
            ..self.lifetime.add_to(self.rule.spec())
        }
    }
}

impl EditSubscriptionInput {
    pub(super) fn spec(&self) -> SubscriptionSpec {
        SubscriptionSpec {
            time_zone: self.time_zone.clone(),
            ..self.lifetime.add_to(self.rule.spec())
        }
    }
}

/// Input that ends a subscription.
#[derive(InputObject)]
pub(in crate::schema) struct DeleteSubscriptionInput {
    /// Token from the link to the owner's subscriptions; not needed with an API key.
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
    /// Token from the link to the owner's subscriptions; not needed with an API key.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
}

/// Input that snoozes a subscription.
#[derive(InputObject)]
pub(in crate::schema) struct SnoozeSubscriptionInput {
    /// Token from the link to the owner's subscriptions; not needed with an API key.
    pub(super) token: Option<String>,
    /// Id of the subscription.
    pub(super) id: ID,
    /// End of the snooze; until then it is evaluated without a message.
    pub(super) until: DateTime,
}

/// Input that requests a mail with the link to the address's subscriptions.
#[derive(InputObject)]
pub(in crate::schema) struct RequestManageLinkInput {
    /// The mail address.
    pub(super) address: String,
}
