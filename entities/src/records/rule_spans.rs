//! Which minutes were judged by which rule of a subscription.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A span of minutes.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rule_spans")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose rule it is.
    pub subscription_id: String,
    /// The subscription's revision.
    pub revision: i32,
    /// Pattern, rule and mute, as JSON.
    pub judged: String,
    /// The first minute that was judged by it.
    pub from_ts: Millis,
    /// The first minute that was not any more.
    pub to_ts: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
