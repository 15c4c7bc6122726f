//! What mail servers told us later.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// How bad a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum Kind {
    /// It never will arrive.
    Hard,
    /// It did not arrive this time.
    Soft,
    /// The reader called it spam.
    Complaint,
}

/// A notice; one a delivery, kind and status.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bounces")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Who did not get it.
    pub address: String,
    /// What did not arrive.
    pub delivery_id: String,
    /// How bad it is.
    pub kind: Kind,
    /// The enhanced status code (RFC 3463), or the provider's word.
    pub status: String,
    /// What the server said.
    pub detail: String,
    /// When we were told.
    pub created_at: Millis,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
