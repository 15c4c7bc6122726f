//! Throttles of deliveries: a server, domain, host or address that asked for time, or an operator's
//! stop.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Deliveries that a throttle holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Scope {
    /// Every delivery: the operator's switch.
    All,
    /// Every delivery of a lane: `mail` or `webhook`.
    Channel,
    /// Every delivery to a recipient domain (`mail:example.com`) or host
    /// (`webhook:example.com:443`).
    Destination,
    /// Every delivery to one address.
    Address,
}

/// A throttle.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_throttles")]
pub struct Model {
    /// Which deliveries it holds back.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: Scope,
    /// The lane, destination or address; `all` for the operator's switch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// No delivery begins before this instant.
    pub until: Millis,
    /// Failures in a row; 0 for an operator's.
    pub failures: i32,
    /// Last failure, or the operator's reason.
    pub reason: String,
    /// When it was set.
    pub set_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
