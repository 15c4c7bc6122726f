//! What the detector knows of a subscription and a metric, where that is not simply ok.

use std::fmt;

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// The state of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// Nothing stands out.
    Ok,
    /// Beyond the factor, but not for long enough yet.
    Pending,
    /// It jumped, and has not come back.
    Firing,
    /// The rule cannot speak.
    NoData,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_value())
    }
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "watches")]
pub struct Model {
    /// Whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscription_id: String,
    /// Of which metric.
    #[sea_orm(primary_key, auto_increment = false)]
    pub metric: String,
    /// Its state.
    pub state: State,
    /// The state to which it goes back when there is data again.
    pub held: State,
    /// Minutes beyond the factor without a calm one between.
    pub streak: i32,
    /// The minute since when it is in its state.
    pub since: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
