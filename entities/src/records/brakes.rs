//! What slows or stops deliveries: a server that said 421, or an operator.

use sea_orm::entity::prelude::*;

use crate::Millis;

/// A brake.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "brakes")]
pub struct Model {
    /// What it holds: `all`, or a channel.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Nothing is begun before this instant.
    pub until: Millis,
    /// How often the server has said so in a row; 0 for an operator's.
    pub failures: i32,
    /// Why.
    pub reason: String,
    /// When it was set.
    pub set_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
