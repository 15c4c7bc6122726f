//! Flags of a rule, from the table of its fields.

use clap::Args;
use marketlake_alerts::{FieldError, SubscriptionSpec};
use marketlake_http::jump_query;
use marketlake_model::{JumpRule, parse_time, with_rule_fields};

use super::Usage;

/// Converts a flag to its form in a [`SubscriptionSpec`].
macro_rules! to_spec {
    (decimal $name:expr, $value:expr) => {
        $value
    };
    (text $name:expr, $value:expr) => {
        $value
    };
    (count $name:expr, $value:expr) => {
        $value
    };
    (time $name:expr, $value:expr) => {
        match $value.as_deref().map(parse_time).transpose() {
            Ok(at) => at,
            Err(error) => return Err(Usage(format!("{}: {error}", flag($name)))),
        }
    };
}

macro_rules! define_args {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Flags of a rule.
        #[derive(Args)]
        pub(super) struct RuleArgs {
            /// Metrics: a name, a list separated by commas, or a pattern: hottry, *usdt,
            /// binance:*:volume.
            #[arg(long, value_name = "M")]
            metric: String,
            $($(#[$jump_doc])* #[arg(long)] $jump: Option<$jump_type>,)*
            $($(#[$doc])* #[arg(long)] $field: Option<$type>,)*
            $($(#[$end_doc])* #[arg(long)] $end: Option<$end_type>,)*
        }

        /// Flags of the definition of a jump.
        #[derive(Args)]
        pub(super) struct JumpRuleArgs {
            $($(#[$jump_doc])* #[arg(long)] $jump: Option<$jump_type>,)*
        }

        impl RuleArgs {
            pub(super) fn into_spec(self) -> Result<SubscriptionSpec, Usage> {
                Ok(SubscriptionSpec {
                    metric: self.metric,
                    $($jump: to_spec!($jump_kind stringify!($jump), self.$jump),)*
                    $($field: to_spec!($kind stringify!($field), self.$field),)*
                    $($end: to_spec!($end_kind stringify!($end), self.$end),)*
                    ..SubscriptionSpec::default()
                })
            }
        }

        impl JumpRuleArgs {
            fn spec(&self) -> SubscriptionSpec {
                SubscriptionSpec {
                    metric: "*".to_owned(),
                    $($jump: self.$jump.clone(),)*
                    ..SubscriptionSpec::default()
                }
            }
        }
    };
}

with_rule_fields!(
    define_args,
    decimal: String,
    text: String,
    count: i64,
    time: String
);

impl JumpRuleArgs {
    pub(super) fn rule(&self) -> Result<JumpRule, Usage> {
        jump_query::parse_rule(&self.spec())
            .map_err(|(field, reason)| Usage(format!("{}: {reason}", flag(field))))
    }
}

/// Joins errors of fields to one line that names the flags.
pub(super) fn usage(errors: Vec<FieldError>) -> Usage {
    let named = errors
        .into_iter()
        .map(|error| format!("{}: {}", flag(error.field), error.message));
    Usage(named.collect::<Vec<_>>().join("; "))
}

/// Converts the name of a field (`window_minutes`) to its flag (`--window-minutes`).
fn flag(field: &str) -> String {
    format!("--{}", field.replace('_', "-"))
}
