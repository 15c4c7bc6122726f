//! Addresses that are not to be written to.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum State {
    /// It does not take mail; a confirmation by its owner lifts this.
    Suspended,
    /// Its owner called a mail of ours spam: nothing is sent any more.
    Complained,
}

/// An address with a past.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "recipients")]
pub struct Model {
    /// The address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub address: String,
    /// What it is.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
