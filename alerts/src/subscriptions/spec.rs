//! Specification of a subscription, and its validation.

use chrono_tz::Tz;
use marketlake_common::excerpt;
use marketlake_entities::records::subscriptions::ChannelKind;
use marketlake_model::rule_fields::{DEFAULT_COOLDOWN_MINUTES, DEFAULT_FOR_MINUTES};
use marketlake_model::{Direction, Exact, JumpRule, Metric, Millis, Pattern, with_rule_fields};

use crate::address::{check_address, check_endpoint};
use crate::error::FieldError;
use crate::rules::rule::{MAX_WINDOW_MINUTES, Rule};

const MAX_FOR_MINUTES: i64 = 60;
const MAX_COOLDOWN_MINUTES: i64 = 7 * 1_440;
const MAX_MAX_ALERTS: i64 = 1_000_000;

macro_rules! define_spec {
    (
        jump { $($(#[$jump_doc:meta])* $jump:ident: $jump_kind:ident $jump_type:ident,)* }
        alerting { $($(#[$doc:meta])* $field:ident: $kind:ident $type:ident,)* }
        lifetime { $($(#[$end_doc:meta])* $end:ident: $end_kind:ident $end_type:ident,)* }
    ) => {
        /// A subscription as its owner writes it: what is absent has its default.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct SubscriptionSpec {
            /// Metrics: a name, a list separated by commas, or a pattern: `hottry`,
            /// `hottry,btcusdt`, `*usdt`, `binance:*:volume`.
            pub metric: String,
            $($(#[$jump_doc])* pub $jump: Option<$jump_type>,)*
            $($(#[$doc])* pub $field: Option<$type>,)*
            $($(#[$end_doc])* pub $end: Option<$end_type>,)*
            /// Mail address of its owner.
            pub address: String,
            /// The reader's time zone, by its IANA name; default UTC.
            pub time_zone: Option<String>,
            /// Channel of its alerts; default mail.
            pub channel: Option<String>,
            /// HTTPS URL of a webhook.
            pub endpoint: Option<String>,
        }
    };
}

with_rule_fields!(
    define_spec,
    decimal: String,
    text: String,
    count: i64,
    time: Millis
);

/// A valid specification.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidSubscription {
    /// The metrics.
    pub pattern: Pattern,
    /// The rule.
    pub rule: Rule,
    /// The owner's address, in the form in which it is kept.
    pub address: String,
    /// The reader's time zone.
    pub time_zone: Tz,
    /// Channel of its alerts.
    pub channel: ChannelKind,
    /// URL, for channels other than mail.
    pub endpoint: Option<String>,
}

impl SubscriptionSpec {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check(&self) -> Result<ValidSubscription, Vec<FieldError>> {
        let mut errors = Vec::new();
        let pattern = collect_error(&mut errors, "metric", self.metric.parse::<Pattern>());
        let rule = self.rule(&mut errors);
        let address = collect_error(&mut errors, "address", check_address(&self.address));
        let time_zone = check_time_zone(self.time_zone.as_deref().unwrap_or("UTC"));
        let time_zone = collect_error(&mut errors, "time_zone", time_zone);
        let channel = match self.channel.as_deref() {
            Some(text) => text.parse(),
            None => Ok(ChannelKind::Mail),
        };
        let channel = collect_error(&mut errors, "channel", channel);
        let endpoint = check_target(channel, self.endpoint.as_deref());
        let endpoint = collect_error(&mut errors, "endpoint", endpoint);
        match (rule, pattern, address, time_zone, channel, endpoint) {
            (
                Some(rule),
                Some(pattern),
                Some(address),
                Some(time_zone),
                Some(channel),
                Some(endpoint),
            ) if errors.is_empty() => Ok(ValidSubscription {
                pattern,
                rule,
                address,
                time_zone,
                channel,
                endpoint,
            }),
            _ => Err(errors),
        }
    }

    /// Checks all fields of a subscription that is made or edited at a time, before which it cannot
    /// expire.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check_at(&self, now: Millis) -> Result<ValidSubscription, Vec<FieldError>> {
        let checked = self.check();
        let Some(end) = self.expires_at.filter(|end| *end <= now) else {
            return checked;
        };
        let mut errors = checked.err().unwrap_or_default();
        let problem = format!("expected a time after {now}, got {end}");
        errors.push(FieldError::invalid("expires_at", problem));
        Err(errors)
    }

    /// Checks pattern and rule only: all that a backtest needs.
    ///
    /// # Errors
    /// Every field of those that is wrong.
    pub fn check_rule(&self) -> Result<(Pattern, Rule), Vec<FieldError>> {
        let mut errors = Vec::new();
        let pattern = collect_error(&mut errors, "metric", self.metric.parse::<Pattern>());
        let rule = self.rule(&mut errors);
        rule.zip(pattern)
            .map(|(rule, pattern)| (pattern, rule))
            .filter(|_| errors.is_empty())
            .ok_or(errors)
    }

    fn rule(&self, errors: &mut Vec<FieldError>) -> Option<Rule> {
        let default = JumpRule::default();
        let factor = match self.factor.as_deref() {
            Some(text) => check_factor(text),
            None => Ok(default.factor),
        };
        let factor = collect_error(errors, "factor", factor);
        let window = self.window_minutes.unwrap_or(default.window.into());
        let window = check_count(window, 1, i64::from(MAX_WINDOW_MINUTES));
        let window = collect_error(errors, "window_minutes", window);
        let usual = JumpRule::with_window(Exact::ZERO, window.unwrap_or(default.window));
        let min = self
            .min_samples
            .unwrap_or_else(|| i64::from(usual.min_samples));
        let min_samples = check_count(min, 1, i64::from(usual.window));
        let min_samples = collect_error(errors, "min_samples", min_samples);
        let direction = self.direction.as_deref().map(str::parse::<Direction>);
        let direction = collect_error(errors, "direction", direction.transpose());
        let direction = direction.map(Option::unwrap_or_default);
        let for_minutes = self.for_minutes.unwrap_or(DEFAULT_FOR_MINUTES.into());
        let for_minutes = check_count(for_minutes, 1, MAX_FOR_MINUTES);
        let for_minutes = collect_error(errors, "for_minutes", for_minutes);
        let resolve_factor = self
            .resolve_factor
            .as_deref()
            .map(|text| check_resolve_factor(text, factor));
        let resolve_factor = collect_error(errors, "resolve_factor", resolve_factor.transpose());
        let cooldown = self
            .cooldown_minutes
            .unwrap_or_else(|| i64::from(DEFAULT_COOLDOWN_MINUTES));
        let cooldown = collect_error(
            errors,
            "cooldown_minutes",
            check_count(cooldown, 0, MAX_COOLDOWN_MINUTES),
        );
        let limit = |number: Option<i64>, max| number.map(|n| check_count(n, 1, max)).transpose();
        let max_per_day = collect_error(errors, "max_per_day", limit(self.max_per_day, 1_440));
        let max_alerts =
            collect_error(errors, "max_alerts", limit(self.max_alerts, MAX_MAX_ALERTS));
        Some(Rule {
            jump: JumpRule {
                factor: factor?,
                window: window?,
                min_samples: min_samples?,
                direction: direction?,
            },
            for_minutes: for_minutes?,
            resolve_factor: resolve_factor?,
            cooldown: cooldown?,
            max_per_day: max_per_day?,
            expires_at: self.expires_at,
            max_alerts: max_alerts?,
        })
    }
}

/// Returns the value of a field, or collects its error.
fn collect_error<T, E: ToString>(
    errors: &mut Vec<FieldError>,
    field: &'static str,
    checked: Result<T, E>,
) -> Option<T> {
    checked
        .map_err(|error| errors.push(FieldError::invalid(field, error.to_string())))
        .ok()
}

fn check_factor(text: &str) -> Result<Exact, String> {
    let factor = text.parse::<Exact>().map_err(|error| error.to_string())?;
    let in_range = factor.to_f64() > 1.0 && factor.to_f64() <= 1e6;
    if in_range && factor.scale() <= 6 {
        return Ok(factor);
    }
    Err(format!(
        "expected a number above 1 and at most 1000000 with at most 6 decimals, got {}",
        excerpt(text)
    ))
}

fn check_resolve_factor(text: &str, factor: Option<Exact>) -> Result<Exact, String> {
    let resolve_factor = text.parse::<Exact>().map_err(|error| error.to_string())?;
    let max = factor.unwrap_or(resolve_factor);
    if resolve_factor.to_f64() >= 1.0 && resolve_factor <= max && resolve_factor.scale() <= 6 {
        return Ok(resolve_factor);
    }
    Err(format!(
        "expected a number from 1 to the factor with at most 6 decimals, got {}",
        excerpt(text)
    ))
}

fn check_count(number: i64, min: i64, max: i64) -> Result<u32, String> {
    let fits = (min..=max).contains(&number);
    fits.then(|| u32::try_from(number).ok())
        .flatten()
        .ok_or_else(|| format!("expected a number from {min} to {max}, got {number}"))
}

fn check_time_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| {
        let shown = excerpt(text);
        format!("expected a time zone like Europe/Istanbul, got {shown:?}")
    })
}

fn check_target(
    channel: Option<ChannelKind>,
    endpoint: Option<&str>,
) -> Result<Option<String>, String> {
    match (channel, endpoint) {
        (None | Some(ChannelKind::Mail), None) => Ok(None),
        (Some(ChannelKind::Mail), Some(_)) => Err("expected none for the channel mail".to_owned()),
        (Some(_), None) => Err("expected an https address".to_owned()),
        (_, Some(text)) => check_endpoint(text).map(|url| Some(url.to_string())),
    }
}

/// Counts the metrics of a lake that a pattern matches.
///
/// # Errors
/// If it matches none though there are some, or more than `max`.
pub fn check_matches<'a>(
    pattern: &Pattern,
    metrics: impl Iterator<Item = &'a Metric>,
    max: usize,
) -> Result<usize, FieldError> {
    let (mut all, mut meant) = (0_usize, 0_usize);
    for metric in metrics {
        all += 1;
        meant += usize::from(pattern.matches(metric));
    }
    let wrong = |message, code| {
        Err(FieldError {
            field: "metric",
            message,
            code,
        })
    };
    if meant == 0 && all > 0 {
        let message =
            format!("expected a pattern of one metric or more, {pattern} matches none of {all}");
        return wrong(message, "MATCHES_NOTHING");
    }
    if meant > max {
        let message =
            format!("expected a pattern of at most {max} metrics, {pattern} matches {meant}");
        return wrong(message, "MATCHES_TOO_MANY");
    }
    Ok(meant)
}
