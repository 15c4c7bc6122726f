//! Adopts objects that hold rows which the catalog lacks: all of them where the catalog is empty,
//! those of lost commits where it is an older backup's.
//!
//! A day, or an hour of it, is resolved at a time: of each (metric, ts) the value that was written
//! last is found among the objects; where some of them hold exactly those rows once they become
//! live, else the rows are written as a new segment. One transaction changes the catalog, so the
//! next run can continue after a kill at any moment.

mod commit;
mod file;
mod resolve;
mod unit;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_entities::records::segments::Tier;
use marketlake_model::{Metric, Millis, Minute};
use sea_orm::{DatabaseTransaction, DbErr};

use crate::catalog::mismatch::MismatchError;
use crate::catalog::{guard, identity, segments, upload_intents};
use crate::error::LakeError;
use crate::maintenance::Maintenance;
use crate::span::DAY;
use crate::storage::paths::{ObjectKey, ObjectKind};
use unit::Unit;

/// Attempts at a unit to which others commit at the same time.
const MAX_ATTEMPTS: u32 = 5;
/// Minutes before the newest one whose slots are marked: as far back as missing slots are planned.
const RECENT_MINUTES: i64 = 7 * DAY;
/// Sentences of a report; more are counted.
const MAX_NOTES: usize = 100;

/// Effects of an adoption beyond the lake, in the transaction that adopts.
#[async_trait]
pub trait Adoption: Send + Sync {
    /// The feeds' parts of a minute, by which samples tell which of them were ingested.
    fn parts(&self) -> Arc<dyn FeedParts>;

    /// Notes that some parts of some minutes were ingested. Returns how many records it changed.
    async fn adopted(
        &self,
        transaction: &DatabaseTransaction,
        found: &[(Minute, i32)],
        now: Millis,
    ) -> Result<u64, DbErr>;
}

/// The parts in which feeds ingest a minute.
pub trait FeedParts: Send + Sync {
    /// Returns whether a feed ingests the metric's market: its samples were ingested, even where
    /// only merged objects are left of them. Those of other markets were where an ingest's own
    /// object is left: samples that were imported say nothing about a slot.
    fn ingests(&self, metric: &Metric) -> bool;

    /// The part that ingests it. `None` where no part does, or one of several.
    fn part_of(&self, metric: &Metric) -> Option<i32>;
}

impl FeedParts for () {
    fn ingests(&self, _metric: &Metric) -> bool {
        false
    }

    fn part_of(&self, _metric: &Metric) -> Option<i32> {
        None
    }
}

#[async_trait]
impl Adoption for () {
    fn parts(&self) -> Arc<dyn FeedParts> {
        Arc::new(())
    }

    async fn adopted(
        &self,
        _transaction: &DatabaseTransaction,
        _found: &[(Minute, i32)],
        _now: Millis,
    ) -> Result<u64, DbErr> {
        Ok(0)
    }
}

/// Treatment of objects that an upload intent names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uploads {
    /// They are under way, or leftovers of a crash: the catalog knows that they never became live.
    LeaveAlone,
    /// The catalog lost commits, so that its intents say nothing of what became live.
    Adopt,
}

/// Context of all units.
struct Scope<'a> {
    now: Millis,
    recent: Minute,
    adoption: &'a dyn Adoption,
}

/// Counts of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RebuildSummary {
    /// Objects of samples that the catalog did not know.
    pub objects: u64,
    /// Those of them that are live now, as they are.
    pub adopted: u64,
    /// New segments, written from several objects.
    pub merged: u64,
    /// Objects whose rows are all live elsewhere: registered as retired, so that vacuum deletes
    /// them.
    pub redundant: u64,
    /// Objects that are damaged: set aside; their verified rows are kept.
    pub damaged: u64,
    /// Objects of older versions, which carry no checksums of their own.
    pub unverified: u64,
    /// Rows that the lake lacked.
    pub rows: i64,
    /// Rows in place of another value.
    pub corrected: i64,
    /// Rows of replaced segments that stand in for rows of broken ones.
    pub restored: i64,
    /// Rows that are stated somewhere and could not be found.
    pub lost: i64,
    /// Rows that were left out because their minute has not come yet.
    pub future: i64,
    /// Slots of jobs that are done now.
    pub slots: u64,
    /// Notes, one sentence each.
    pub notes: Vec<String>,
}

impl Maintenance<'_> {
    /// Rebuilds a catalog that is empty, or lost commits, and makes it the store's: other databases
    /// of the lake, and copies of this one, are refused from then on. Objects named by upload
    /// intents are adopted, too: a restored database may have lost the commit that ended one. It
    /// may be killed and run again.
    ///
    /// # Errors
    /// [`LakeError::Mismatch`] where the catalog is another lake's; where the store or the catalog
    /// fails.
    pub async fn rebuild_catalog(
        self,
        adoption: &dyn Adoption,
    ) -> Result<RebuildSummary, LakeError> {
        match self.prepare_writes().await {
            // A copy of this database is refused from now on.
            Ok(()) => identity::advance(self.lake.database(), self.lake.store()).await?,
            Err(LakeError::Mismatch(error)) => {
                self.check_claim(error).await?;
                // Killed behind the claim, no vacuum may go by intents whose commits were lost.
                upload_intents::forget_segments(self.lake.database()).await?;
                self.claim_store().await?;
            }
            Err(error) => return Err(error),
        }
        self.rebuild(adoption, Uploads::Adopt).await
    }

    /// Refuses to make a catalog the store's that is another lake's, or may be.
    async fn check_claim(self, error: MismatchError) -> Result<(), LakeError> {
        let is_empty = segments::newest_id(self.lake.database()).await? == 0;
        match error {
            MismatchError::OtherLake { .. } | MismatchError::OtherStore { .. } if !is_empty => {
                Err(error.into())
            }
            // The file does not say whose the store is: its objects do.
            MismatchError::Unreadable { .. } => {
                guard::is_own(self.lake.database(), self.lake.store()).await
            }
            MismatchError::NewerFormat { .. }
            | MismatchError::Misplaced { .. }
            | MismatchError::Contended { .. } => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Adopts what the catalog lacks, from the objects alone. It may
    /// be killed and run again at any time, and beside processes that write. Memory: the compressed
    /// objects of one day, or of one hour of a day that has no day's segment, and a bounded number
    /// of decoded rows.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; units that were committed stay so.
    pub(crate) async fn rebuild(
        self,
        adoption: &dyn Adoption,
        uploads: Uploads,
    ) -> Result<RebuildSummary, LakeError> {
        let now = database::clock(self.lake.database()).await?;
        let mut rebuilt = RebuildSummary::default();
        let days = self.unlisted(uploads).await?;
        let scope = Scope {
            now,
            recent: self.recent(&days).await?,
            adoption,
        };
        for (day, unlisted) in days {
            for unit in self.units(day, &unlisted).await? {
                self.rebuild_unit(unit, &unlisted, &scope, &mut rebuilt)
                    .await?;
            }
        }
        self.lake.refresh_directory().await?;
        Ok(rebuilt)
    }

    /// Keys of objects that the catalog lacks, by day; of days only that have samples among them.
    pub(crate) async fn unlisted(
        self,
        uploads: Uploads,
    ) -> Result<BTreeMap<Minute, Vec<ObjectKey>>, LakeError> {
        let objects = self.lake.store().list().await?;
        // Objects first, intents second, rows third: an object that is published in between is
        // found in one of them.
        let uploads = match uploads {
            Uploads::LeaveAlone => upload_intents::all(self.lake.database()).await?,
            Uploads::Adopt => HashSet::new(),
        };
        let listed = segments::object_paths(self.lake.database()).await?;
        let mut days: BTreeMap<Minute, Vec<ObjectKey>> = BTreeMap::new();
        for object in objects {
            let path = object.location.as_ref();
            if let Some(key) = ObjectKey::parse(path)
                && !listed.contains(path)
                && !uploads.contains(path)
            {
                days.entry(key.day()).or_default().push(key);
            }
        }
        days.retain(|_, keys| keys.iter().any(|key| key.kind == ObjectKind::Samples));
        Ok(days)
    }

    /// Units of a day: the day where a day's segment is among the objects or in the
    /// catalog, else its hours.
    async fn units(self, day: Minute, keys: &[ObjectKey]) -> Result<Vec<Unit>, LakeError> {
        let samples = || keys.iter().filter(|key| key.kind == ObjectKind::Samples);
        let of_day = Unit::day(day);
        let live = segments::live(self.lake.database(), of_day.span()).await?;
        let has_day = samples().any(|key| of_day.tier == key.tier)
            || live.iter().any(|segment| of_day.tier == segment.tier);
        if has_day {
            return Ok(vec![of_day]);
        }
        let hours: BTreeSet<Minute> = samples().map(ObjectKey::hour).collect();
        Ok(hours.into_iter().map(Unit::hour).collect())
    }

    async fn rebuild_unit(
        self,
        unit: Unit,
        unlisted: &[ObjectKey],
        scope: &Scope<'_>,
        rebuilt: &mut RebuildSummary,
    ) -> Result<(), LakeError> {
        let keys: Vec<ObjectKey> = unlisted
            .iter()
            .filter(|key| unit.contains(key))
            .copied()
            .collect();
        for attempt in 1.. {
            let resolved = self.resolve_unit(&unit, &keys, scope).await?;
            match self.adopt(&unit, resolved, scope).await {
                Ok(done) => {
                    rebuilt.add(done);
                    return Ok(());
                }
                Err(LakeError::Conflict { .. }) if attempt < MAX_ATTEMPTS => (),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Maintenance<'_> {
    /// The first minute whose slots are of interest: earlier ones are no longer planned.
    async fn recent(self, days: &BTreeMap<Minute, Vec<ObjectKey>>) -> Result<Minute, LakeError> {
        let unlisted = days.values().flatten().map(|key| match key.tier {
            Tier::Day => key.day().plus(DAY - 1),
            Tier::Raw | Tier::Hour => key.first,
        });
        let newest = unlisted
            .max()
            .max(segments::newest(self.lake.database()).await?);
        Ok(
            newest.map_or(Minute::from_number(i64::MIN / 120_000), |newest| {
                newest.plus(-RECENT_MINUTES)
            }),
        )
    }
}

impl RebuildSummary {
    fn add(&mut self, other: Self) {
        self.objects += other.objects;
        self.adopted += other.adopted;
        self.merged += other.merged;
        self.redundant += other.redundant;
        self.damaged += other.damaged;
        self.unverified += other.unverified;
        self.rows += other.rows;
        self.corrected += other.corrected;
        self.restored += other.restored;
        self.lost += other.lost;
        self.future += other.future;
        self.slots += other.slots;
        for note in other.notes {
            self.note(note);
        }
    }

    fn note(&mut self, note: String) {
        match self.notes.len() {
            MAX_NOTES => self.notes.push("further objects are not named".to_owned()),
            given if given < MAX_NOTES => self.notes.push(note),
            _ => (),
        }
    }

    /// Returns whether there was nothing to adopt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects == 0
    }
}

impl fmt::Display for RebuildSummary {
    /// One line of figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} unknown objects: {} adopted, {} segments merged, {} redundant, {} damaged, \
             {} without checksums of their own; {} rows added, {} corrected, \
             {} restored from replaced segments, {} of the future left out, {} lost; \
             {} slots done",
            self.objects,
            self.adopted,
            self.merged,
            self.redundant,
            self.damaged,
            self.unverified,
            self.rows,
            self.corrected,
            self.restored,
            self.future,
            self.lost,
            self.slots
        )
    }
}
