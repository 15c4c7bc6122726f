//! What an operator was told of.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Kind {
    /// No new minute comes.
    FeedStale,
    /// A job's slots fail.
    JobFailing,
    /// Deliveries are given up.
    DeliveriesDying,
}

/// An incident, from when it was found to when it was over.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incidents")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What is wrong.
    pub kind: Kind,
    /// With what.
    pub subject: String,
    /// How it looked, for people.
    pub detail: String,
    /// When it was found.
    pub opened_at: Millis,
    /// When it was over.
    pub closed_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
