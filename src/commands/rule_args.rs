//! Flags of a rule.

use clap::Args;
use marketlake_alerts::{FieldError, NewSubscription};
use marketlake_model::parse_time;

use super::Usage;

/// Flags of a rule.
#[derive(Args)]
pub(super) struct RuleArgs {
    /// Metrics: a name, a list separated by commas, or a pattern: hottry, *usdt, binance:*:volume.
    #[arg(long, value_name = "M")]
    metric: String,
    /// Multiple of the mean that a sample must exceed; default 3.
    #[arg(long)]
    factor: Option<String>,
    /// up: above the mean times the factor; down: below the mean divided by the factor.
    #[arg(long)]
    direction: Option<String>,
    /// Window of the mean, in minutes; default 60.
    #[arg(long)]
    window_minutes: Option<i64>,
    /// Minimum number of samples in the window; default three quarters of it.
    #[arg(long)]
    min_samples: Option<i64>,
    /// Consecutive minutes that must jump before it fires; default 1.
    #[arg(long)]
    for_minutes: Option<i64>,
    /// Multiple of the mean at or within which it resolves after firing; default the factor.
    #[arg(long)]
    resolve_factor: Option<String>,
    /// Minutes after an alert in which no further alert is sent; default 60.
    #[arg(long)]
    cooldown_minutes: Option<i64>,
    /// Maximum number of alerts per UTC day; default no limit.
    #[arg(long)]
    max_per_day: Option<i64>,
    /// Number of alerts after which the subscription expires; default never.
    #[arg(long)]
    max_alerts: Option<i64>,
    /// Time at which the subscription expires, RFC 3339; default never.
    #[arg(long, value_name = "TS")]
    expires_at: Option<String>,
}

impl RuleArgs {
    pub(super) fn into_new(self) -> Result<NewSubscription, Usage> {
        let expires_at = self.expires_at.as_deref().map(parse_time).transpose();
        Ok(NewSubscription {
            metric: self.metric,
            factor: self.factor,
            window_minutes: self.window_minutes,
            min_samples: self.min_samples,
            direction: self.direction,
            for_minutes: self.for_minutes,
            resolve_factor: self.resolve_factor,
            cooldown_minutes: self.cooldown_minutes,
            max_per_day: self.max_per_day,
            max_alerts: self.max_alerts,
            expires_at: expires_at.map_err(|error| Usage(format!("--expires-at: {error}")))?,
            ..NewSubscription::default()
        })
    }
}

/// Joins errors of fields to one line that names the flags.
pub(super) fn usage(errors: Vec<FieldError>) -> Usage {
    let named = errors
        .into_iter()
        .map(|error| format!("{}: {}", flag(error.field), error.message));
    Usage(named.collect::<Vec<_>>().join("; "))
}

/// Converts the name of a field (`windowMinutes`) to its flag (`--window-minutes`).
fn flag(field: &str) -> String {
    let mut flag = "--".to_owned();
    for c in field.chars() {
        if c.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(c.to_ascii_lowercase());
    }
    flag
}
