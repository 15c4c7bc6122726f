//! `fill-gaps`: fills minutes that were not recorded, or not completely, from the history of their
//! exchanges, newest first. Each minute in which one is due.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use futures::future::join_all;
use marketlake_entities::database;
use marketlake_entities::records::gaps::GapReason;
use marketlake_lake::{Commit, Import, Lake, LakeError, StagedSegments, commit};
use marketlake_model::{Millis, Minute};
use metrics::{counter, gauge};
use parking_lot::Mutex;
use sea_orm::{DatabaseTransaction, DbErr};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::error::JobError;
use crate::gap_filler::{FillTime, GapFiller};
use crate::gap_progress::GapProgress;
use crate::gap_upkeep;
use crate::gaps::{self, MissedSlot, NewGap};
use crate::job::{Job, JobContext, PlannedSlot, PlanningTime, Policy};
use crate::jobs::ingest_minute::{CATCH_UP_MINUTES, IngestMinute};
use crate::jobs::vacuum::CLOCK_TRUSTED_AFTER;
use crate::shards::{Shard, Source, shards};
use crate::slots;

/// Time that a run has for requests; then it commits what it has.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Samples of a run that are held in memory; more are spilled to disk.
const MAX_SAMPLES_IN_MEMORY: usize = 500_000;
/// Time for the commit; the rest of a run's timeout is for the record of its failure.
const COMMIT_TIME: Duration = Duration::from_secs(480);
/// Interval at which missed slots are looked for.
const FIND_INTERVAL_MS: i64 = 10_000;
/// Time before the last look from which slots are read again: a transaction may commit late.
const FIND_OVERLAP: Duration = Duration::from_secs(300);

/// The job. It leaves: samples of the exchanges' history, merged with what the lake had, and the
/// state of each gap.
pub struct FillGaps {
    lake: Arc<Lake>,
    shards: Vec<Shard>,
    /// Markets of all feeds.
    markets: Vec<String>,
    fillers: Vec<GapFiller>,
    /// Markets of the fillers.
    filled: Vec<String>,
    request_time: Duration,
    found_at: Mutex<Option<Millis>>,
}

impl FillGaps {
    /// Its name.
    pub const NAME: &'static str = "fill-gaps";

    /// The job for the gaps of some feeds.
    #[must_use]
    pub fn new(lake: Arc<Lake>, sources: &[Source]) -> Self {
        let mut fillers: Vec<GapFiller> = Vec::new();
        for history in sources.iter().filter_map(|source| source.history.as_ref()) {
            if fillers
                .iter()
                .all(|known| known.market() != history.market())
            {
                fillers.push(GapFiller::new(Arc::clone(history)));
            }
        }
        let markets = sources.iter().flat_map(|source| &source.markets);
        Self {
            lake,
            shards: shards(sources),
            markets: markets.cloned().collect(),
            filled: fillers
                .iter()
                .map(|filler| filler.market().to_owned())
                .collect(),
            fillers,
            request_time: REQUEST_TIME,
            found_at: Mutex::new(None),
        }
    }

    /// With another time for requests; the default is a minute.
    #[must_use]
    pub fn with_request_time(mut self, time: Duration) -> Self {
        self.request_time = time;
        self
    }

    /// Records the gaps of slots that were missed since the last call, at most every ten seconds.
    async fn find(&self, now: Millis) -> Result<(), DbErr> {
        let last = *self.found_at.lock();
        if last.is_some_and(|last| (0..FIND_INTERVAL_MS).contains(&now.since(last))) {
            return Ok(());
        }
        let database = self.lake.database();
        let oldest = now.minute().plus(-CATCH_UP_MINUTES);
        let since = last.map_or(Millis(0), |last| last.min(now).minus(FIND_OVERLAP));
        let missed = gaps::missed_slots(database, IngestMinute::NAME, oldest, since).await?;
        let new = missed.iter().flat_map(|slot| self.gaps_of(slot)).collect();
        let new = gaps::retain_new(database, new).await?;
        let found = gaps::insert(database, &new, now).await?;
        if found > 0 {
            tracing::info!(gaps = found, "minutes that were missed are to be filled");
        }
        gap_upkeep::repair_times(database, &self.markets, now).await?;
        self.report_open().await?;
        *self.found_at.lock() = Some(now);
        Ok(())
    }

    /// Gaps of a slot: one for each market of the feeds of its shard.
    fn gaps_of(&self, slot: &MissedSlot) -> Vec<NewGap> {
        let shard = usize::try_from(slot.shard).ok();
        let shard = shard.and_then(|number| self.shards.get(number));
        let sources = shard.into_iter().flat_map(|shard| &shard.sources);
        sources
            .flat_map(|source| {
                NewGap::of_source(source, slot.minute, GapReason::Missed, &slot.error)
            })
            .collect()
    }

    /// Records an attempt at the gaps of a run that could not be committed, so that the next one
    /// takes others.
    async fn record_failure(&self, fill: &FillCommit<'_>, error: &JobError) -> Result<(), DbErr> {
        let transaction = database::begin_write(self.lake.database()).await?;
        let now = fill.run.now(&transaction).await?;
        let error = error.to_string();
        for progress in &fill.markets {
            let changes = progress.uncommitted_changes(now, &error, rand::random::<f64>);
            gaps::record(&transaction, &changes, progress.position(), now).await?;
        }
        transaction.commit().await
    }

    /// Sets the gauges of open gaps.
    async fn report_open(&self) -> Result<(), DbErr> {
        let counts = gaps::open_counts(self.lake.database()).await?;
        for market in &self.filled {
            let open = counts.get(market).copied().unwrap_or_default();
            gauge!("marketlake_gaps", "market" => market.clone(), "state" => "open")
                .set(as_float(open));
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn as_float(count: i64) -> f64 {
    count as f64
}

#[async_trait]
impl Job for FillGaps {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(600),
            attempts: 3,
            dependencies: &[],
        }
    }

    /// The running minute, if a gap is due and no run is under way: requests to an exchange come
    /// from one process at a time. A run that failed or was killed is first.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        if self.shards.is_empty() {
            return Ok(Vec::new());
        }
        self.find(moment.now).await?;
        let database = self.lake.database();
        if !gaps::has_due(database, &self.filled, moment.now).await? {
            return Ok(Vec::new());
        }
        let slot = match slots::oldest_open(database, Self::NAME).await? {
            None => moment.now.minute().start(),
            Some(open) if open.lease_until.is_some_and(|until| until >= moment.now) => {
                return Ok(Vec::new());
            }
            Some(open) => open.slot,
        };
        Ok(vec![PlannedSlot::pending(slot)])
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let now = run.now(self.lake.database()).await?;
        let time = FillTime {
            now,
            is_trusted: !run.clock_stepped_within(CLOCK_TRUSTED_AFTER),
            deadline: Instant::now() + self.request_time,
            limit: self.request_time,
        };
        let import = self.lake.importer(now).of_feed();
        let import = Mutex::new(import.with_memory(MAX_SAMPLES_IN_MEMORY));
        let fillers = self.fillers.iter();
        let filled = fillers.map(|filler| filler.fill(&self.lake, &import, time));
        let markets = all_progress(join_all(filled).await)?;
        let fill = FillCommit {
            run,
            import: import.into_inner(),
            markets,
        };
        let committed = timeout(COMMIT_TIME, commit(&self.lake, &fill)).await;
        let (result, is_too_slow) = match committed {
            Ok(result) => (result.map(|_| ()), false),
            Err(_) => (Err(JobError::TimedOut(COMMIT_TIME)), true),
        };
        if let Err(error) = result {
            if (is_too_slow || is_of_samples(&error))
                && let Err(failed) = self.record_failure(&fill, &error).await
            {
                tracing::warn!(error = %failed, "a failed attempt cannot be recorded");
            }
            return Err(error);
        }
        for progress in &fill.markets {
            report(run.slot, progress);
        }
        self.report_open().await?;
        Ok(())
    }
}

/// Progress of the markets that have some. The error of a market does not cost the others theirs;
/// it is one where no market has any.
fn all_progress(
    filled: Vec<Result<Option<GapProgress>, JobError>>,
) -> Result<Vec<GapProgress>, JobError> {
    let mut markets = Vec::new();
    let mut last_error = None;
    for result in filled {
        match result {
            Ok(progress) => markets.extend(progress),
            Err(error) => {
                tracing::warn!(%error, "gaps of a market cannot be read");
                last_error = Some(error);
            }
        }
    }
    match last_error {
        Some(error) if markets.is_empty() => Err(error),
        _ => Ok(markets),
    }
}

/// Whether a commit failed because of its samples, or the hours that they belong to: not because
/// another worker has the slot, or the database is away or of another lake.
fn is_of_samples(error: &JobError) -> bool {
    let is_of_run = matches!(
        error,
        JobError::Fenced | JobError::Stopped | JobError::Lake(LakeError::Mismatch(_))
    );
    !is_of_run && !error.is_of_database()
}

/// Counts and logs the progress of a market.
fn report(slot: Millis, progress: &GapProgress) {
    let (market, samples) = (progress.market(), progress.sample_count());
    let (from, to) = progress.bounds();
    let skipped = progress.skipped().len();
    counter!("marketlake_gap_samples_total", "market" => market).increment(samples);
    match progress.error() {
        Some(error) => tracing::warn!(
            %slot, market, %from, %to, samples, skipped, error,
            "gaps cannot be filled now"
        ),
        None => tracing::info!(
            %slot, market, %from, %to, samples, skipped, whole = progress.is_whole(),
            "gaps filled"
        ),
    }
}

/// Commits the samples of all markets, the states of their gaps, and the result of the run.
struct FillCommit<'a> {
    run: &'a JobContext,
    import: Import,
    markets: Vec<GapProgress>,
}

impl FillCommit<'_> {
    fn outcome(&self, staged: &StagedSegments) -> Value {
        let did = self.import.outcome(staged);
        let markets = self.markets.iter().map(|progress| {
            let (from, to) = progress.bounds();
            json!({
                "market": progress.market(),
                "from": from.to_string(),
                "to": to.to_string(),
                "samples": progress.sample_count(),
                "skipped": progress.skipped().len(),
                "whole": progress.is_whole(),
                "error": progress.error(),
            })
        });
        json!({
            "samples": did.samples,
            "added": did.added,
            "corrected": did.corrected,
            "markets": markets.collect::<Vec<Value>>(),
        })
    }
}

#[async_trait]
impl Commit for FillCommit<'_> {
    type Error = JobError;

    async fn stage(&self) -> Result<StagedSegments, JobError> {
        let staged = self.import.stage().await?;
        fail_point!("between-history-and-commit");
        Ok(staged)
    }

    async fn restage(
        &self,
        staged: StagedSegments,
        conflict: Minute,
    ) -> Result<StagedSegments, JobError> {
        Ok(self.import.restage(staged, conflict).await?)
    }

    async fn record(
        &self,
        transaction: &DatabaseTransaction,
        staged: &StagedSegments,
    ) -> Result<Millis, JobError> {
        let now = self.run.now(transaction).await?;
        for progress in &self.markets {
            let changes = progress.changes(now, rand::random::<f64>);
            gaps::record(transaction, &changes, progress.position(), now).await?;
            if let Some(pause) = progress.pause() {
                gaps::put_off(transaction, progress.market(), now.plus(pause)).await?;
            }
        }
        self.run.finish(transaction, &self.outcome(staged)).await?;
        Ok(now)
    }
}
