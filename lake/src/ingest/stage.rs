//! From samples to live segments, in two steps, so that a kill between them costs nothing: objects are written
//! first, under keys that were never used; then one transaction, the caller's, makes them part of the lake.

use std::collections::HashSet;
use std::sync::Arc;

use marketlake_entities::records::segments::{ActiveModel, Entity, Model, Origin, State, Tier};
use marketlake_model::{Metric, Millis, Minute, Sample};
use object_store::path::Path;
use sea_orm::{DatabaseTransaction, EntityTrait, NotSet, Set};
use tokio::task::spawn_blocking;

use crate::catalog::{segments, upload_intents};
use crate::error::LakeError;
use crate::ingest::time_check::Extremes;
use crate::lake::Lake;
use crate::segment::codec::{Reader, written};
use crate::segment::encode::Segment;
use crate::segment::merge::{Effect, Merge, Source, in_memory};
use crate::segment::rows::Rows;
use crate::span::Span;
use crate::storage::object::Object;

/// Objects that are written, and what their publication will change.
#[derive(Debug, Default)]
pub struct Staged {
    units: Vec<Unit>,
    new_metrics: Vec<Metric>,
    /// Of new samples, where they were not looked at before.
    times: Extremes,
}

/// One hour's or day's change: a new segment, perhaps in place of others.
#[derive(Debug)]
pub(crate) struct Unit {
    /// The first minute of the hour or day.
    pub(crate) first: Minute,
    segment: Segment,
    effect: Effect,
    /// Segments that it replaces.
    replaces: Vec<i64>,
    /// Segments of other metrics, which stay.
    beside: Vec<i64>,
    /// Nothing else of this span may be live at the commit.
    alone_in: Span,
}

/// What becomes of a sample that is there already, of the same metric and minute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twin {
    GivesWay,
    Stays,
}

/// Makes the sources of new rows, each time anew.
pub(crate) type NewRows = Arc<dyn Fn() -> Result<Vec<Source>, LakeError> + Send + Sync>;

impl Lake {
    /// Writes samples of one minute as a raw segment, beside those of other metrics. Where the minute has samples of the same
    /// metrics already, its hour (or day) is written anew with both, the new value of a metric winning; nothing
    /// is staged where that would change nothing.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_minute(&self, samples: Vec<Sample>) -> Result<Staged, LakeError> {
        self.stage_beside(samples, Twin::GivesWay).await
    }

    /// Like [`Self::stage_minute`], for a part of a minute that others ingest parts of too: a metric that is there already stays as it is.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_part(&self, samples: Vec<Sample>) -> Result<Staged, LakeError> {
        self.stage_beside(samples, Twin::Stays).await
    }

    async fn stage_beside(
        &self,
        mut samples: Vec<Sample>,
        twin: Twin,
    ) -> Result<Staged, LakeError> {
        let minutes = || samples.iter().map(|sample| sample.ts);
        let (Some(from), Some(to)) = (minutes().min(), minutes().max()) else {
            return Ok(Staged::default());
        };
        let span = Span { from, to };
        let live = segments::live(self.database(), span).await?;
        let (raw, merged): (Vec<Model>, Vec<Model>) = live
            .into_iter()
            .partition(|segment| segment.tier == Tier::Raw);
        let there = self.metrics_of(&raw).await?;
        if twin == Twin::Stays {
            samples.retain(|sample| !there.contains(&sample.metric));
        }
        let times = Extremes::of(&samples);
        let rows = Arc::new(Rows::sorted(samples));
        let new_metrics = self.new_metrics(&rows);
        let shared = rows.series().any(|(metric, _)| there.contains(metric));
        let unit = if merged.is_empty() && !shared {
            let mut merge = Merge::new(Vec::new(), vec![in_memory(Arc::clone(&rows))])?;
            let segment = Segment::encode(Tier::Raw, Origin::Ingest, None, &mut merge)?;
            self.unit(
                from.hour(),
                segment,
                merge.effect(),
                span,
                vec![],
                ids(&raw),
            )
            .await?
        } else {
            let new: NewRows = Arc::new(move || Ok(vec![in_memory(Arc::clone(&rows))]));
            self.rewrite(from.hour(), Tier::Hour, Some(new), Origin::Ingest)
                .await?
        };
        let mut staged = Staged::new(unit.into_iter().collect(), new_metrics);
        staged.times = times;
        Ok(staged)
    }

    /// Writes all live segments of an hour as one. `None` where the hour is one sorted segment already, or empty.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_compaction(&self, hour: Minute) -> Result<Option<Staged>, LakeError> {
        let live = segments::live(self.database(), Span::hour(hour)).await?;
        let raw = live.iter().any(|segment| segment.tier == Tier::Raw);
        if live.len() < 2 && !raw {
            return Ok(None);
        }
        let unit = self
            .rewrite(hour, Tier::Hour, None, Origin::Compact)
            .await?;
        Ok(unit.map(|unit| Staged::new(vec![unit], vec![])))
    }

    /// Writes all live segments of a day as one. `None` where the day is one segment already, or empty.
    ///
    /// # Errors
    /// Where the store or the catalog fails; nothing is visible then.
    pub async fn stage_day(&self, day: Minute) -> Result<Option<Staged>, LakeError> {
        let live = segments::live(self.database(), Span::day(day)).await?;
        let whole = live.iter().any(|segment| segment.tier == Tier::Day);
        if live.is_empty() || live.len() == 1 && whole {
            return Ok(None);
        }
        let unit = self.rewrite(day, Tier::Day, None, Origin::Compact).await?;
        Ok(unit.map(|unit| Staged::new(vec![unit], vec![])))
    }

    /// Writes what is live in an hour or a day, and new rows, which win, as one sorted segment in its place; in place of the whole day
    /// where the hour lies in a day's segment. `None` where the new rows change nothing.
    pub(crate) async fn rewrite(
        &self,
        first: Minute,
        tier: Tier,
        new: Option<NewRows>,
        origin: Origin,
    ) -> Result<Option<Unit>, LakeError> {
        let (mut first, mut tier) = (first, tier);
        let mut live = segments::live(self.database(), span(first, tier)).await?;
        if tier != Tier::Day && live.iter().any(|segment| segment.tier == Tier::Day) {
            (first, tier) = (first.day(), Tier::Day);
            live = segments::live(self.database(), span(first, tier)).await?;
        }
        let (old, base) = self.sources(&live).await?;
        let encoded = spawn_blocking(move || {
            let sources = match &new {
                Some(new) => new()?,
                None => Vec::new(),
            };
            let mut merge = Merge::new(old, sources)?;
            let segment = Segment::encode(tier, origin, base, &mut merge)?;
            let unchanged = new.is_some() && merge.effect() == Effect::default();
            Ok::<_, LakeError>((segment.filter(|_| !unchanged), merge.effect()))
        });
        let (segment, effect) = encoded
            .await
            .map_err(|error| LakeError::Encode(error.to_string()))??;
        self.unit(
            first,
            segment,
            effect,
            span(first, tier),
            ids(&live),
            vec![],
        )
        .await
    }

    async fn unit(
        &self,
        first: Minute,
        segment: Option<Segment>,
        effect: Effect,
        alone_in: Span,
        replaces: Vec<i64>,
        beside: Vec<i64>,
    ) -> Result<Option<Unit>, LakeError> {
        let Some(mut segment) = segment else {
            return Ok(None);
        };
        segment.write(self).await?;
        Ok(Some(Unit {
            first,
            segment,
            effect,
            replaces,
            beside,
            alone_in,
        }))
    }

    /// The rows of segments, each whole in memory as it is compressed, and decoded as it is read; and when the
    /// newest of them were written.
    async fn sources(
        &self,
        segments: &[Model],
    ) -> Result<(Vec<Source>, Option<Millis>), LakeError> {
        let objects: Vec<Object> = segments.iter().map(Object::samples).collect();
        let read = self.store().read_all(objects).await?;
        let mut base = None;
        let mut sources: Vec<Source> = Vec::with_capacity(read.len());
        for (object, bytes) in read {
            base = base.max(written(&object, &bytes)?);
            sources.push(Box::new(Reader::new(object, bytes)?));
        }
        Ok((sources, base))
    }

    async fn metrics_of(&self, segments: &[Model]) -> Result<HashSet<Metric>, LakeError> {
        let mut metrics = HashSet::new();
        let (sources, _) = self.sources(segments).await?;
        for batch in sources.into_iter().flatten() {
            metrics.extend(batch?.series().map(|(metric, _)| metric.clone()));
        }
        Ok(metrics)
    }

    pub(crate) fn new_metrics(&self, rows: &Rows) -> Vec<Metric> {
        let directory = self.directory();
        let metrics = rows.series().map(|(metric, _)| metric);
        metrics
            .filter(|metric| !directory.holds(metric))
            .cloned()
            .collect()
    }
}

impl Staged {
    pub(crate) fn new(units: Vec<Unit>, new_metrics: Vec<Metric>) -> Self {
        Self {
            units,
            new_metrics,
            times: Extremes::default(),
        }
    }

    pub(crate) fn extend(&mut self, units: impl IntoIterator<Item = Unit>) {
        self.units.extend(units);
    }

    /// Forgets what was staged of a day.
    pub(crate) fn drop_day(&mut self, day: Minute) {
        self.units.retain(|unit| unit.first.day() != day);
    }

    /// Makes the objects part of the lake, within the caller's transaction, which also removes their
    /// upload intents.
    ///
    /// # Errors
    /// [`LakeError::Moved`] where another commit changed one of the hours since, or vacuum took an
    /// object away that was staged longer ago than its grace: roll back and stage again.
    /// [`LakeError::Time`] where a sample lies in the future.
    pub async fn publish(
        &self,
        transaction: &DatabaseTransaction,
        now: Millis,
    ) -> Result<(), LakeError> {
        self.times.check(now)?;
        segments::lock(transaction).await?;
        for unit in &self.units {
            let moved = || LakeError::Moved { first: unit.first };
            let live = segments::live(transaction, unit.alone_in).await?;
            if live.iter().any(|segment| !unit.knows(segment.id)) {
                return Err(moved());
            }
            let retired = segments::retire(transaction, &unit.replaces, now).await?;
            if retired != unit.replaces.len() as u64 {
                return Err(moved());
            }
            insert(transaction, unit.first, &unit.segment, now).await?;
        }
        segments::enter(transaction, &self.new_metrics, now).await?;
        Ok(())
    }

    /// Whether it would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// How many rows the new segments hold.
    #[must_use]
    pub fn row_count(&self) -> i64 {
        self.units.iter().map(|unit| unit.segment.row_count).sum()
    }

    /// How many samples are new.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.units.iter().map(|unit| unit.effect.added).sum()
    }

    /// How many samples take the place of another value.
    #[must_use]
    pub fn corrected(&self) -> u64 {
        self.units.iter().map(|unit| unit.effect.corrected).sum()
    }

    /// How many segments are replaced.
    #[must_use]
    pub fn replaced(&self) -> usize {
        self.units.iter().map(|unit| unit.replaces.len()).sum()
    }

    /// Size of the new objects, in bytes.
    #[must_use]
    pub fn byte_count(&self) -> i64 {
        let bytes = self.units.iter().map(|unit| unit.segment.byte_count());
        bytes.sum()
    }
}

impl Unit {
    /// Keys of its objects.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Path> {
        self.segment.keys().into_iter().cloned()
    }

    fn knows(&self, id: i64) -> bool {
        self.replaces.contains(&id) || self.beside.contains(&id)
    }
}

/// Makes a segment live, and its objects' upload intents end, in one transaction.
pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    first: Minute,
    segment: &Segment,
    now: Millis,
) -> Result<(), LakeError> {
    if !upload_intents::consume(transaction, &segment.keys()).await? {
        return Err(LakeError::Moved { first });
    }
    Entity::insert(row(first, segment, now))
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// A segment's row, live from now on.
fn row(first: Minute, segment: &Segment, now: Millis) -> ActiveModel {
    let (samples, rollups) = (&segment.samples, segment.rollups.as_ref());
    ActiveModel {
        id: NotSet,
        path: Set(samples.key.to_string()),
        tier: Set(segment.tier),
        origin: Set(segment.origin),
        state: Set(State::Live),
        hour: Set(first.start()),
        min_ts: Set(segment.span.from.start()),
        max_ts: Set(segment.span.to.start()),
        row_count: Set(segment.row_count),
        metric_count: Set(segment.metric_count),
        byte_count: Set(samples.sums.byte_count),
        sha256: Set(samples.sums.sha256.clone()),
        crcs: Set(Some(samples.sums.crcs.clone())),
        rollup_path: Set(rollups.map(|part| part.key.to_string())),
        rollup_byte_count: Set(rollups.map(|part| part.sums.byte_count)),
        rollup_sha256: Set(rollups.map(|part| part.sums.sha256.clone())),
        rollup_crcs: Set(rollups.map(|part| part.sums.crcs.clone())),
        created_at: Set(now),
        retired_at: Set(None),
    }
}

fn span(first: Minute, tier: Tier) -> Span {
    match tier {
        Tier::Raw | Tier::Hour => Span::hour(first),
        Tier::Day => Span::day(first),
    }
}

fn ids(segments: &[Model]) -> Vec<i64> {
    segments.iter().map(|segment| segment.id).collect()
}
