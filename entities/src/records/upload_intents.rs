//! Upload intents: keys of objects that are about to be written. Committed before the upload,
//! removed by the commit that makes the object live. Intents that remain are of crashes; vacuum
//! deletes their objects.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// An object that may be in the store without being part of the lake.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "upload_intents")]
pub struct Model {
    /// Object key, relative to the store's root.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// Time of creation or of the last renewal, by the database's clock.
    pub created_at: Millis,
    /// Time until which vacuum keeps the object, if later than the grace period.
    pub keep_until: Option<Millis>,
    /// Time at which vacuum condemned it: from then on the object cannot become live.
    pub condemned_at: Option<Millis>,
    /// Time at which vacuum first deleted the object.
    pub deleted_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
