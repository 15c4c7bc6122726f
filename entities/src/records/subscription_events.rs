//! Events in the lifecycle of subscriptions.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription_events")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Subscription.
    pub subscription_id: String,
    /// `created`, `confirmed`, `paused`, `resumed`, `snoozed`, `edited`, `unsubscribed`,
    /// `suspended` or `expired`.
    pub kind: String,
    /// Change, for people.
    pub detail: String,
    /// Time of the event.
    pub created_at: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
