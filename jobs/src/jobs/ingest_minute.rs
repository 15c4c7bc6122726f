//! `ingest-minute`: fetches one minute from every feed and commits its samples. Each minute, once
//! it is over.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use futures::future::join_all;
use marketlake_common::failure_log::FailureLog;
use marketlake_entities::database;
use marketlake_entities::records::gaps::GapReason;
use marketlake_entities::records::job_runs::JobRunState;
use marketlake_feeds::{Batch, Coverage, FeedError, ReplayClock};
use marketlake_lake::{Commit, Lake, StagedSegments, commit};
use marketlake_model::{Millis, Minute, Sample};
use metrics::{counter, gauge};
use sea_orm::DatabaseTransaction;
use serde_json::{Value, json};

use crate::error::JobError;
use crate::gaps::{self, NewGap};
use crate::job::{Job, JobContext, MINUTE, PlannedSlot, PlanningTime, Policy};
use crate::run_log;
use crate::shards::{Shard, Source, shards};
use crate::slots;

/// Time after a minute's start until which a live price is taken for it: its slot is due after 60
/// seconds, at the minute's end; a price of up to 45 seconds later counts as the last one of it.
const LATENESS: Duration = Duration::from_secs(105);
/// Name of the job that evaluates what this one commits.
pub(crate) const DETECT_JUMPS: &str = "detect-jumps";
/// Time that the first minute of a lake must have left: it is claimed and fetched in it.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// Minutes back for which missing slots are planned, and gaps found.
pub(crate) const CATCH_UP_MINUTES: i64 = 7 * 1_440;

/// The job. It leaves: one raw segment a part, its metrics in the directory, the gaps of feeds that
/// lack something, and a slot of `detect-jumps`.
pub struct IngestMinute {
    lake: Arc<Lake>,
    shards: Vec<Shard>,
    pace: Option<ReplayClock>,
    failures: FailureLog,
    rejections: FailureLog,
}

impl IngestMinute {
    /// Its name.
    pub const NAME: &'static str = "ingest-minute";

    /// The job over some feeds, of those that are not split earlier ones winning a metric; at a
    /// replay's pace where there is one.
    #[must_use]
    pub fn new(lake: Arc<Lake>, sources: Vec<Source>, pace: Option<ReplayClock>) -> Self {
        let shards = shards(&sources);
        Self {
            lake,
            shards,
            pace,
            failures: FailureLog::new(),
            rejections: FailureLog::new(),
        }
    }

    /// Coverage of the feed that covers least.
    fn coverage(&self) -> Coverage {
        let sources = self.shards.iter().flat_map(|part| &part.sources);
        let least = sources.map(|source| source.feed.coverage()).min();
        least.unwrap_or(Coverage::Historical)
    }

    fn shard(&self, shard: i32) -> Result<&Shard, JobError> {
        let part = usize::try_from(shard)
            .ok()
            .and_then(|at| self.shards.get(at));
        part.ok_or(JobError::UnknownShard {
            shard,
            count: self.shards.len(),
        })
    }

    /// Fetches from all feeds of a shard. A feed that fails does not cost the samples of the
    /// others; it is an error where none gave any.
    async fn fetch(&self, shard: &Shard, slot: Minute) -> Result<FetchedMinute, JobError> {
        let mut whole = Batch::default();
        let (mut failures, mut gaps) = (Vec::new(), Vec::new());
        let mut first_error = None;
        // At once: a stream may wait for what follows the minute.
        let feeds = shard.sources.iter().map(|source| &source.feed);
        let answers = join_all(feeds.map(|feed| feed.samples(slot))).await;
        for (source, answer) in shard.sources.iter().zip(answers) {
            let feed = &source.feed;
            gaps.extend(gaps_of(source, slot, &answer));
            match answer {
                Ok(mut batch) => {
                    batch.retain_slot(slot);
                    let name = feed.name().to_owned();
                    gauge!("marketlake_feed_last_slot_timestamp_seconds", "feed" => name)
                        .set(seconds(slot));
                    whole.merge(batch);
                }
                Err(error) => {
                    counter!("marketlake_feed_errors_total", "feed" => feed.name().to_owned())
                        .increment(1);
                    failures.push(format!("{}: {error}", feed.name()));
                    let feed = feed.name().to_owned();
                    let error = JobError::Feed { feed, error };
                    // What another attempt may mend comes before what none can.
                    if first_error.as_ref().is_none_or(JobError::is_not_covered) {
                        first_error = Some(error);
                    }
                }
            }
        }
        whole
            .samples
            .retain(|sample| shard.contains(&sample.metric));
        match first_error {
            Some(error) if whole.samples.is_empty() => Err(error),
            _ => {
                for failure in &failures {
                    run_log::log_feed(&self.failures, slot, failure);
                }
                if failures.is_empty() {
                    run_log::over(&self.failures, Self::NAME);
                }
                Ok(FetchedMinute {
                    batch: whole,
                    failures,
                    gaps,
                })
            }
        }
    }

    async fn commit(
        &self,
        run: &JobContext,
        fetched: FetchedMinute,
        outcome: Value,
    ) -> Result<(), JobError> {
        if fetched.batch.samples.is_empty() {
            let transaction = database::begin_write(self.lake.database()).await?;
            let now = run.now(&transaction).await?;
            gaps::insert(&transaction, &fetched.gaps, now).await?;
            run.finish(&transaction, &outcome).await?;
            transaction.commit().await?;
            return Ok(());
        }
        let minute = MinuteCommit {
            lake: &self.lake,
            run,
            samples: fetched.batch.samples,
            gaps: fetched.gaps,
            is_whole: self.shards.len() == 1,
            outcome,
        };
        commit(&self.lake, &minute).await?;
        Ok(())
    }
}

/// A minute as the feeds of a shard gave it.
struct FetchedMinute {
    batch: Batch,
    /// Feeds that failed, each with its error.
    failures: Vec<String>,
    /// Gaps of the feeds.
    gaps: Vec<NewGap>,
}

/// Gaps of a feed by its answer for a minute.
fn gaps_of(source: &Source, minute: Minute, answer: &Result<Batch, FeedError>) -> Vec<NewGap> {
    let (reason, detail) = match answer {
        Err(error) => (GapReason::FeedFailed, error.to_string()),
        Ok(batch) if batch.incomplete > 0 => {
            let detail = format!("pairs that were not complete: {}", batch.incomplete);
            (GapReason::Incomplete, detail)
        }
        Ok(_) if source.is_corrected => (GapReason::Polled, String::new()),
        Ok(_) => return Vec::new(),
    };
    NewGap::of_source(source, minute, reason, &detail)
}

/// Commits a minute or a shard of it, its gaps, the result of its run, and the slot of
/// `detect-jumps`.
struct MinuteCommit<'a> {
    lake: &'a Lake,
    run: &'a JobContext,
    samples: Vec<Sample>,
    gaps: Vec<NewGap>,
    is_whole: bool,
    outcome: Value,
}

#[async_trait]
impl Commit for MinuteCommit<'_> {
    type Error = JobError;

    async fn stage(&self) -> Result<StagedSegments, JobError> {
        let samples = self.samples.clone();
        let staged = match self.is_whole {
            true => self.lake.ingest().stage_minute(samples).await?,
            false => self.lake.ingest().stage_part(samples).await?,
        };
        fail_point!("between-object-and-commit");
        Ok(staged)
    }

    async fn restage(&self, _: StagedSegments, _: Minute) -> Result<StagedSegments, JobError> {
        self.stage().await
    }

    async fn record(
        &self,
        transaction: &DatabaseTransaction,
        staged: &StagedSegments,
    ) -> Result<Millis, JobError> {
        let now = self.run.now(transaction).await?;
        let mut outcome = self.outcome.clone();
        outcome["bytes"] = json!(staged.byte_count());
        gaps::insert(transaction, &self.gaps, now).await?;
        self.run.finish(transaction, &outcome).await?;
        Ok(now)
    }

    async fn follow_up(
        &self,
        transaction: &DatabaseTransaction,
        now: Millis,
    ) -> Result<(), JobError> {
        let slot = PlannedSlot::pending(self.run.slot);
        slots::enqueue(transaction, DETECT_JUMPS, &[slot], now).await?;
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn seconds(minute: Minute) -> f64 {
    (minute.start().0 / 1_000) as f64
}

#[async_trait]
impl Job for IngestMinute {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn writes_to_store(&self) -> bool {
        true
    }

    /// At the end of its minute: the last price of it is the minute's.
    fn due(&self, slot: Millis) -> Millis {
        slot.plus(MINUTE)
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(50),
            // The deadline ends them for a live feed.
            attempts: 10,
            dependencies: &[],
        }
    }

    /// Every minute since the last one planned, up to the last one that is over. Those that the
    /// feeds cannot supply any more are missed.
    async fn plan(&self, moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        if self.shards.is_empty() {
            return Ok(Vec::new());
        }
        // Every minute that a replay has come to is over: it was recorded.
        let newest = if self.pace.is_some() {
            moment.minute
        } else {
            moment.minute.plus(-1)
        };
        let latest = slots::latest(self.lake.database(), Self::NAME, newest.start())
            .await?
            .map(Millis::minute);
        // Of a minute with parts some may be missing: a replay begins with one, and who enters them
        // may be killed between two.
        let is_split = self.shards() > 1;
        let next = latest.map(|latest| if is_split { latest } else { latest.plus(1) });
        let is_missed_at = |minute: Minute, now: Millis| {
            let deadline = self.deadline(minute.start());
            deadline.is_some_and(|deadline| deadline < now)
        };
        let is_missed = |minute: Minute| is_missed_at(minute, moment.now);
        let first = match (self.pace, next) {
            (Some(pace), Some(next)) => next.max(pace.from),
            (Some(pace), None) => pace.from,
            (None, Some(next)) => next.max(newest.plus(-CATCH_UP_MINUTES)),
            // A lake begins with a minute that can still be recorded.
            (None, None) if is_missed_at(newest, moment.now.plus(FETCH_TIME)) => {
                return Ok(Vec::new());
            }
            (None, None) => newest,
        };
        let minutes = (first.number()..=newest.number()).map(Minute::from_number);
        let shards = self.shards();
        let each_part = minutes.flat_map(|minute| (0..shards).map(move |shard| (minute, shard)));
        let due = each_part.map(|(minute, shard)| PlannedSlot {
            slot: minute.start(),
            shard,
            state: if is_missed(minute) {
                JobRunState::Missed
            } else {
                JobRunState::Pending
            },
            reopen: false,
        });
        Ok(due.collect())
    }

    fn shards(&self) -> i32 {
        i32::try_from(self.shards.len()).unwrap_or(i32::MAX)
    }

    fn deadline(&self, slot: Millis) -> Option<Millis> {
        match self.coverage() {
            Coverage::LiveOnly => Some(slot.plus(LATENESS)),
            Coverage::Recent { minutes } => Some(self.due(slot).plus(MINUTE * u32::from(minutes))),
            Coverage::Historical => None,
        }
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let part = self.shard(run.shard)?;
        let fetched = self.fetch(part, run.slot.minute()).await?;
        let batch = &fetched.batch;
        let samples = batch.samples.len() as u64;
        let rejected: Vec<Value> = batch
            .first_rejected
            .iter()
            .map(|r| json!({"entry": r.entry, "reason": r.reason}))
            .collect();
        let outcome = json!({
            "samples": samples,
            "rejected": batch.rejected,
            "first_rejected": rejected,
            "other_kinds": batch.other_kinds,
            "incomplete": batch.incomplete,
            "feeds_failed": fetched.failures,
        });
        let (bad, other_kinds) = (batch.rejected, batch.other_kinds.clone());
        self.commit(run, fetched, outcome).await?;
        counter!("marketlake_samples_total").increment(samples);
        counter!("marketlake_samples_rejected_total").increment(bad);
        tracing::info!(
            slot = %run.slot,
            shard = run.shard,
            samples,
            rejected = bad,
            ?other_kinds,
            "minute ingested"
        );
        for rejected in &rejected {
            run_log::log_rejected(&self.rejections, run.slot, rejected);
        }
        Ok(())
    }
}
