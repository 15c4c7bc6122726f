//! Identity of the lake that the catalog describes; also stored as `lake.json`.

use sea_orm::entity::prelude::*;

/// The one row.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "lake_identity")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    /// UUID of the lake.
    pub lake_id: String,
    /// Number of deletion batches that were begun.
    pub sequence: i64,
    /// Random token of the batch that was begun last.
    pub token: String,
    /// Token of the one before, which `lake.json` may still contain after a crash.
    pub previous_token: Option<String>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
