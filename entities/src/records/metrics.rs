//! Directory of all metrics that were ever committed.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A metric.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "metrics")]
pub struct Model {
    /// Id, `market:pair[:measure]`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Exchange.
    pub market: String,
    /// Trading pair.
    pub pair: String,
    /// Measure, such as `price` or `volume`.
    pub measure: String,
    /// Time of its first commit.
    pub created_at: Millis,
    /// Time of the first commit by a feed; `None` where only imports brought it.
    pub recorded_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
