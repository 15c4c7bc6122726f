//! Rule of a subscription, and its JSON form.

use marketlake_common::BoxError;
use marketlake_entities::records::subscriptions::Model;
use marketlake_model::rule_fields::{DEFAULT_COOLDOWN_MINUTES, DEFAULT_FOR_MINUTES};
use marketlake_model::{Direction, Exact, JumpRule, Millis, Pattern};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::AlertError;

/// The longest time before a sample that a rule looks at, in minutes.
pub const MAX_WINDOW_MINUTES: u32 = 1_440;

/// Rule of a subscription: the jump, and the limits of its alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Condition for a sample to be a jump.
    pub jump: JumpRule,
    /// Consecutive minutes that must jump before it fires; 1 or more. A minute without a sample
    /// does not count and does not break the row.
    pub for_minutes: u32,
    /// Multiple of the mean at or within which it resolves after firing; `None` for the factor
    /// itself.
    pub resolve_factor: Option<Exact>,
    /// Cooldown: minutes after an alert without a further one of the metric.
    pub cooldown: u32,
    /// Maximum number of alerts per UTC day.
    pub max_per_day: Option<u32>,
    /// Minutes from then on are not evaluated.
    pub expires_at: Option<Millis>,
    /// Number of alerts after which it expires.
    pub max_alerts: Option<u32>,
}

impl Rule {
    /// A jump rule with all other fields at their defaults.
    #[must_use]
    pub fn new(jump: JumpRule) -> Self {
        Self {
            jump,
            for_minutes: DEFAULT_FOR_MINUTES,
            resolve_factor: None,
            cooldown: DEFAULT_COOLDOWN_MINUTES,
            max_per_day: None,
            expires_at: None,
            max_alerts: None,
        }
    }

    /// Factor below which a firing rule resolves.
    #[must_use]
    pub fn resolve_threshold(&self) -> Exact {
        self.resolve_factor.unwrap_or(self.jump.factor)
    }

    /// The rule of a row.
    pub(crate) fn from_row(row: &Model) -> Result<Self, AlertError> {
        let corrupt = |reason: BoxError| AlertError::corrupt("subscriptions", &row.id, reason);
        if let Some(text) = &row.rule {
            return serde_json::from_str(text)
                .map_err(|error| corrupt(format!("rule: {error}").into()));
        }
        let count = |number: i32| u32::try_from(number).map_err(|error| corrupt(error.into()));
        Ok(Self::new(JumpRule {
            factor: row
                .factor
                .parse()
                .map_err(|error| corrupt(format!("factor: {error}").into()))?,
            window: count(row.window_minutes)?,
            min_samples: count(row.min_samples)?,
            direction: Direction::Up,
        }))
    }

    /// As it is written down.
    pub(crate) fn to_json(self) -> String {
        match serde_json::to_string(&self) {
            Ok(text) => text,
            // Text and numbers only.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// `above 3 times the mean of the 60 minutes before`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let JumpRule {
            factor,
            window,
            min_samples,
            direction,
        } = self.jump;
        let mut words = match direction {
            Direction::Up => {
                format!("above {factor} times the mean of the {window} minutes before")
            }
            Direction::Down => {
                format!("below the mean of the {window} minutes before divided by {factor}")
            }
        };
        words += &format!(", of at least {min_samples} samples");
        if self.for_minutes > 1 {
            words += &format!(", for {} minutes in a row", self.for_minutes);
        }
        words
    }
}

/// A rule with the metrics that it applies to, as the history of rules records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedRule {
    /// The metrics.
    pub pattern: Pattern,
    /// The rule.
    pub rule: Rule,
    /// End of a snooze; until then it is evaluated without a message.
    pub muted_until: Option<Millis>,
}

/// As JSON: numbers that must stay exact are text, times are milliseconds since 1970.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RuleJson {
    factor: String,
    window_minutes: u32,
    min_samples: u32,
    direction: String,
    for_minutes: u32,
    resolve_factor: Option<String>,
    cooldown_minutes: u32,
    max_per_day: Option<u32>,
    expires_at: Option<i64>,
    max_alerts: Option<u32>,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RuleJson {
            factor: self.jump.factor.to_string(),
            window_minutes: self.jump.window,
            min_samples: self.jump.min_samples,
            direction: self.jump.direction.to_string(),
            for_minutes: self.for_minutes,
            resolve_factor: self
                .resolve_factor
                .map(|resolve_factor| resolve_factor.to_string()),
            cooldown_minutes: self.cooldown,
            max_per_day: self.max_per_day,
            expires_at: self.expires_at.map(|at| at.0),
            max_alerts: self.max_alerts,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let written = RuleJson::deserialize(deserializer)?;
        let exact = |text: &str| text.parse::<Exact>().map_err(D::Error::custom);
        Ok(Self {
            jump: JumpRule {
                factor: exact(&written.factor)?,
                window: written.window_minutes,
                min_samples: written.min_samples,
                direction: written.direction.parse().map_err(D::Error::custom)?,
            },
            for_minutes: written.for_minutes,
            resolve_factor: written.resolve_factor.as_deref().map(exact).transpose()?,
            cooldown: written.cooldown_minutes,
            max_per_day: written.max_per_day,
            expires_at: written.expires_at.map(Millis),
            max_alerts: written.max_alerts,
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ScopedRuleJson {
    pattern: String,
    rule: Rule,
    muted_until: Option<i64>,
}

impl ScopedRule {
    pub(crate) fn write(&self) -> Result<String, AlertError> {
        let written = ScopedRuleJson {
            pattern: self.pattern.to_string(),
            rule: self.rule,
            muted_until: self.muted_until.map(|at| at.0),
        };
        serde_json::to_string(&written)
            .map_err(|error| AlertError::corrupt("rule_spans", "new", error))
    }

    pub(crate) fn read(id: i64, text: &str) -> Result<Self, AlertError> {
        let corrupt = |reason: BoxError| AlertError::corrupt("rule_spans", &id.to_string(), reason);
        let written: ScopedRuleJson =
            serde_json::from_str(text).map_err(|error| corrupt(error.into()))?;
        Ok(Self {
            pattern: AlertError::parsed("rule_spans", &id.to_string(), &written.pattern)?,
            rule: written.rule,
            muted_until: written.muted_until.map(Millis),
        })
    }
}
