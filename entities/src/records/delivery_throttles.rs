//! Throttles of deliveries: of a server, domain, host or address after failures, or by an operator.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Scope of a throttle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum ThrottleScope {
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
    /// Scope.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: ThrottleScope,
    /// The lane, destination or address; `all` for the operator's switch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Time before which no delivery begins.
    pub until: Millis,
    /// Failures in a row; 0 for an operator's.
    pub failures: i32,
    /// Last failure, or the operator's reason.
    pub reason: String,
    /// Time at which it was set.
    pub set_at: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
