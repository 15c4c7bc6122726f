//! The keys with which links are signed.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A key. The newest that is not retired signs; every one that is not retired verifies.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    /// Named in each token.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// 32 random bytes, base64url.
    pub secret: String,
    /// When it was made.
    pub created_at: Millis,
    /// Since when its tokens are refused.
    pub retired_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
