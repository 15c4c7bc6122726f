//! Keys of objects that are about to be written: committed before the object is, removed by the
//! commit that makes it live. What stays is the leftover of a crash, which vacuum deletes.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// An object that may lie in the store without being part of the lake.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload_intents")]
pub struct Model {
    /// Key of the object below the store's root.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// When it was recorded, or last renewed, by the database's clock.
    pub created_at: Millis,
    /// Vacuum leaves the object alone until then, where it is later than the grace.
    pub keep_until: Option<Millis>,
    /// When vacuum took it away from its writer: from then on the object cannot become live.
    pub condemned_at: Option<Millis>,
    /// When vacuum deleted the object for the first time.
    pub deleted_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
