//! Keys that sign the links of mails.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A key. The newest that is not retired signs; all that are not retired verify.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// Id, part of each token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// 32 random bytes, base64url.
    pub secret: String,
    /// Time of creation.
    pub created_at: Millis,
    /// Time from which its tokens are refused.
    pub retired_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
