//! The life of a subscription.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// One step of it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription_events")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose.
    pub subscription_id: String,
    /// `created`, `confirmed`, `paused`, `resumed`, `snoozed`, `edited`, `unsubscribed`, `suspended`, `expired`.
    pub kind: String,
    /// What changed, for people.
    pub detail: String,
    /// When.
    pub created_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
