//! State of a subscription's rule on a metric. No row: ok.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// State of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum RuleStatus {
    /// No jump.
    Ok,
    /// Beyond the factor, for fewer minutes than `for_minutes`.
    Pending,
    /// Jumped and not resolved.
    Firing,
    /// Too few samples, or a mean that is not above zero.
    NoData,
}

impl fmt::Display for RuleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// State of a rule.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_states")]
pub struct Model {
    /// Subscription.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscription_id: String,
    /// Metric.
    #[sea_orm(primary_key, auto_increment = false)]
    pub metric: String,
    /// State.
    pub state: RuleStatus,
    /// State that it resumes when data returns after `no_data`.
    pub resume_state: RuleStatus,
    /// Consecutive minutes beyond the factor.
    pub streak: i32,
    /// Minute since which it is in its state.
    pub since: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
