//! Import of samples of any time: sorts them by hour or day, spills to disk beyond a memory limit,
//! and writes each hour or day once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_entities::database;
use marketlake_entities::records::segments::{Origin, Tier};
use marketlake_model::{Metric, Millis, Minute, Sample};
use parking_lot::Mutex;
use sea_orm::DatabaseTransaction;

use crate::catalog::directory::Directory;
use crate::catalog::segments;
use crate::error::LakeError;
use crate::ingest::commit::{Commit, commit};
use crate::ingest::stage::{NewRows, StagedSegments, Unit};
use crate::ingest::time_check::TimeBounds;
use crate::lake::Lake;
use crate::segment::codec::{Reader, Writer};
use crate::segment::merge::{Source, in_memory};
use crate::segment::rows::Rows;
use crate::span::Span;
use crate::storage::object::Object;

/// Samples held in memory before they are spilled to disk.
const MAX_SAMPLES_IN_MEMORY: usize = 6_000_000;
/// Hours or days that are written concurrently.
const CONCURRENCY: usize = 2;
/// Time after its end from which on a day's history is written as one segment.
pub(crate) const DAY_COMPLETE_AFTER: Duration = Duration::from_secs(3_600);

/// Samples on their way into the lake. Later ones win over earlier ones, and over what the lake
/// has.
pub struct Import {
    lake: Arc<Lake>,
    now: Millis,
    units: BTreeMap<(Minute, Tier), Runs>,
    in_memory: usize,
    max_in_memory: usize,
    spill_file: Arc<Mutex<Option<File>>>,
    metrics: HashSet<Metric>,
    times: TimeBounds,
    samples: u64,
    is_of_feed: bool,
}

/// Sorted runs of one hour or day, in the order in which they came.
#[derive(Clone, Default)]
struct Runs(Vec<Run>);

#[derive(Clone)]
enum Run {
    InMemory(Arc<Rows>),
    /// Position in the spill file.
    Spilled {
        offset: u64,
        length: u64,
    },
}

/// Counts of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Samples that came.
    pub samples: u64,
    /// Those of a metric and minute that had none.
    pub added: u64,
    /// Those in place of another value.
    pub corrected: u64,
}

impl Lake {
    /// Begins an import.
    #[must_use]
    pub fn importer(self: &Arc<Self>, now: Millis) -> Import {
        Import {
            lake: Arc::clone(self),
            now,
            units: BTreeMap::new(),
            in_memory: 0,
            max_in_memory: MAX_SAMPLES_IN_MEMORY,
            spill_file: Arc::default(),
            metrics: HashSet::new(),
            times: TimeBounds::default(),
            samples: 0,
            is_of_feed: false,
        }
    }

    /// Imports samples in a transaction of their own.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn import(
        self: &Arc<Self>,
        samples: Vec<Sample>,
        now: Millis,
    ) -> Result<ImportSummary, LakeError> {
        let mut import = self.importer(now);
        import.push(samples)?;
        import.finish().await
    }
}

impl Import {
    /// Limits the samples held in memory; the default is six million.
    #[must_use]
    pub fn with_memory(mut self, samples: usize) -> Self {
        self.max_in_memory = samples;
        self
    }

    /// Marks the samples as those of a feed that is recorded: of its own history, for minutes that
    /// it lacks. Short names then count its metrics as recorded, not as imported.
    #[must_use]
    pub fn of_feed(mut self) -> Self {
        self.is_of_feed = true;
        self
    }

    /// Takes samples. Those beyond the memory limit wait in a temporary file.
    ///
    /// # Errors
    /// Fails if that file cannot be written.
    pub fn push(&mut self, samples: Vec<Sample>) -> Result<(), LakeError> {
        self.samples += samples.len() as u64;
        let mut units: BTreeMap<(Minute, Tier), Vec<Sample>> = BTreeMap::new();
        let mut last: Option<(Minute, (Minute, Tier))> = None;
        for sample in samples {
            self.times.add(&sample);
            let hour = sample.ts.hour();
            let unit = match last {
                Some((last_hour, unit)) if last_hour == hour => unit,
                _ => self.unit_of(hour),
            };
            last = Some((hour, unit));
            units.entry(unit).or_default().push(sample);
        }
        for (unit, samples) in units {
            let rows = Rows::sorted(samples);
            for (metric, _) in rows.series() {
                if !self.metrics.contains(metric) {
                    self.metrics.insert(metric.clone());
                }
            }
            self.in_memory += rows.len();
            let run = Run::InMemory(Arc::new(rows));
            self.units.entry(unit).or_default().0.push(run);
        }
        if self.in_memory > self.max_in_memory {
            self.spill_to_disk()?;
        }
        Ok(())
    }

    fn unit_of(&self, hour: Minute) -> (Minute, Tier) {
        let day = hour.day();
        let ended = day.plus(24 * 60).start().plus(DAY_COMPLETE_AFTER) <= self.now;
        if ended {
            (day, Tier::Day)
        } else {
            (hour, Tier::Hour)
        }
    }

    fn spill_to_disk(&mut self) -> Result<(), LakeError> {
        let mut spill_file = self.spill_file.lock();
        let file = match spill_file.as_mut() {
            Some(file) => file,
            None => spill_file.insert(tempfile::tempfile().map_err(LakeError::spill)?),
        };
        let mut offset = file.seek(SeekFrom::End(0)).map_err(LakeError::spill)?;
        for run in self.units.values_mut().flat_map(|runs| &mut runs.0) {
            if let Run::InMemory(rows) = run {
                let mut writer = Writer::new(Tier::Raw)?;
                for (metric, points) in rows.series() {
                    writer.push(metric, points)?;
                }
                let bytes = writer.finish()?;
                file.write_all(&bytes).map_err(LakeError::spill)?;
                let length = bytes.len() as u64;
                *run = Run::Spilled { offset, length };
                offset += length;
            }
        }
        self.in_memory = 0;
        Ok(())
    }

    /// Writes the objects of all hours and days; they are invisible until they are published.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; [`LakeError::InvalidTime`] where a sample lies in
    /// the future, or before there were markets.
    pub async fn stage(&self) -> Result<StagedSegments, LakeError> {
        self.times
            .check(database::clock(self.lake.database()).await?)?;
        let mut staged = if self.is_of_feed {
            let first_recorded = self.metrics_without(Directory::is_recorded);
            StagedSegments::new(Vec::new(), Vec::new()).with_first_recorded(first_recorded)
        } else {
            StagedSegments::new(Vec::new(), self.metrics_without(Directory::contains))
        };
        let days: BTreeSet<Minute> = self.units.keys().map(|(first, _)| first.day()).collect();
        let mut planned = Vec::new();
        for day in days {
            planned.extend(self.plan(day).await?);
        }
        // Its first objects may wait for longer than vacuum's grace.
        let renewal = &self.lake.intents().renewal();
        let units = stream::iter(planned)
            .map(|(first, tier, runs)| async move {
                let unit = self.stage_unit(first, tier, runs).await?;
                renewal.add(unit.iter().flat_map(Unit::keys)).await?;
                Ok::<_, LakeError>(unit)
            })
            .buffered(CONCURRENCY)
            .try_collect::<Vec<Option<Unit>>>()
            .await?;
        staged.extend(units.into_iter().flatten());
        Ok(staged)
    }

    /// Metrics that the directory lacks in some way, by id.
    fn metrics_without(&self, has: impl Fn(&Directory, &Metric) -> bool) -> Vec<Metric> {
        let directory = self.lake.directory();
        let metrics = self.metrics.iter();
        let mut without: Vec<Metric> = metrics
            .filter(|metric| !has(&directory, metric))
            .cloned()
            .collect();
        without.sort_unstable();
        without
    }

    /// Units of a day to write: the whole day where it is one segment already, else as they were
    /// sorted.
    async fn plan(&self, day: Minute) -> Result<Vec<(Minute, Tier, Runs)>, LakeError> {
        let units: Vec<(Minute, Tier, Runs)> = self
            .units
            .iter()
            .filter(|((first, _), _)| first.day() == day)
            .map(|((first, tier), runs)| (*first, *tier, runs.clone()))
            .collect();
        let live = segments::live(self.lake.database(), Span::day(day)).await?;
        if live.iter().any(|segment| segment.tier == Tier::Day) {
            let runs = units.into_iter().flat_map(|(_, _, runs)| runs.0);
            return Ok(vec![(day, Tier::Day, Runs(runs.collect()))]);
        }
        Ok(units)
    }

    async fn stage_unit(
        &self,
        first: Minute,
        tier: Tier,
        runs: Runs,
    ) -> Result<Option<Unit>, LakeError> {
        let spill_file = Arc::clone(&self.spill_file);
        let new: NewRows =
            Arc::new(move || runs.0.iter().map(|run| run.source(&spill_file)).collect());
        self.lake
            .ingest()
            .rewrite(first, tier, Some(new), Origin::Import)
            .await
    }

    /// Stages a day again that another commit changed: the day of `conflict`.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails.
    pub async fn restage(
        &self,
        mut staged: StagedSegments,
        conflict: Minute,
    ) -> Result<StagedSegments, LakeError> {
        let day = conflict.day();
        staged.drop_day(day);
        for (first, tier, runs) in self.plan(day).await? {
            staged.extend(self.stage_unit(first, tier, runs).await?);
        }
        Ok(staged)
    }

    /// Stages all of it and publishes it in one transaction.
    ///
    /// # Errors
    /// Fails if the store or the catalog fails; nothing is visible then.
    pub async fn finish(self) -> Result<ImportSummary, LakeError> {
        let staged = commit(&self.lake, &self).await?;
        self.lake.refresh_directory().await?;
        Ok(self.outcome(&staged))
    }

    /// Counts of the publication.
    #[must_use]
    pub fn outcome(&self, staged: &StagedSegments) -> ImportSummary {
        ImportSummary {
            samples: self.samples,
            added: staged.added(),
            corrected: staged.corrected(),
        }
    }
}

impl Run {
    fn source(&self, spill_file: &Mutex<Option<File>>) -> Result<Source, LakeError> {
        match self {
            Self::InMemory(rows) => Ok(in_memory(Arc::clone(rows))),
            Self::Spilled { offset, length } => {
                let mut guard = spill_file.lock();
                let missing = || LakeError::Spill("the file is gone".into());
                let file = guard.as_mut().ok_or_else(missing)?;
                let mut bytes = vec![0; usize::try_from(*length).unwrap_or(0)];
                file.seek(SeekFrom::Start(*offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(LakeError::spill)?;
                let reader = Reader::new(Object::temporary(*length), Bytes::from(bytes))?;
                Ok(Box::new(reader))
            }
        }
    }
}

#[async_trait]
impl Commit for Import {
    type Error = LakeError;

    async fn stage(&self) -> Result<StagedSegments, LakeError> {
        Import::stage(self).await
    }

    async fn restage(
        &self,
        staged: StagedSegments,
        conflict: Minute,
    ) -> Result<StagedSegments, LakeError> {
        Import::restage(self, staged, conflict).await
    }

    async fn record(
        &self,
        _: &DatabaseTransaction,
        _: &StagedSegments,
    ) -> Result<Millis, LakeError> {
        Ok(self.now)
    }

    fn is_due(&self, staged: &StagedSegments) -> bool {
        !staged.is_empty()
    }
}
