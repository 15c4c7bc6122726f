//! Inputs of a rule, from the table of its fields.

use async_graphql::{InputObject, Result};
use marketlake_alerts::SubscriptionSpec;
use marketlake_http::jump_query;
use marketlake_model::{JumpRule, with_rule_fields};

use super::errors::{bad_argument, field_name};
use super::scalars::{DateTime, Decimal};

/// Converts a field to its form in a [`SubscriptionSpec`].
macro_rules! to_spec {
    (decimal $value:expr) => {
        $value.map(|decimal| decimal.0.to_string())
    };
    (text $value:expr) => {
        $value.clone()
    };
    (count $value:expr) => {
        $value
    };
    (time $value:expr) => {
        $value.map(|at| at.0)
    };
}

macro_rules! define_inputs {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Definition of a jump: the value of a sample is strictly above the factor times the mean
        /// of the samples before it, itself left out; or downwards strictly below the mean divided
        /// by the factor.
        #[derive(InputObject, Default)]
        pub(super) struct JumpRuleInput {
            $($(#[$jump_doc])* $jump: Option<$jump_type>,)*
        }

        /// Rule of an alert subscription, and its metrics.
        #[derive(InputObject)]
        pub(super) struct RuleInput {
            /// Metrics: a name, a list separated by commas, or a pattern: binance:hottry, *usdt,
            /// binance:*:volume. Without a market it is about that pair on every market.
            metric: String,
            $($(#[$jump_doc])* $jump: Option<$jump_type>,)*
            $($(#[$doc])* $field: Option<$type>,)*
        }

        /// End of an alert subscription.
        #[derive(InputObject)]
        pub(super) struct LifetimeInput {
            $($(#[$end_doc])* $end: Option<$end_type>,)*
        }

        impl JumpRuleInput {
            fn spec(&self) -> SubscriptionSpec {
                SubscriptionSpec {
                    metric: "*".to_owned(),
                    $($jump: to_spec!($jump_kind self.$jump),)*
                    ..SubscriptionSpec::default()
                }
            }
        }

        impl RuleInput {
            pub(super) fn spec(&self) -> SubscriptionSpec {
                SubscriptionSpec {
                    metric: self.metric.clone(),
                    $($jump: to_spec!($jump_kind self.$jump),)*
                    $($field: to_spec!($kind self.$field),)*
                    ..SubscriptionSpec::default()
                }
            }
        }

        impl LifetimeInput {
            /// Adds it to a rule.
            pub(super) fn add_to(&self, rule: SubscriptionSpec) -> SubscriptionSpec {
                SubscriptionSpec {
                    $($end: to_spec!($end_kind self.$end),)*
                    ..rule
                }
            }
        }
    };
}

with_rule_fields!(
    define_inputs,
    decimal: Decimal,
    text: String,
    count: i64,
    time: DateTime
);

impl JumpRuleInput {
    pub(super) fn rule(&self) -> Result<JumpRule> {
        jump_query::parse_rule(&self.spec()).map_err(|(field, reason)| {
            bad_argument(&format!("rule.{}", field_name(field)), &reason)
        })
    }
}
