//! Published manifests: the segments of each day, for Athena.

use sea_orm::entity::prelude::*;

use marketlake_model::Millis;

/// A day's manifests, as they are in the store.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "manifests")]
pub struct Model {
    /// Start of the day.
    #[sea_orm(primary_key, auto_increment = false)]
    pub day: Millis,
    /// Ids of the listed segments in commit order, separated by commas.
    pub segments: String,
    /// Time of publication.
    pub published_at: Millis,
    /// Time at which they last dropped a segment that had been replaced long before: until then
    /// readers may have read it.
    pub late_at: Option<Millis>,
}

/// No relations.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Iterates over the ids of the listed segments.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.segments.split(',').filter_map(|id| id.parse().ok())
    }
}
