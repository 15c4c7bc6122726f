//! Staging of samples as segments, in two steps, so that a kill between them loses nothing: objects
//! are written first, under new keys; then the caller's transaction makes them live.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use marketlake_entities::records::segments::{Model, Origin, Tier};
use marketlake_model::{Metric, Millis, Minute, Sample};
use object_store::path::Path;
use sea_orm::DatabaseTransaction;
use tokio::task::spawn_blocking;

use crate::catalog::metrics::FirstCommits;
use crate::catalog::{metrics, segments};
use crate::error::LakeError;
use crate::ingest::Ingest;
use crate::ingest::publish::insert;
use crate::ingest::time_check::TimeBounds;
use crate::segment::codec::{Reader, written};
use crate::segment::encode::Segment;
use crate::segment::merge::{Effect, Merge, Source, in_memory};
use crate::segment::rows::Rows;
use crate::span::Span;
use crate::storage::object::Object;

/// Objects that are written, and what their publication will change.
#[derive(Debug, Default)]
pub struct StagedSegments {
    units: Vec<Unit>,
    /// Metrics that the directory lacks.
    new_metrics: Vec<Metric>,
    /// Metrics that a feed has not recorded before; the directory may have them from an import.
    first_recorded: Vec<Metric>,
    /// Bounds of new samples, where they were not looked at before.
    times: TimeBounds,
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

/// Resolution of a duplicate (metric, minute).
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnDuplicate {
    Replace,
    Keep,
}

/// Makes the sources of new rows, each time anew.
pub(crate) type NewRows = Arc<dyn Fn() -> Result<Vec<Source>, LakeError> + Send + Sync>;

impl Ingest<'_> {
    /// Writes samples of one minute as a raw segment, beside those of other metrics. Where the
    /// minute has samples of the same metrics already, its hour (or day) is written anew with both,
    /// the new value of a metric winning; nothing is staged where that would change nothing.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn stage_minute(self, samples: Vec<Sample>) -> Result<StagedSegments, LakeError> {
        self.stage_beside(samples, OnDuplicate::Replace).await
    }

    /// Like [`Self::stage_minute`], for a part of a minute that others ingest parts of too: a
    /// metric that is there already stays as it is.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn stage_part(self, samples: Vec<Sample>) -> Result<StagedSegments, LakeError> {
        self.stage_beside(samples, OnDuplicate::Keep).await
    }

    async fn stage_beside(
        self,
        mut samples: Vec<Sample>,
        on_duplicate: OnDuplicate,
    ) -> Result<StagedSegments, LakeError> {
        let minutes = || samples.iter().map(|sample| sample.ts);
        let (Some(from), Some(to)) = (minutes().min(), minutes().max()) else {
            return Ok(StagedSegments::default());
        };
        let span = Span { from, to };
        let live = segments::live(self.lake.database(), span).await?;
        let (raw, merged): (Vec<Model>, Vec<Model>) = live
            .into_iter()
            .partition(|segment| segment.tier == Tier::Raw);
        let there = self.metrics_of(&raw).await?;
        if on_duplicate == OnDuplicate::Keep {
            samples.retain(|sample| !there.contains(&sample.metric));
        }
        let times = TimeBounds::from_samples(&samples);
        let rows = Arc::new(Rows::sorted(samples));
        let first_recorded = self.first_recorded(&rows);
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
        let mut staged = StagedSegments::new(unit.into_iter().collect(), Vec::new())
            .with_first_recorded(first_recorded);
        staged.times = times;
        Ok(staged)
    }

    /// Writes all live segments of an hour as one. `None` where the hour is one sorted segment
    /// already, or empty.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn stage_compaction(self, hour: Minute) -> Result<Option<StagedSegments>, LakeError> {
        let live = segments::live(self.lake.database(), Span::hour(hour)).await?;
        let raw = live.iter().any(|segment| segment.tier == Tier::Raw);
        if live.len() < 2 && !raw {
            return Ok(None);
        }
        let unit = self
            .rewrite(hour, Tier::Hour, None, Origin::Compact)
            .await?;
        Ok(unit.map(|unit| StagedSegments::new(vec![unit], vec![])))
    }

    /// Writes all live segments of a day as one. `None` where the day is one segment already, or
    /// empty.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn stage_day(self, day: Minute) -> Result<Option<StagedSegments>, LakeError> {
        let live = segments::live(self.lake.database(), Span::day(day)).await?;
        let whole = live.iter().any(|segment| segment.tier == Tier::Day);
        if live.is_empty() || live.len() == 1 && whole {
            return Ok(None);
        }
        let unit = self.rewrite(day, Tier::Day, None, Origin::Compact).await?;
        Ok(unit.map(|unit| StagedSegments::new(vec![unit], vec![])))
    }

    /// Writes what is live in an hour or a day, and new rows, which win, as one sorted segment in
    /// its place; in place of the whole day where the hour lies in a day's segment. `None` where
    /// the new rows change nothing.
    pub(crate) async fn rewrite(
        self,
        first: Minute,
        tier: Tier,
        new: Option<NewRows>,
        origin: Origin,
    ) -> Result<Option<Unit>, LakeError> {
        let (mut first, mut tier) = (span(first, tier).from, tier);
        let mut live = segments::live(self.lake.database(), span(first, tier)).await?;
        if tier != Tier::Day && live.iter().any(|segment| segment.tier == Tier::Day) {
            (first, tier) = (first.day(), Tier::Day);
            live = segments::live(self.lake.database(), span(first, tier)).await?;
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
            .map_err(|error| LakeError::Encode(error.into()))??;
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
        self,
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
        segment.write(self.lake).await?;
        Ok(Some(Unit {
            first,
            segment,
            effect,
            replaces,
            beside,
            alone_in,
        }))
    }

    /// The rows of segments, each whole in memory as it is compressed, and decoded as it is read;
    /// and when the newest of them were written.
    async fn sources(self, segments: &[Model]) -> Result<(Vec<Source>, Option<Millis>), LakeError> {
        let objects: Vec<Object> = segments.iter().map(Object::samples).collect();
        let read = self.lake.store().read_all(objects).await?;
        let mut base = None;
        let mut sources: Vec<Source> = Vec::with_capacity(read.len());
        for (object, bytes) in read {
            base = base.max(written(&object, &bytes)?);
            sources.push(Box::new(Reader::new(object, bytes)?));
        }
        Ok((sources, base))
    }

    async fn metrics_of(self, segments: &[Model]) -> Result<HashSet<Metric>, LakeError> {
        let mut metrics = HashSet::new();
        let (sources, _) = self.sources(segments).await?;
        for batch in sources.into_iter().flatten() {
            metrics.extend(batch?.series().map(|(metric, _)| metric.clone()));
        }
        Ok(metrics)
    }

    fn first_recorded(self, rows: &Rows) -> Vec<Metric> {
        let directory = self.lake.directory();
        let metrics = rows.series().map(|(metric, _)| metric);
        metrics
            .filter(|metric| !directory.is_recorded(metric))
            .cloned()
            .collect()
    }
}

impl StagedSegments {
    pub(crate) fn new(units: Vec<Unit>, new_metrics: Vec<Metric>) -> Self {
        Self {
            units,
            new_metrics,
            first_recorded: Vec::new(),
            times: TimeBounds::default(),
        }
    }

    /// With metrics that a feed has not recorded before.
    pub(crate) fn with_first_recorded(mut self, metrics: Vec<Metric>) -> Self {
        self.first_recorded = metrics;
        self
    }

    pub(crate) fn extend(&mut self, units: impl IntoIterator<Item = Unit>) {
        self.units.extend(units);
    }

    /// Forgets what was staged of a day.
    pub(crate) fn drop_day(&mut self, day: Minute) {
        self.units.retain(|unit| unit.first.day() != day);
    }

    /// Makes the objects part of the lake, within the caller's transaction, which also removes
    /// their upload intents.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] where another commit changed one of the hours since, or vacuum took
    /// an object away that was staged longer ago than its grace: roll back and stage again.
    /// [`LakeError::InvalidTime`] where a sample is in the future.
    pub async fn publish(
        &self,
        transaction: &DatabaseTransaction,
        now: Millis,
    ) -> Result<(), LakeError> {
        self.times.check(now)?;
        segments::lock(transaction).await?;
        for unit in &self.units {
            let conflict = || LakeError::Conflict { first: unit.first };
            let live = segments::live(transaction, unit.alone_in).await?;
            if live.iter().any(|segment| !unit.knows(segment.id)) {
                return Err(conflict());
            }
            let retired = segments::retire(transaction, &unit.replaces, now).await?;
            if retired != unit.replaces.len() as u64 {
                return Err(conflict());
            }
            insert(transaction, unit.first, &unit.segment, now).await?;
        }
        metrics::insert(transaction, &self.first_commits(now)).await?;
        Ok(())
    }

    /// First commits of its metrics, at the time of its publication.
    fn first_commits(&self, now: Millis) -> BTreeMap<Metric, FirstCommits> {
        let imported = self.new_metrics.iter().map(|metric| (metric, None));
        let recorded = self.first_recorded.iter().map(|metric| (metric, Some(now)));
        let first = imported.chain(recorded).map(|(metric, recorded_at)| {
            let times = FirstCommits {
                created_at: now,
                recorded_at,
                is_certain: recorded_at.is_some(),
            };
            (metric.clone(), times)
        });
        first.collect()
    }

    /// Returns whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Number of rows in the new segments.
    #[must_use]
    pub fn row_count(&self) -> i64 {
        self.units.iter().map(|unit| unit.segment.row_count).sum()
    }

    /// Number of new samples.
    #[must_use]
    pub fn added(&self) -> u64 {
        self.units.iter().map(|unit| unit.effect.added).sum()
    }

    /// Number of samples that replace another value.
    #[must_use]
    pub fn corrected(&self) -> u64 {
        self.units.iter().map(|unit| unit.effect.corrected).sum()
    }

    /// Number of replaced segments.
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

fn span(first: Minute, tier: Tier) -> Span {
    match tier {
        Tier::Raw | Tier::Hour => Span::hour(first),
        Tier::Day => Span::day(first),
    }
}

fn ids(segments: &[Model]) -> Vec<i64> {
    segments.iter().map(|segment| segment.id).collect()
}
