//! The directory: every metric that was ever committed, so that a name can be resolved at any time.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "metrics")]
pub struct Model {
    /// Its id, `market:pair[:measure]`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// The exchange.
    pub market: String,
    /// The pair.
    pub pair: String,
    /// What is measured.
    pub measure: String,
    /// When it was first committed.
    pub created_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
