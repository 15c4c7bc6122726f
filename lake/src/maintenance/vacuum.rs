//! Vacuum: deletes objects that no reader needs any more.

use std::fmt;
use std::time::Duration;

use marketlake_entities::records::segments::{Entity, Tier};
use marketlake_model::Millis;
use object_store::path::Path;
use sea_orm::EntityTrait;

use crate::athena::manifests::Readers;
use crate::catalog::{guard, identity, segments, upload_intents};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::storage::paths;

/// Segments and uploads that are deleted under one number of the deletion sequence.
const BATCH_SIZE: usize = 1_000;

/// Counts of a vacuum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumSummary {
    /// Live segments that were older than they are to be kept; their objects go after the grace.
    pub expired: u64,
    /// Retired segments, objects and row.
    pub retired: u64,
    /// Objects that were about to be written, or were, and never became part of the lake.
    pub unlisted: u64,
}

/// Retention of segments, by tier; for ever where none is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Raw segments, never merged into an hour.
    pub raw: Option<Duration>,
    /// Hours that were never merged into a day.
    pub hour: Option<Duration>,
    /// Days: the history.
    pub day: Option<Duration>,
}

impl Maintenance<'_> {
    /// Takes out segments that are older than they are to be kept; their objects are deleted once
    /// the grace is over, as those of all retired ones.
    ///
    /// # Errors
    /// Fails if the catalog fails.
    pub async fn expire(self, now: Millis, retention: Retention) -> Result<u64, LakeError> {
        let ages = [
            (Tier::Raw, retention.raw),
            (Tier::Hour, retention.hour),
            (Tier::Day, retention.day),
        ];
        let mut expired = 0;
        for (tier, age) in ages {
            if let Some(age) = age {
                expired +=
                    segments::expire(self.lake.database(), tier, now.minus(age), now).await?;
            }
        }
        Ok(expired)
    }

    /// Deletes retired segments, and objects that never became part of the lake, both where they
    /// are older than `grace`. A running reader or writer is done within that time. Segments that a
    /// manifest lists, or listed within that time, stay for Athena's readers.
    ///
    /// Only objects that the catalog names are deleted: those of a retired row, or of an upload
    /// intent that was condemned before. The bucket is not listed. Each batch advances the deletion
    /// sequence first. Objects go before their row or intent: a crash between leaves one whose
    /// objects the next vacuum finds gone.
    ///
    /// # Errors
    /// [`LakeError::Mismatch`] where the catalog is not the store's, or is behind; where the store
    /// or the catalog fails. Objects deleted until then stay deleted.
    pub async fn vacuum(self, now: Millis, grace: Duration) -> Result<VacuumSummary, LakeError> {
        let before = now.minus(grace);
        let manifests = self.lake.manifests();
        manifests.publish_known(now).await?;
        let readers = manifests.readers(before).await?;
        let mut vacuumed = VacuumSummary {
            // In a commit of its own: whose intent is condemned cannot publish any more.
            unlisted: upload_intents::condemn(self.lake.database(), before, now).await?,
            ..VacuumSummary::default()
        };
        // Deletions are read anew after each advance: only then is the catalog known to be the
        // lake's.
        while !self.deletions(before, &readers).await?.is_empty() {
            identity::advance(self.lake.database(), self.lake.store()).await?;
            for deletion in self.deletions(before, &readers).await? {
                match deletion {
                    Deletion::Segment(id, paths) => {
                        for path in paths {
                            self.lake.store().delete(&path).await?;
                        }
                        Entity::delete_by_id(id).exec(self.lake.database()).await?;
                        vacuumed.retired += 1;
                    }
                    Deletion::Upload(path) => {
                        self.lake.store().delete(&path).await?;
                        upload_intents::settle(self.lake.database(), path.as_ref(), before, now)
                            .await?;
                    }
                }
            }
        }
        Ok(vacuumed)
    }

    /// Deletions of the next batch.
    async fn deletions(
        self,
        before: Millis,
        readers: &Readers,
    ) -> Result<Vec<Deletion>, LakeError> {
        let mut due = Vec::new();
        for segment in segments::retired(self.lake.database(), before).await? {
            if readers.may_read(&segment) {
                continue;
            }
            let paths = [Some(&segment.path), segment.rollup_path.as_ref()];
            let paths: Option<Vec<Path>> = paths.into_iter().flatten().map(deletable).collect();
            due.extend(paths.map(|paths| Deletion::Segment(segment.id, paths)));
        }
        let uploads = upload_intents::condemned(self.lake.database(), before).await?;
        let live = guard::named(self.lake.database(), &uploads).await?;
        let uploads = uploads.iter().filter(|key| !live.contains(*key));
        due.extend(uploads.filter_map(deletable).map(Deletion::Upload));
        due.truncate(BATCH_SIZE);
        Ok(due)
    }
}

/// Deletion of objects, and of the row or intent that names them.
enum Deletion {
    /// A retired segment: its row's id, its objects.
    Segment(i64, Vec<Path>),
    /// An object that did not become part of the lake.
    Upload(Path),
}

/// The key as a path, where it is one of the lake's own; whatever else a row names stays.
fn deletable(key: &String) -> Option<Path> {
    let path = paths::deletable(key);
    if path.is_none() {
        tracing::warn!(key, "not a key of the lake: vacuum ignores it");
    }
    path
}

impl fmt::Display for VacuumSummary {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "vacuum: {} segments expired; {} retired segments, {} unlisted objects deleted",
            self.expired, self.retired, self.unlisted
        )
    }
}
