//! Bounces and complaints that mail servers report after delivery.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// Severity of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "String(StringLen::None)",
    rename_all = "snake_case"
)]
pub enum BounceKind {
    /// Permanent failure.
    Hard,
    /// Temporary failure.
    Soft,
    /// The recipient reported spam.
    Complaint,
}

/// A notice; unique by (delivery, kind, status).
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bounces")]
pub struct Model {
    /// Rises.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Recipient's mail address.
    pub address: String,
    /// Delivery that bounced.
    pub delivery_id: String,
    /// Severity.
    pub kind: BounceKind,
    /// Enhanced status code (RFC 3463), or the provider's word.
    pub status: String,
    /// Server's message.
    pub detail: String,
    /// Time of receipt.
    pub created_at: Millis,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
