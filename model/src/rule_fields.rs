//! Fields of a rule, once: names, documentation, defaults.
//!
//! [`with_rule_fields!`](crate::with_rule_fields) calls a macro with the table of fields. Each API
//! declares its input type from it: GraphQL, REST, the command line, the form, rule specs in YAML.
//! An API renames a field by case only: `window_minutes` is `windowMinutes` in GraphQL and
//! `--window-minutes` on the command line.

/// Default factor.
pub const DEFAULT_FACTOR: i64 = 3;
/// Default window, in minutes.
pub const DEFAULT_WINDOW_MINUTES: u32 = 60;
/// Default cooldown, in minutes.
pub const DEFAULT_COOLDOWN_MINUTES: u32 = 60;
/// Default number of consecutive minutes that must jump.
pub const DEFAULT_FOR_MINUTES: u32 = 1;
/// Default share of the window's minutes that must have a sample, as (numerator, denominator): 45
/// of 60.
const DEFAULT_MIN_SHARE: (u32, u32) = (3, 4);

/// Default minimum number of samples of a window: its share, rounded up.
#[must_use]
pub fn default_min_samples(window_minutes: u32) -> u32 {
    let (numerator, denominator) = DEFAULT_MIN_SHARE;
    (window_minutes * numerator).div_ceil(denominator)
}

/// Calls `$define!` with the fields of a rule in three groups: `jump` decides whether a sample
/// jumps, `alerting` whether a jump is an alert, `lifetime` when the rule ends. A field is
/// `name: kind Type,`, where `$decimal` and the others give the type of each kind.
#[macro_export]
macro_rules! with_rule_fields {
    (
        $define:ident,
        decimal: $decimal:ident,
        text: $text:ident,
        count: $count:ident,
        time: $time:ident
    ) => {
        $define! {
            jump {
                /// Multiple of the mean that a sample must exceed, above 1; default 3.
                factor: decimal $decimal,
                /// up: strictly above the mean times the factor; down: strictly below the mean
                /// divided by it; default up.
                direction: text $text,
                /// Window of the mean, in minutes, 1 to 1,440; default 60.
                window_minutes: count $count,
                /// Minimum number of samples in the window; default three quarters of it, rounded
                /// up.
                min_samples: count $count,
            }
            alerting {
                /// Consecutive minutes that must jump before it fires, 1 to 60; default 1.
                for_minutes: count $count,
                /// Multiple of the mean at or within which it resolves after firing, 1 to the
                /// factor; default the factor.
                resolve_factor: decimal $decimal,
                /// Cooldown: minutes after an alert without a further one of the metric, up to a
                /// week; default 60.
                cooldown_minutes: count $count,
                /// Maximum number of alerts per UTC day; default no limit.
                max_per_day: count $count,
            }
            lifetime {
                /// Time at which the subscription expires; default never.
                expires_at: time $time,
                /// Number of alerts after which the subscription expires; default no limit.
                max_alerts: count $count,
            }
        }
    };
}

macro_rules! define_names {
    (
        jump { $($(#[doc = $jump_doc:literal])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[doc = $doc:literal])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[doc = $end_doc:literal])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// Name and description of each field, in order.
        pub const RULE_FIELDS: &[(&str, &str)] = &[
            $((stringify!($jump), concat!($($jump_doc),*)),)*
            $((stringify!($field), concat!($($doc),*)),)*
            $((stringify!($end), concat!($($end_doc),*)),)*
        ];
    };
}

with_rule_fields!(define_names, decimal: unused, text: unused, count: unused, time: unused);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_quarters_of_an_hour_are_enough() {
        assert_eq!(default_min_samples(60), 45);
        assert_eq!(default_min_samples(1), 1);
        assert_eq!(default_min_samples(10), 8);
    }

    #[test]
    fn descriptions_name_the_defaults_in_force() {
        let description = |name: &str| {
            let found = RULE_FIELDS.iter().find(|(field, _)| *field == name);
            found.map(|(_, description)| *description).expect(name)
        };
        for (name, default) in [
            ("factor", DEFAULT_FACTOR.to_string()),
            ("window_minutes", DEFAULT_WINDOW_MINUTES.to_string()),
            ("for_minutes", DEFAULT_FOR_MINUTES.to_string()),
            ("cooldown_minutes", DEFAULT_COOLDOWN_MINUTES.to_string()),
        ] {
            let text = description(name);
            assert!(
                text.ends_with(&format!("default {default}.")),
                "{name}: {text}"
            );
        }
        assert_eq!(DEFAULT_MIN_SHARE, (3, 4));
        assert!(description("min_samples").contains("default three quarters of it"));
    }
}
