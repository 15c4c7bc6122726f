//! The rows that an alert was decided on.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// The rows before and at one minute of one metric; shared by all alerts of that window.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "evidence")]
pub struct Model {
    /// A UUID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The metric.
    pub metric: String,
    /// The minute that was judged.
    pub ts: Millis,
    /// How far back it reaches, in minutes.
    pub window_minutes: i32,
    /// `[["ts","value"],..]` as JSON, the judged one last.
    pub samples: String,
    /// Ids of the live segments that held them, as JSON.
    pub segments: String,
    /// When it was written.
    pub created_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
