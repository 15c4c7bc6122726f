//! Deletes what no reader can need any more.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures::TryStreamExt;
use marketlake_entities::Millis;
use marketlake_entities::records::segments::{Column, Entity, State};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::{Lake, LakeError};

/// What a vacuum deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Retired segments, object and row.
    pub retired: u64,
    /// Objects that never became part of the lake.
    pub unlisted: u64,
}

impl Lake {
    /// Deletes retired segments, and objects without a row, that are older than `grace`. A running reader
    /// or writer is done within that time. The object goes before its row, so that a kill between leaves a row
    /// whose object the next vacuum finds gone.
    ///
    /// # Errors
    /// Where the store or the catalog fails; what was deleted until then stays so.
    pub async fn vacuum(&self, now: Millis, grace: Duration) -> Result<Vacuumed, LakeError> {
        let before = now.minus(grace);
        let mut vacuumed = Vacuumed::default();
        let retired = Entity::find()
            .filter(Column::State.eq(State::Retired))
            .filter(Column::RetiredAt.lt(before))
            .all(self.database())
            .await?;
        for segment in retired {
            self.delete_object(&Path::from(segment.path)).await?;
            Entity::delete_by_id(segment.id)
                .exec(self.database())
                .await?;
            vacuumed.retired += 1;
        }
        // Objects first, rows second: an object published in between is found listed.
        let objects: Vec<_> = self.store().objects().list(None).try_collect().await?;
        let listed: HashSet<String> = Entity::find()
            .all(self.database())
            .await?
            .into_iter()
            .map(|segment| segment.path)
            .collect();
        let old = |modified: i64| modified < before.0;
        for object in objects {
            if old(object.last_modified.timestamp_millis())
                && !listed.contains(object.location.as_ref())
            {
                self.delete_object(&object.location).await?;
                vacuumed.unlisted += 1;
            }
        }
        Ok(vacuumed)
    }

    async fn delete_object(&self, path: &Path) -> Result<(), LakeError> {
        match self.store().objects().delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Display for Vacuumed {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vacuum: {} retired segments, {} unlisted objects deleted",
            self.retired, self.unlisted
        )
    }
}
