//! The flags of a rule.

use clap::Args;
use marketlake_alerts::{FieldError, NewSubscription};
use marketlake_model::parse_time;

use super::Usage;

/// When somebody is told of a metric.
#[derive(Args)]
pub(super) struct RuleFlags {
    /// A metric, a list parted by commas, or a pattern: hottry, *usdt, binance:*:volume.
    #[arg(long, value_name = "M")]
    metric: String,
    /// How many times the mean; 3, if not given.
    #[arg(long)]
    factor: Option<String>,
    /// up: above the mean times the factor; down: below the mean divided by it.
    #[arg(long)]
    direction: Option<String>,
    /// Length of the time before, in minutes; 60, if not given.
    #[arg(long)]
    window: Option<i64>,
    /// The fewest samples in that time; three quarters of it, if not given.
    #[arg(long)]
    min_samples: Option<i64>,
    /// Minutes in a row that must jump.
    #[arg(long)]
    sustain: Option<i64>,
    /// Calm again where a sample is no longer beyond so many times the mean.
    #[arg(long)]
    rearm: Option<String>,
    /// Minutes of quiet after an alert; 60, if not given.
    #[arg(long)]
    cooldown: Option<i64>,
    /// The most alerts a UTC day.
    #[arg(long)]
    most_per_day: Option<i64>,
    /// After how many alerts it ends.
    #[arg(long)]
    most_alerts: Option<i64>,
    /// When it ends.
    #[arg(long, value_name = "TS")]
    expires: Option<String>,
}

impl RuleFlags {
    pub(super) fn into_new(self) -> Result<NewSubscription, Usage> {
        let expires_at = self.expires.as_deref().map(parse_time).transpose();
        Ok(NewSubscription {
            metric: self.metric,
            factor: self.factor,
            window_minutes: self.window,
            min_samples: self.min_samples,
            direction: self.direction,
            sustain_minutes: self.sustain,
            rearm: self.rearm,
            cooldown_minutes: self.cooldown,
            most_per_day: self.most_per_day,
            most_alerts: self.most_alerts,
            expires_at: expires_at.map_err(|error| Usage(format!("--expires: {error}")))?,
            ..NewSubscription::default()
        })
    }
}

/// What is wrong with fields, on one line.
pub(super) fn usage(errors: Vec<FieldError>) -> Usage {
    let said = errors
        .into_iter()
        .map(|e| format!("{}: {}", e.field, e.message));
    Usage(said.collect::<Vec<_>>().join("; "))
}
