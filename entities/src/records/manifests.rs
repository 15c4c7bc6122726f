//! What Athena was last told of a day: which segments hold it.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A day's manifests, as they lie in the store.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "manifests")]
pub struct Model {
    /// The day's first instant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Millis,
    /// The ids of the segments that they list, in the order of their commits, with commas between.
    pub segments: String,
    /// When they were written.
    pub published_at: Millis,
    /// When they last lost a segment that had been replaced long before: a reader may have come upon it until then.
    pub late_at: Option<Millis>,
}

/// It has none.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The segments that they list.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.segments.split(',').filter_map(|id| id.parse().ok())
    }
}
