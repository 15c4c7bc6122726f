//! States of a subscription in words.

use marketlake_entities::records::subscriptions::SubscriptionState;

/// A state in a word, as its owner sees it.
#[must_use]
pub fn in_words(state: SubscriptionState) -> &'static str {
    match state {
        SubscriptionState::Pending => "pending",
        SubscriptionState::Active => "active",
        SubscriptionState::Paused => "paused",
        SubscriptionState::Suspended => "suspended",
        SubscriptionState::Expired => "expired",
        SubscriptionState::Deleted => "unsubscribed",
    }
}
