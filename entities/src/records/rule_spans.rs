//! Revisions of each subscription's rule, with the minutes that they were in force for.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A revision and its minutes.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_spans")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Subscription.
    pub subscription_id: String,
    /// Revision of the subscription.
    pub revision: i32,
    /// Pattern, rule and mute, as JSON.
    pub spec: String,
    /// First minute that was evaluated with it.
    pub from_ts: Millis,
    /// First minute that was not; `None` while it is in force.
    pub to_ts: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
