//! Commit of a resolved unit: writes the objects it needs, then one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use marketlake_entities::database;
use marketlake_entities::records::segments::{ActiveModel, Origin, SegmentState, Tier};
use marketlake_model::{Millis, Minute};
use object_store::path::Path;
use sea_orm::{NotSet, Set};
use tokio::task::spawn_blocking;

use super::file::File;
use super::resolve::{Resolution, RollupFile, encode};
use super::unit::Unit;
use super::{RebuildSummary, Scope};
use crate::catalog::{metrics, segments, upload_intents};
use crate::error::LakeError;
use crate::ingest::publish;
use crate::maintenance::Maintenance;
use crate::segment::codec::{BATCH_ROWS, read_hour_checksums, read_rollups};
use crate::segment::encode::{Part, Segment, encode_rollups};
use crate::segment::merge::Merge;
use crate::segment::statement::is_intact;
use crate::span::Span;
use crate::storage::checksum::Checksums;

/// Key and sums of an object of rollups.
type RollupPart = (String, Checksums);

impl Maintenance<'_> {
    /// Makes a unit's outcome the catalog's.
    pub(super) async fn adopt(
        self,
        unit: &Unit,
        mut resolved: Resolution,
        scope: &Scope<'_>,
    ) -> Result<RebuildSummary, LakeError> {
        let mut rebuilt = resolved.stats();
        let written = self.write_merged(unit, &mut resolved, scope.now).await?;
        rebuilt.merged += u64::from(written.is_some());
        let chosen = resolved.chosen.clone().unwrap_or_default();
        let mut rows = Vec::new();
        let mut new: Vec<Path> = Vec::new();
        let mut used: Vec<String> = Vec::new();
        for (at, file) in resolved.files.iter().enumerate() {
            if !file.is_unlisted() {
                continue;
            }
            let is_chosen = chosen.contains(&at);
            // Vacuum deletes only that of which every row is live elsewhere.
            let is_redundant = file.content.is_whole && !resolved.tally.is_early[at];
            let state = match (is_chosen, is_redundant) {
                (true, _) => SegmentState::Live,
                (false, true) => SegmentState::Retired,
                (false, false) => SegmentState::SetAside,
            };
            let rollups = self.rollups_of(file, is_chosen, &resolved.rollups, &mut new);
            let rollups = rollups.await?;
            used.extend(rollups.iter().map(|(path, _)| path.clone()));
            rows.push(file.row(unit, state, rollups, scope.now));
        }
        for file in &resolved.rollups {
            // Sums without samples of their own: nothing is read from them any more.
            if !used.contains(&file.key.to_string()) {
                rows.push(file.row(unit, scope.now));
            }
        }
        let transaction = database::begin_write(self.lake.database()).await?;
        let now = database::clock(&transaction).await?;
        segments::lock(&transaction).await?;
        let live = segments::live(&transaction, unit.span()).await?;
        let live: Vec<i64> = live.iter().map(|segment| segment.id).collect();
        if live != resolved.live {
            let first = unit.first;
            return Err(LakeError::Conflict { first });
        }
        let new: Vec<&Path> = new.iter().collect();
        if !upload_intents::consume(&transaction, &new).await? {
            let first = unit.first;
            return Err(LakeError::Conflict { first });
        }
        // An intent that a backup brought back must not have vacuum delete what is adopted.
        let keys: Vec<String> = resolved.unlisted_keys();
        upload_intents::forget(&transaction, &keys).await?;
        let (mut retired, mut aside) = (Vec::new(), Vec::new());
        for (at, file) in resolved.files.iter().enumerate() {
            match file.live() {
                Some(segment) if !file.content.is_whole || resolved.tally.is_early[at] => {
                    aside.push(segment.id);
                }
                Some(segment) if !chosen.contains(&at) => retired.push(segment.id),
                _ => (),
            }
        }
        aside.extend(resolved.missing.iter().map(|segment| segment.id));
        segments::retire(&transaction, &retired, now).await?;
        segments::set_aside(&transaction, &aside, now).await?;
        database::insert_all(&transaction, rows, None).await?;
        if let Some(segment) = &written {
            publish::insert(&transaction, unit.first, segment, now).await?;
        }
        metrics::insert(&transaction, &resolved.tally.metrics).await?;
        let found = resolved.tally.ingested.range((scope.recent, i32::MIN)..);
        let found: Vec<(Minute, i32)> = found.copied().collect();
        rebuilt.slots = scope.adoption.adopted(&transaction, &found, now).await?;
        transaction.commit().await?;
        Ok(rebuilt)
    }

    /// Writes what no object holds as it is to be.
    async fn write_merged(
        self,
        unit: &Unit,
        resolved: &mut Resolution,
        now: Millis,
    ) -> Result<Option<Segment>, LakeError> {
        if resolved.chosen.is_some() || resolved.tally.rows == 0 {
            return Ok(None);
        }
        let files = Arc::new(std::mem::take(&mut resolved.files));
        let read = Arc::clone(&files);
        let tier = unit.tier;
        let base = files.iter().map(|file| file.written).max();
        let encoded =
            spawn_blocking(move || encode(&read, tier, now)?.finish(Origin::Compact, base));
        let encoded = encoded
            .await
            .map_err(|error| LakeError::Encode(error.into()))?;
        resolved.files = Arc::into_inner(files).unwrap_or_default();
        let Some(mut segment) = encoded? else {
            return Ok(None);
        };
        segment.write(self.lake).await?;
        Ok(Some(segment))
    }

    /// The rollups of a file's samples; new ones where there are none and the file is to be live.
    async fn rollups_of(
        self,
        file: &File,
        is_needed: bool,
        rollups: &[RollupFile],
        new: &mut Vec<Path>,
    ) -> Result<Option<RollupPart>, LakeError> {
        if file.key.tier == Tier::Raw || !file.content.is_whole {
            return Ok(None);
        }
        let mut own = rollups.iter().filter(|rollups| rollups.sum_up(file));
        if let Some(own) = own.next_back() {
            return Ok(Some((
                own.key.to_string(),
                Checksums::from_bytes(&own.bytes),
            )));
        }
        if !is_needed {
            return Ok(None);
        }
        let source = file.source(BATCH_ROWS)?;
        let mut merge = Merge::new(vec![source], Vec::new())?;
        let first = file.content.span.map_or(file.key.first, |span| span.from);
        let path = file.key.to_string();
        let mut part: Part = encode_rollups(file.key.tier, &path, first, &mut merge)?;
        self.lake.ingest().write(vec![&mut part]).await?;
        new.push(part.key.clone());
        Ok(Some((part.key.to_string(), part.sums)))
    }
}

impl RollupFile {
    /// Returns whether it equals the rollups of a file's samples.
    fn sum_up(&self, file: &File) -> bool {
        let is_named = self
            .samples
            .as_ref()
            .is_none_or(|samples| *samples == file.key.to_string());
        if !is_named || self.key.tier != file.key.tier {
            return false;
        }
        let read = || {
            let hours = read_hour_checksums(&self.object, self.bytes.clone()).ok()?;
            let rollups = read_rollups(&self.object, self.bytes.clone()).ok()?;
            let intact = self.samples.is_none() || is_intact(&self.bytes);
            let same_hours = intact && hours.is_none_or(|hours| hours == file.content.hours);
            Some(same_hours && rollups == file.content.rollups)
        };
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
        read.ok().flatten() == Some(true)
    }

    /// A row by which vacuum may delete it.
    fn row(&self, unit: &Unit, now: Millis) -> ActiveModel {
        let sums = Checksums::from_bytes(&self.bytes);
        ActiveModel {
            id: NotSet,
            path: Set(self.key.to_string()),
            tier: Set(self.key.tier),
            origin: Set(Origin::Compact),
            state: Set(SegmentState::Retired),
            hour: Set(unit.first.start()),
            min_ts: Set(self.key.first.start()),
            max_ts: Set(self.key.first.start()),
            row_count: Set(0),
            metric_count: Set(0),
            byte_count: Set(sums.byte_count),
            sha256: Set(sums.sha256),
            crcs: Set(Some(sums.crcs)),
            rollup_path: Set(None),
            rollup_byte_count: Set(None),
            rollup_sha256: Set(None),
            rollup_crcs: Set(None),
            created_at: Set(now),
            retired_at: Set(Some(now)),
        }
    }
}

impl File {
    fn row(
        &self,
        unit: &Unit,
        state: SegmentState,
        rollups: Option<RollupPart>,
        now: Millis,
    ) -> ActiveModel {
        let span = self.content.span.unwrap_or(Span {
            from: self.key.first,
            to: self.key.first,
        });
        let first = match self.key.tier {
            Tier::Day => unit.first.day(),
            Tier::Raw | Tier::Hour => self.key.hour(),
        };
        let metrics = i64::try_from(self.content.metrics.len()).unwrap_or(i64::MAX);
        let (rollup_path, rollup_sums) = rollups.unzip();
        ActiveModel {
            id: NotSet,
            path: Set(self.key.to_string()),
            tier: Set(self.key.tier),
            origin: Set(self.origin),
            state: Set(state),
            hour: Set(first.start()),
            min_ts: Set(span.from.start()),
            max_ts: Set(span.to.start()),
            row_count: Set(self.content.row_count),
            metric_count: Set(metrics),
            byte_count: Set(self.sums.byte_count),
            sha256: Set(self.sums.sha256.clone()),
            crcs: Set(Some(self.sums.crcs.clone())),
            rollup_path: Set(rollup_path),
            rollup_byte_count: Set(rollup_sums.as_ref().map(|sums| sums.byte_count)),
            rollup_sha256: Set(rollup_sums.as_ref().map(|sums| sums.sha256.clone())),
            rollup_crcs: Set(rollup_sums.map(|sums| sums.crcs)),
            created_at: Set(now),
            retired_at: Set((state != SegmentState::Live).then_some(now)),
        }
    }
}

impl Resolution {
    /// Keys of the objects that the catalog lacks.
    fn unlisted_keys(&self) -> Vec<String> {
        let files = self.files.iter().filter(|file| file.is_unlisted());
        let samples = files.map(|file| file.key.to_string());
        let rollups = self.rollups.iter().map(|file| file.key.to_string());
        samples.chain(rollups).collect()
    }

    /// Counts of the resolution.
    fn stats(&self) -> RebuildSummary {
        let mut rebuilt = RebuildSummary {
            rows: self.tally.added,
            corrected: self.tally.corrected,
            restored: self.tally.restored,
            future: self.tally.future,
            ..RebuildSummary::default()
        };
        let chosen = self.chosen.as_deref().unwrap_or_default();
        for (at, file) in self.files.iter().enumerate() {
            let path = file.key.to_string();
            if !file.content.is_whole {
                let stated = file.live().map(|segment| segment.row_count);
                let stated = stated
                    .or_else(|| i64::try_from(file.stated_rows?).ok())
                    .unwrap_or(0);
                let kept = file.content.row_count;
                rebuilt.note(format!(
                    "{path}: damaged; {kept} of {stated} rows were verified and kept"
                ));
            }
            if !file.is_unlisted() {
                continue;
            }
            rebuilt.objects += 1;
            rebuilt.unverified += u64::from(file.content.is_whole && !file.is_verified);
            if !file.content.is_whole {
                rebuilt.damaged += 1;
            } else if chosen.contains(&at) {
                rebuilt.adopted += 1;
            } else {
                rebuilt.redundant += 1;
            }
        }
        for segment in &self.missing {
            rebuilt.note(format!("{}: the object is missing", segment.path));
        }
        rebuilt.lost = self.lost();
        rebuilt
    }

    /// Rows that broken objects state and nothing holds, as far as counts tell. Tiers hold the same
    /// rows: the one counts that lost the most.
    fn lost(&self) -> i64 {
        let mut lost: BTreeMap<Tier, i64> = BTreeMap::new();
        let broken = self.files.iter().filter(|file| !file.content.is_whole);
        let broken = broken.map(|file| {
            let stated = file.live().map(|segment| segment.row_count);
            let stated = stated.or_else(|| i64::try_from(file.stated_rows?).ok());
            (
                file.key.tier,
                file.key.first,
                stated.unwrap_or(0),
                file.written,
                file.content.row_count,
            )
        });
        let missing = self.missing.iter().map(|segment| {
            let first = segment.min_ts.minute();
            (segment.tier, first, segment.row_count, Millis(0), 0)
        });
        for (tier, first, stated, written, kept) in broken.chain(missing) {
            let found = match tier {
                // Beside it others lie, of other metrics: they are not its rows.
                Tier::Raw if self.is_merged(first, written) => stated,
                Tier::Raw => kept,
                Tier::Hour => self.tally.rows_in(Span::hour(first.hour())),
                Tier::Day => self.tally.rows_in(Span::day(first.day())),
            };
            *lost.entry(tier).or_default() += (stated - found).max(0);
        }
        lost.into_values().max().unwrap_or(0)
    }

    /// Returns whether a whole object of an hour or a day holds the writes to a minute until then.
    fn is_merged(&self, minute: Minute, written: Millis) -> bool {
        self.files.iter().any(|file| {
            let around = file.content.is_whole && file.written >= written;
            around
                && match file.key.tier {
                    Tier::Raw => false,
                    Tier::Hour => file.key.hour() == minute.hour(),
                    Tier::Day => file.key.day() == minute.day(),
                }
        })
    }
}
