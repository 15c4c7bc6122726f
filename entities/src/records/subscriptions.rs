//! Who wants to hear of which jumps.

use sea_orm::entity::prelude::*;

use crate::Millis;

/// Whether a subscription is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Each jump makes an alert.
    Active,
    /// Ended by its owner; kept for its history.
    Deleted,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    /// A random UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Whether it is in force.
    pub state: State,
    /// The metrics that it is about.
    pub pattern: String,
    /// Times the mean, as decimal text.
    pub factor: String,
    /// Length of the time that the mean is of, in minutes.
    pub window_minutes: i32,
    /// The fewest samples in that time.
    pub min_samples: i32,
    /// Mail address.
    pub address: String,
    /// When it was made.
    pub created_at: Millis,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
