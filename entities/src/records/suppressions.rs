//! Suppression list: mail addresses that get no mail.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Cause of a suppression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum SuppressionState {
    /// Mail bounced. A confirmation by the owner lifts it.
    Suspended,
    /// The owner reported spam. Permanent.
    Complained,
}

/// A suppressed address.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "suppressions")]
pub struct Model {
    /// Mail address.
    #[sea_orm(primary_key, auto_increment = false)]
    pub address: String,
    /// Cause.
    pub state: SuppressionState,
    /// Bounce or complaint, for people.
    pub reason: String,
    /// Time of the suppression.
    pub since: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
