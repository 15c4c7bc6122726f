//! Request and response bodies of subscriptions.

use marketlake_alerts::subscriptions::in_words;
use marketlake_alerts::{Subscription, SubscriptionSpec};
use marketlake_http::problem::Problem;
use marketlake_model::with_rule_fields;
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

/// Converts a field to its form in a [`SubscriptionSpec`].
macro_rules! to_spec {
    (decimal $name:expr, $value:expr) => {
        $value.map(Number::into_text)
    };
    (text $name:expr, $value:expr) => {
        $value
    };
    (count $name:expr, $value:expr) => {
        $value
    };
    (time $name:expr, $value:expr) => {
        $value.map(|text| time($name, &text)).transpose()?
    };
}

macro_rules! define_input {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Input of a new subscription.
        #[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct SubscriptionInput {
            /// Metrics: a name, a list separated by commas, or a pattern.
            #[schema(example = "hottry:volume")]
            metric: String,
            /// Mail address of its owner, who must confirm it by mail. It cannot be changed later.
            address: Option<String>,
            $($(#[$jump_doc])* $jump: Option<$jump_type>,)*
            $($(#[$doc])* $field: Option<$type>,)*
            $($(#[$end_doc])* $end: Option<$end_type>,)*
            /// The reader's time zone, by its IANA name; default UTC.
            time_zone: Option<String>,
            /// Channel of its alerts; default mail.
            channel: Option<String>,
            /// HTTPS URL that webhooks are sent to.
            endpoint: Option<String>,
        }

        impl SubscriptionInput {
            pub(super) fn into_spec(self) -> Result<SubscriptionSpec, Problem> {
                Ok(SubscriptionSpec {
                    metric: self.metric,
                    $($jump: to_spec!($jump_kind stringify!($jump), self.$jump),)*
                    $($field: to_spec!($kind stringify!($field), self.$field),)*
                    $($end: to_spec!($end_kind stringify!($end), self.$end),)*
                    address: self.address.unwrap_or_default(),
                    time_zone: self.time_zone,
                    channel: self.channel,
                    endpoint: self.endpoint,
                })
            }
        }
    };
}

with_rule_fields!(
    define_input,
    decimal: Number,
    text: String,
    count: i64,
    time: String
);

impl Number {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
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
    /// Multiple of the mean at or within which it resolves after firing.
    resolve_factor: String,
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
            resolve_factor: rule.resolve_threshold().to_string(),
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
