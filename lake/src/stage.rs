//! From samples to live segments, in two steps, so that a kill between them costs nothing: objects are written
//! first, under keys that were never used; then one transaction, the caller's, makes them part of the lake.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use marketlake_entities::records::segments::{ActiveModel, Entity, Model, Origin, State, Tier};
use marketlake_entities::{Metric, Millis, Minute, Sample};
use sea_orm::{DatabaseTransaction, EntityTrait, NotSet, Set};
use sha2::{Digest, Sha256};

use crate::{Lake, LakeError, Span, catalog, codec, paths};

/// So many hours are on their way to the store at the same time.
const HOURS_AT_ONCE: usize = 4;

/// Objects that are written, and what their publication will change.
#[derive(Debug)]
pub struct Staged {
    hours: Vec<StagedHour>,
    new_metrics: Vec<Metric>,
}

/// One hour's change: a new segment, in place of others.
#[derive(Debug)]
struct StagedHour {
    hour: Minute,
    segment: Written,
    /// Segments that it replaces.
    replaces: Vec<i64>,
    /// Where it replaces, nothing else of this span may be live at the commit.
    alone_in: Span,
}

#[derive(Debug)]
struct Written {
    path: String,
    tier: Tier,
    origin: Origin,
    span: Span,
    row_count: i64,
    metric_count: i64,
    byte_count: i64,
    sha256: String,
}

impl Lake {
    /// Writes the samples of one minute as a raw segment; where that minute has samples already,
    /// its hour is written anew with both, the new value of a metric winning.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_minute(&self, samples: Vec<Sample>) -> Result<Staged, LakeError> {
        self.stage(samples, Tier::Raw, Origin::Ingest).await
    }

    /// Writes samples of any hours, each hour merged with what is live there, the new value of a (metric, ts) winning.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_import(&self, samples: Vec<Sample>) -> Result<Staged, LakeError> {
        self.stage(samples, Tier::Hour, Origin::Import).await
    }

    async fn stage(
        &self,
        samples: Vec<Sample>,
        tier: Tier,
        origin: Origin,
    ) -> Result<Staged, LakeError> {
        let mut hours: BTreeMap<Minute, Vec<Sample>> = BTreeMap::new();
        for sample in samples {
            hours.entry(sample.ts.hour()).or_default().push(sample);
        }
        let directory = self.directory();
        let metrics: BTreeSet<Metric> = hours
            .values()
            .flatten()
            .map(|sample| sample.metric.clone())
            .collect();
        let new_metrics = metrics
            .into_iter()
            .filter(|metric| !directory.holds(metric))
            .collect();
        let hours = stream::iter(hours)
            .map(|(hour, samples)| self.stage_hour(hour, samples, tier, origin))
            .buffered(HOURS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Staged { hours, new_metrics })
    }

    async fn stage_hour(
        &self,
        hour: Minute,
        samples: Vec<Sample>,
        tier: Tier,
        origin: Origin,
    ) -> Result<StagedHour, LakeError> {
        let live = catalog::live(self.database(), Span::hour(hour)).await?;
        let span = span_of(&samples).unwrap_or(Span::hour(hour));
        let in_the_way = match tier {
            Tier::Raw => live.iter().any(|segment| overlaps(segment, span)),
            Tier::Hour => true,
        };
        if in_the_way {
            return self.rewrite_hour(hour, &live, samples, origin).await;
        }
        Ok(StagedHour {
            hour,
            segment: self.write(tier, origin, &sorted(samples)).await?,
            replaces: vec![],
            alone_in: span,
        })
    }

    /// Writes all live segments of an hour as one. `None` where the hour is one sorted segment already, or empty.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_compaction(&self, hour: Minute) -> Result<Option<Staged>, LakeError> {
        let live = catalog::live(self.database(), Span::hour(hour)).await?;
        let raw = live.iter().any(|segment| segment.tier == Tier::Raw);
        if live.len() < 2 && !raw {
            return Ok(None);
        }
        let staged = self
            .rewrite_hour(hour, &live, vec![], Origin::Compact)
            .await?;
        Ok(Some(Staged {
            hours: vec![staged],
            new_metrics: vec![],
        }))
    }

    /// Writes an hour's segments and some new samples, which win, as one sorted segment in their place.
    async fn rewrite_hour(
        &self,
        hour: Minute,
        live: &[Model],
        new: Vec<Sample>,
        origin: Origin,
    ) -> Result<StagedHour, LakeError> {
        let mut rows = self.read_all(live).await?;
        rows.extend(new);
        Ok(StagedHour {
            hour,
            segment: self.write(Tier::Hour, origin, &sorted(rows)).await?,
            replaces: live.iter().map(|segment| segment.id).collect(),
            alone_in: Span::hour(hour),
        })
    }

    /// All rows of segments, those committed later behind.
    async fn read_all(&self, segments: &[Model]) -> Result<Vec<Sample>, LakeError> {
        let mut rows = Vec::new();
        for segment in segments {
            let bytes = self.store().get(&segment.path).await?;
            rows.extend(codec::decode(&segment.path, bytes)?);
        }
        Ok(rows)
    }

    async fn write(
        &self,
        tier: Tier,
        origin: Origin,
        rows: &[Sample],
    ) -> Result<Written, LakeError> {
        let span =
            span_of(rows).ok_or_else(|| LakeError::Encode("a segment without rows".to_owned()))?;
        let bytes = codec::encode(tier, rows)?;
        let key = paths::new_key(tier, span.from);
        let sha256 = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let written = Written {
            path: key.to_string(),
            tier,
            origin,
            span,
            row_count: count(rows.len()),
            metric_count: count(rows.chunk_by(|a, b| a.metric == b.metric).count()),
            byte_count: count(bytes.len()),
            sha256,
        };
        self.store().put(&key, bytes).await?;
        Ok(written)
    }
}

impl Staged {
    /// Makes the objects part of the lake, within the caller's transaction.
    ///
    /// # Errors
    /// [`LakeError::Moved`] where another commit changed one of the hours since: roll back and stage again.
    pub async fn publish(
        &self,
        transaction: &DatabaseTransaction,
        now: Millis,
    ) -> Result<(), LakeError> {
        catalog::lock(transaction).await?;
        for staged in &self.hours {
            let moved = || LakeError::Moved {
                hour: staged.hour.to_string(),
            };
            let live = catalog::live(transaction, staged.alone_in).await?;
            if live
                .iter()
                .any(|segment| !staged.replaces.contains(&segment.id))
            {
                return Err(moved());
            }
            let retired = catalog::retire(transaction, &staged.replaces, now).await?;
            if retired != staged.replaces.len() as u64 {
                return Err(moved());
            }
            Entity::insert(staged.row(now))
                .exec_without_returning(transaction)
                .await?;
        }
        catalog::enter(transaction, &self.new_metrics, now).await?;
        Ok(())
    }

    /// How many rows the new segments hold.
    #[must_use]
    pub fn row_count(&self) -> i64 {
        self.hours.iter().map(|hour| hour.segment.row_count).sum()
    }

    /// How many segments are replaced.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.hours.iter().map(|hour| hour.replaces.len()).sum()
    }

    /// Size of the new objects, in bytes.
    #[must_use]
    pub fn byte_count(&self) -> i64 {
        self.hours.iter().map(|hour| hour.segment.byte_count).sum()
    }
}

impl StagedHour {
    fn row(&self, now: Millis) -> ActiveModel {
        let segment = &self.segment;
        ActiveModel {
            id: NotSet,
            path: Set(segment.path.clone()),
            tier: Set(segment.tier),
            origin: Set(segment.origin),
            state: Set(State::Live),
            hour: Set(self.hour.start()),
            min_ts: Set(segment.span.from.start()),
            max_ts: Set(segment.span.to.start()),
            row_count: Set(segment.row_count),
            metric_count: Set(segment.metric_count),
            byte_count: Set(segment.byte_count),
            sha256: Set(segment.sha256.clone()),
            created_at: Set(now),
            retired_at: Set(None),
        }
    }
}

/// Sorted by (metric, ts), one row each: the last one given wins.
fn sorted(mut rows: Vec<Sample>) -> Vec<Sample> {
    rows.sort_by(|a, b| a.metric.cmp(&b.metric).then(a.ts.cmp(&b.ts)));
    let mut kept: Vec<Sample> = Vec::with_capacity(rows.len());
    for row in rows {
        match kept.last_mut() {
            Some(last) if last.metric == row.metric && last.ts == row.ts => last.value = row.value,
            _ => kept.push(row),
        }
    }
    kept
}

fn span_of(rows: &[Sample]) -> Option<Span> {
    let from = rows.iter().map(|row| row.ts).min()?;
    let to = rows.iter().map(|row| row.ts).max()?;
    Some(Span { from, to })
}

fn overlaps(segment: &Model, span: Span) -> bool {
    segment.min_ts <= span.to.start() && span.from.start() <= segment.max_ts
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
