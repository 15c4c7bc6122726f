//! Subscriptions to alerts.

mod input;
mod mutations;
mod query;
mod types;

pub(super) use mutations::SubscriptionsMutation;
pub(super) use query::SubscriptionsQuery;
pub(super) use types::{Alert, Subscription, UserError};
