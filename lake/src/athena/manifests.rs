//! Manifests of Athena's tables: one object per day and table that lists the live segments'
//! objects, one URI per line, in the form of Hive's `SymlinkTextInputFormat`. It is replaced as a
//! whole, so that a reader finds every row of a day once at every moment: before a merge and after
//! it.
//!
//! Two writers of the same day cannot leave the older state: each replaces the version that it read
//! before it queried the catalog, or starts over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_entities::records::manifests::{ActiveModel, Column, Entity, Model};
use marketlake_entities::records::segments::Model as Segment;
use marketlake_model::{Millis, Minute};
use object_store::path::Path;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, Set};

use crate::athena::error::AthenaError;
use crate::athena::setup::{ROLLUPS, SAMPLES};
use crate::catalog::{identity, segments};
use crate::error::LakeError;
use crate::span::Span;
use crate::storage::object::Object;
use crate::storage::paths;
use crate::storage::s3::bucket::Bucket;
use crate::storage::store::Store;

/// Attempts at a day that others write too.
const MAX_ATTEMPTS: u32 = 20;
/// Longest manifest that is read: a day of raw segments in 64 parts has 15 MB. A longer one
/// differs.
const MAX_MANIFEST_BYTES: usize = 64 << 20;
/// Days that are written at the same time.
const CONCURRENCY: usize = 8;

/// A segment that leaves the manifests within this time of its end is not late.
const LATE_AFTER: Duration = Duration::from_secs(300);

/// Manifests that Athena's running queries may read.
pub(crate) struct Readers {
    days: HashMap<Minute, Model>,
    before: Millis,
}

/// Reads and writes the manifests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Manifests {
    database: DatabaseConnection,
    store: Store,
}

impl Manifests {
    pub(crate) fn new(database: DatabaseConnection, store: Store) -> Self {
        Self { database, store }
    }

    /// Clones it over another pool of connections.
    pub(crate) fn with_database(&self, database: &DatabaseConnection) -> Self {
        Self::new(database.clone(), self.store.clone())
    }

    /// Brings the manifests of a span's days up to what is committed. Returns what then is the
    /// state of those days.
    pub(crate) async fn publish_span(&self, span: Span, now: Millis) -> Result<String, LakeError> {
        let days = Span {
            from: span.from.day(),
            to: span.to.day(),
        };
        let live = segments::live_days(&self.database, days).await?;
        let known = Entity::find()
            .filter(Column::Day.gte(days.from.start()))
            .filter(Column::Day.lte(days.to.start()))
            .all(&self.database)
            .await?;
        let state: Vec<&str> = live.values().map(String::as_str).collect();
        let state = state.join(";");
        self.publish(changed(live, known), now).await?;
        Ok(state)
    }

    /// Writes a day's manifests whatever was written before.
    pub(crate) async fn republish_day(&self, day: Minute, now: Millis) -> Result<(), LakeError> {
        let bucket = self.bucket()?;
        identity::ensure(&self.database, &self.store).await?;
        self.publish_day(bucket, day, now).await
    }

    /// Fault of a day's manifests, where they claim to be current.
    pub(crate) async fn wrong(&self, row: &Model) -> Result<Option<String>, LakeError> {
        let bucket = self.bucket()?;
        let day = row.day.minute();
        let live = segments::live(&self.database, Span::day(day)).await?;
        let ids: Vec<i64> = live.iter().map(|segment| segment.id).collect();
        if segments::join_ids(&ids) != row.segments {
            // It follows within a minute.
            return Ok(None);
        }
        for (table, text) in [SAMPLES, ROLLUPS].into_iter().zip(texts(bucket, &live)) {
            let path = paths::manifest(table, day);
            let found = self.store.read_version(&path, text.len()).await?;
            if found.is_none_or(|(found, _)| found != text) {
                return Ok(Some(format!(
                    "{path}: lists other objects than the catalog"
                )));
            }
        }
        Ok(None)
    }

    /// Number of days whose manifests are behind the catalog.
    pub(crate) async fn behind(&self) -> Result<usize, LakeError> {
        let live = segments::live_days(&self.database, Span::ALL).await?;
        Ok(changed(live, self.known().await?).len())
    }

    fn bucket(&self) -> Result<&Bucket, LakeError> {
        let bucket = self.store.bucket();
        let needed = || AthenaError::NeedsBucket(format!("{:?}", self.store));
        Ok(bucket.ok_or_else(needed)?)
    }

    /// Brings those manifests up to date that there are.
    pub(crate) async fn publish_known(&self, now: Millis) -> Result<(), LakeError> {
        let known = self.known().await?;
        if known.is_empty() || self.store.bucket().is_none() {
            return Ok(());
        }
        let days: BTreeSet<Minute> = known.iter().map(|row| row.day.minute()).collect();
        let mut live = segments::live_days(&self.database, Span::ALL).await?;
        live.retain(|day, _| days.contains(day));
        self.publish(changed(live, known), now).await?;
        Ok(())
    }

    pub(super) async fn known(&self) -> Result<Vec<Model>, LakeError> {
        Ok(Entity::find().all(&self.database).await?)
    }

    pub(super) async fn publish(
        &self,
        days: BTreeSet<Minute>,
        now: Millis,
    ) -> Result<usize, LakeError> {
        let bucket = self.bucket()?;
        if !days.is_empty() {
            // Another lake's manifests are not ours to replace.
            identity::ensure(&self.database, &self.store).await?;
        }
        let written = stream::iter(days).map(|day| self.publish_day(bucket, day, now));
        let written: Vec<()> = written.buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(written.len())
    }

    async fn publish_day(
        &self,
        bucket: &Bucket,
        day: Minute,
        now: Millis,
    ) -> Result<(), LakeError> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(live) = self.replace_manifests(bucket, day).await? {
                return self.record(day, &live, now).await;
            }
        }
        Err(LakeError::Conflict { first: day })
    }

    async fn record(&self, day: Minute, live: &[i64], now: Millis) -> Result<(), LakeError> {
        let before = Entity::find_by_id(day.start()).one(&self.database).await?;
        let mut late_at = before.as_ref().and_then(|row| row.late_at);
        let gone = before
            .iter()
            .flat_map(Model::ids)
            .filter(|id| !live.contains(id));
        if segments::any_retired(&self.database, gone.collect(), now.minus(LATE_AFTER)).await? {
            late_at = Some(now);
        }
        let row = ActiveModel {
            day: Set(day.start()),
            segments: Set(segments::join_ids(live)),
            published_at: Set(now),
            late_at: Set(late_at),
        };
        let newest = OnConflict::column(Column::Day)
            .update_columns([Column::Segments, Column::PublishedAt, Column::LateAt])
            .to_owned();
        Entity::insert(row)
            .on_conflict(newest)
            .exec_without_returning(&self.database)
            .await?;
        Ok(())
    }

    /// Writes both manifests of a day. `None` where another process came first: begin anew.
    async fn replace_manifests(
        &self,
        bucket: &Bucket,
        day: Minute,
    ) -> Result<Option<Vec<i64>>, LakeError> {
        let mut read = Vec::new();
        for table in [SAMPLES, ROLLUPS] {
            let path = paths::manifest(table, day);
            let found = self.store.read_version(&path, MAX_MANIFEST_BYTES).await?;
            read.push((found, path));
        }
        // Only now: a manifest that another process wrote since it was read makes this write fail.
        let live = segments::live(&self.database, Span::day(day)).await?;
        for ((found, path), text) in read.into_iter().zip(texts(bucket, &live)) {
            let (old, version) = found.unzip();
            if old.as_ref() != Some(&text) && !self.store.replace(&path, text, version).await? {
                return Ok(None);
            }
        }
        Ok(Some(live.iter().map(|segment| segment.id).collect()))
    }

    /// Manifests that queries may read which began since an instant.
    pub(crate) async fn readers(&self, before: Millis) -> Result<Readers, LakeError> {
        let rows = self.known().await?;
        let days = rows.into_iter().map(|row| (row.day.minute(), row));
        Ok(Readers {
            days: days.collect(),
            before,
        })
    }
}

/// Days whose manifest differs from the live segments.
pub(super) fn changed(mut live: BTreeMap<Minute, String>, known: Vec<Model>) -> BTreeSet<Minute> {
    for Model { day, segments, .. } in known {
        match live.get(&day.minute()) {
            Some(current) if *current == segments => {
                live.remove(&day.minute());
            }
            // A day of which nothing is left.
            None if !segments.is_empty() => {
                live.insert(day.minute(), String::new());
            }
            _ => (),
        }
    }
    live.into_keys().collect()
}

/// Content of the manifests of some live segments: of samples, and of rollups.
fn texts(bucket: &Bucket, live: &[Segment]) -> [Bytes; 2] {
    let samples: Vec<Object> = live.iter().map(Object::samples).collect();
    let rollups: Vec<Object> = live.iter().filter_map(Object::rollups).collect();
    [samples, rollups].map(|objects| {
        let lines = objects.iter().map(|object| {
            let uri = bucket.uri(&Path::from(object.path.as_str()));
            uri + "\n"
        });
        Bytes::from(lines.collect::<String>())
    })
}

impl Readers {
    /// Returns whether a query may still read a segment that was retired before then.
    pub(crate) fn may_read(&self, segment: &Segment) -> bool {
        let day = self.days.get(&segment.hour.minute().day());
        day.is_some_and(|day| {
            day.late_at >= Some(self.before) || day.ids().any(|id| id == segment.id)
        })
    }
}
