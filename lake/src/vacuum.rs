//! Deletes what no reader can need any more.

use std::fmt;
use std::time::Duration;

use marketlake_entities::Millis;
use marketlake_entities::records::segments::{Entity, Tier};
use object_store::path::Path;
use sea_orm::EntityTrait;

use crate::{Lake, LakeError, catalog, paths};

/// What a vacuum deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Live segments that were older than they are to be kept; their objects go after the grace.
    pub expired: u64,
    /// Retired segments, objects and row.
    pub retired: u64,
    /// Objects that never became part of the lake.
    pub unlisted: u64,
}

/// For how long segments are kept, by tier; for ever where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What was never merged into an hour.
    pub raw: Option<Duration>,
    /// Hours that were never merged into a day.
    pub hour: Option<Duration>,
    /// Days: the history.
    pub day: Option<Duration>,
}

impl Lake {
    /// Takes out segments that are older than they are to be kept; their objects are deleted once the grace is over, as
    /// those of all retired ones.
    ///
    /// # Errors
    /// Where the catalog fails.
    pub async fn expire(&self, now: Millis, retention: Retention) -> Result<u64, LakeError> {
        let ages = [
            (Tier::Raw, retention.raw),
            (Tier::Hour, retention.hour),
            (Tier::Day, retention.day),
        ];
        let mut expired = 0;
        for (tier, age) in ages {
            if let Some(age) = age {
                expired += catalog::expire(self.database(), tier, now.minus(age), now).await?;
            }
        }
        Ok(expired)
    }

    /// Deletes retired segments, and objects without a row, that are older than `grace`. A running reader
    /// or writer is done within that time. What a manifest still lists, or did within that time, stays for Athena's readers. The objects go before their row, so that a kill between leaves a row
    /// whose objects the next vacuum finds gone.
    ///
    /// # Errors
    /// Where the store or the catalog fails; what was deleted until then stays so.
    pub async fn vacuum(&self, now: Millis, grace: Duration) -> Result<Vacuumed, LakeError> {
        let before = now.minus(grace);
        let mut vacuumed = Vacuumed::default();
        let manifests = self.manifests();
        manifests.publish_known(now).await?;
        let readers = manifests.readers(before).await?;
        for segment in catalog::retired(self.database(), before).await? {
            if readers.may_read(&segment) {
                continue;
            }
            for path in [Some(segment.path), segment.rollup_path]
                .into_iter()
                .flatten()
            {
                self.store().delete(&Path::from(path)).await?;
            }
            Entity::delete_by_id(segment.id)
                .exec(self.database())
                .await?;
            vacuumed.retired += 1;
        }
        // Objects first, rows second: an object published in between is found listed.
        let objects = self.store().list().await?;
        let listed = catalog::paths(self.database()).await?;
        let old = |modified: i64| modified < before.0;
        for object in objects {
            if old(object.last_modified.timestamp_millis())
                && !paths::is_manifest(&object.location)
                && !listed.contains(object.location.as_ref())
            {
                self.store().delete(&object.location).await?;
                vacuumed.unlisted += 1;
            }
        }
        Ok(vacuumed)
    }
}

impl fmt::Display for Vacuumed {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vacuum: {} segments expired; {} retired segments, {} unlisted objects deleted",
            self.expired, self.retired, self.unlisted
        )
    }
}
