//! Samples that alerts were decided on.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Samples up to one minute of one metric; shared by all alerts of the same window.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "evidence")]
pub struct Model {
    /// A UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Metric.
    pub metric: String,
    /// Minute that was evaluated.
    pub ts: Millis,
    /// Length of the window, in minutes.
    pub window_minutes: i32,
    /// `[["ts","value"],..]` as JSON; the evaluated sample is the last.
    pub samples: String,
    /// Ids of the live segments that contained them, as JSON.
    pub segments: String,
    /// Time of creation.
    pub created_at: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
