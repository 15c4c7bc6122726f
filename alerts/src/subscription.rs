//! Who wants to hear of which jumps.

use lettre::Address;
use marketlake_entities::records::subscriptions::{ActiveModel, Column, Entity, Model, State};
use marketlake_entities::{Exact, JumpRule, Millis, Pattern};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set,
};
use uuid::Uuid;

use crate::AlertError;

/// The longest address that SMTP carries (RFC 5321, 4.5.3.1.3, less the brackets).
const LONGEST_ADDRESS: usize = 254;
const LONGEST_WINDOW: i64 = 1_440;

/// A subscription in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// A random UUID.
    pub id: String,
    /// The metrics that it is about.
    pub pattern: Pattern,
    /// When a sample is a jump.
    pub rule: JumpRule,
    /// Mail address.
    pub address: String,
    /// When it was made.
    pub created_at: Millis,
}

/// What a person asks for, as typed.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// A metric or a pattern: `hottry`, `*usdt`, `binance:*:volume`.
    pub metric: String,
    /// Times the mean, as decimal text; 3 where there is none.
    pub factor: Option<String>,
    /// Length of the time that the mean is of, in minutes; 60 where there is none.
    pub window_minutes: Option<i64>,
    /// The fewest samples in that time; three quarters of it where there is none.
    pub min_samples: Option<i64>,
    /// Mail address.
    pub address: String,
}

/// One thing that is wrong with what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What was expected and what was there.
    pub message: String,
    /// A stable word for programs.
    pub code: &'static str,
}

impl NewSubscription {
    /// Checks all fields at once.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check(&self) -> Result<(Pattern, JumpRule, String), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut fail = |field, message: String| {
            errors.push(FieldError {
                field,
                message,
                code: "INVALID",
            });
        };
        let pattern = self
            .metric
            .parse::<Pattern>()
            .map_err(|error| fail("metric", error.to_string()))
            .ok();
        let factor = check_factor(self.factor.as_deref().unwrap_or("3"))
            .map_err(|m| fail("factor", m))
            .ok();
        let window = check_count(self.window_minutes.unwrap_or(60), LONGEST_WINDOW)
            .map_err(|m| fail("windowMinutes", m))
            .ok();
        let default_rule = JumpRule::with_window(Exact::ZERO, window.unwrap_or(60));
        let least = self
            .min_samples
            .unwrap_or_else(|| i64::from(default_rule.min_samples));
        let min_samples = check_count(least, i64::from(default_rule.window))
            .map_err(|m| fail("minSamples", m))
            .ok();
        let address = check_address(&self.address)
            .map_err(|m| fail("address", m))
            .ok();
        match (pattern, factor, window, min_samples, address) {
            (Some(pattern), Some(factor), Some(window), Some(min_samples), Some(address)) => Ok((
                pattern,
                JumpRule {
                    factor,
                    window,
                    min_samples,
                },
                address,
            )),
            _ => Err(errors),
        }
    }
}

fn check_factor(text: &str) -> Result<Exact, String> {
    let factor = text.parse::<Exact>().map_err(|error| error.to_string())?;
    let in_range = factor.to_f64() > 1.0 && factor.to_f64() <= 1e6;
    if in_range && factor.scale() <= 6 {
        return Ok(factor);
    }
    Err(format!(
        "expected a number above 1 and at most 1000000 with at most 6 decimals, got {text}"
    ))
}

fn check_count(number: i64, most: i64) -> Result<u32, String> {
    let fits = (1..=most).contains(&number);
    fits.then(|| u32::try_from(number).ok())
        .flatten()
        .ok_or_else(|| format!("expected a number from 1 to {most}, got {number}"))
}

fn check_address(text: &str) -> Result<String, String> {
    let shown: String = text.chars().take(80).collect();
    let wrong = || format!("expected a mail address like name@example.com, got {shown:?}");
    let address = text.trim().parse::<Address>().map_err(|_| wrong())?;
    let domain_is_a_name = address.domain().contains('.') && !address.domain().starts_with('[');
    if text.len() > LONGEST_ADDRESS || !domain_is_a_name {
        return Err(wrong());
    }
    Ok(address.to_string())
}

impl Subscription {
    /// Makes a subscription of what was typed.
    ///
    /// # Errors
    /// Outer: the database failed. Inner: every field that is wrong; nothing is made then.
    pub async fn create(
        connection: &impl ConnectionTrait,
        new: &NewSubscription,
        now: Millis,
    ) -> Result<Result<Self, Vec<FieldError>>, AlertError> {
        let (pattern, rule, address) = match new.check() {
            Ok(checked) => checked,
            Err(errors) => return Ok(Err(errors)),
        };
        let row = ActiveModel {
            id: Set(Uuid::new_v4().to_string()),
            state: Set(State::Active),
            pattern: Set(pattern.to_string()),
            factor: Set(rule.factor.to_string()),
            window_minutes: Set(i32::try_from(rule.window).unwrap_or(i32::MAX)),
            min_samples: Set(i32::try_from(rule.min_samples).unwrap_or(i32::MAX)),
            address: Set(address),
            created_at: Set(now),
            deleted_at: Set(None),
        };
        Ok(Ok(Self::from_row(row.insert(connection).await?)?))
    }

    /// Ends a subscription; its alerts stay. `false` where there is none of that id in force.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete(
        connection: &impl ConnectionTrait,
        id: &str,
        now: Millis,
    ) -> Result<bool, AlertError> {
        let result = Entity::update_many()
            .set(ActiveModel {
                state: Set(State::Deleted),
                deleted_at: Set(Some(now)),
                ..Default::default()
            })
            .filter(Column::Id.eq(id))
            .filter(Column::State.eq(State::Active))
            .exec(connection)
            .await?;
        Ok(result.rows_affected == 1)
    }

    /// All subscriptions in force, oldest first.
    ///
    /// # Errors
    /// Where the database fails or holds what no code of ours writes.
    pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Self>, AlertError> {
        let rows = Entity::find()
            .filter(Column::State.eq(State::Active))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(connection)
            .await?;
        rows.into_iter().map(Self::from_row).collect()
    }

    pub(crate) fn from_row(row: Model) -> Result<Self, AlertError> {
        let corrupt = |reason: String| AlertError::Corrupt {
            table: "subscriptions",
            id: row.id.clone(),
            reason,
        };
        Ok(Self {
            pattern: row
                .pattern
                .parse()
                .map_err(|error| corrupt(format!("{error}")))?,
            rule: JumpRule {
                factor: row
                    .factor
                    .parse()
                    .map_err(|error| corrupt(format!("{error}")))?,
                window: u32::try_from(row.window_minutes)
                    .map_err(|error| corrupt(error.to_string()))?,
                min_samples: u32::try_from(row.min_samples)
                    .map_err(|error| corrupt(error.to_string()))?,
            },
            address: row.address.clone(),
            created_at: row.created_at,
            id: row.id,
        })
    }
}
