//! Which alerts a delivery tells of.

use sea_orm::entity::prelude::*;

/// An alert within a delivery; each alert is in one.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_alerts")]
pub struct Model {
    /// The alert.
    #[sea_orm(primary_key, auto_increment = false)]
    pub alert_id: String,
    /// The delivery.
    pub delivery_id: String,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
