//! Alerts of each delivery.

use sea_orm::entity::prelude::*;

/// An alert in a delivery; each alert is in exactly one.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_alerts")]
pub struct Model {
    /// Alert.
    #[sea_orm(primary_key, auto_increment = false)]
    pub alert_id: String,
    /// Delivery.
    pub delivery_id: String,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
