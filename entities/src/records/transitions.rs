//! History of rule states, with the reason of each change.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

pub use super::rule_states::RuleStatus;

/// A change of state.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "transitions")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Subscription.
    pub subscription_id: String,
    /// Metric.
    pub metric: String,
    /// Minute of the change.
    pub ts: Millis,
    /// State before.
    pub from_state: RuleStatus,
    /// State after.
    pub to_state: RuleStatus,
    /// State that it resumes when data returns after `no_data`.
    pub resume_state: RuleStatus,
    /// Consecutive minutes beyond the factor.
    pub streak: i32,
    /// Reason, for people.
    pub reason: String,
    /// `value / mean`, if there was a mean.
    pub ratio: Option<f64>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
