//! `backfill-binance`: loads the minutes of a day for some symbols from the history of the
//! exchange. By hand only; a slot is a day, so that it can be resumed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_feeds::{Binance, FeedError};
use marketlake_lake::{Commit, Import, Lake, Span, StagedSegments, commit};
use marketlake_model::{Millis, Minute, Sample};
use sea_orm::DatabaseTransaction;
use serde_json::json;
use tokio::time::sleep;

use crate::error::JobError;
use crate::job::{DAY, Job, JobContext, PlannedSlot, PlanningTime, Policy};

/// Symbols that are requested at the same time.
const CONCURRENCY: usize = 8;
/// A longer pause than this is for a person to wait for.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
const MAX_PAUSES: usize = 20;

/// Hears of each symbol that is read: how many samples it had.
pub type OnSymbol = Box<dyn Fn(usize) + Send + Sync>;

/// The job. It leaves: the day's prices and volumes in the lake, merged with what it had.
pub struct Backfill {
    lake: Arc<Lake>,
    feed: Arc<Binance>,
    symbols: Vec<String>,
    span: Span,
    on_symbol: OnSymbol,
}

impl Backfill {
    /// Its name.
    pub const NAME: &'static str = "backfill-binance";

    /// The job for some symbols, in lower case, and the minutes of a span.
    #[must_use]
    pub fn new(
        lake: Arc<Lake>,
        feed: Arc<Binance>,
        symbols: Vec<String>,
        span: Span,
        on_symbol: OnSymbol,
    ) -> Self {
        Self {
            lake,
            feed,
            symbols,
            span,
            on_symbol,
        }
    }

    /// Minutes of a day that it loads.
    #[must_use]
    pub fn part_of(&self, day: Span) -> Span {
        Span {
            from: self.span.from.max(day.from),
            to: self.span.to.min(day.to),
        }
    }

    /// The part of a day's slot that stands for these symbols and minutes, so that others have one
    /// of their own.
    #[must_use]
    pub fn shard(&self, day: Span) -> i32 {
        let part = self.part_of(day);
        let text = format!("{:?} {}", part, self.symbols.join(","));
        i32::try_from(crc32fast::hash(text.as_bytes()) >> 1).unwrap_or(0)
    }

    async fn symbol(&self, symbol: &str, part: Span) -> Result<Vec<Sample>, JobError> {
        let mut pauses = 0;
        loop {
            match self.feed.minutes(symbol, part.from, part.to).await {
                Ok(samples) => {
                    (self.on_symbol)(samples.len());
                    return Ok(samples);
                }
                Err(FeedError::Throttled { pause, .. })
                    if pause <= MAX_BACKOFF && pauses < MAX_PAUSES =>
                {
                    pauses += 1;
                    tracing::info!(
                        symbol,
                        pause = pause.as_secs(),
                        "the exchange requests a pause"
                    );
                    sleep(pause).await;
                }
                Err(error) => {
                    let feed = format!("binance, {symbol}");
                    return Err(JobError::Feed { feed, error });
                }
            }
        }
    }
}

#[async_trait]
impl Job for Backfill {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn interval(&self) -> Duration {
        DAY
    }

    fn policy(&self) -> Policy {
        Policy {
            timeout: Duration::from_secs(12 * 3_600),
            attempts: i32::MAX,
            dependencies: &[],
        }
    }

    /// None by time.
    async fn plan(&self, _moment: PlanningTime) -> Result<Vec<PlannedSlot>, JobError> {
        Ok(Vec::new())
    }

    async fn run(&self, run: &JobContext) -> Result<(), JobError> {
        let part = self.part_of(Span::day(run.slot.minute()));
        let now = run.now(self.lake.database()).await?;
        let mut import = self.lake.importer(now);
        let mut answers = stream::iter(self.symbols.clone())
            .map(|symbol| async move { self.symbol(&symbol, part).await })
            .buffered(CONCURRENCY);
        while let Some(samples) = answers.try_next().await? {
            import.push(samples)?;
        }
        fail_point!("between-answers-and-import");
        commit(&self.lake, &DayCommit { run, import, now }).await?;
        Ok(())
    }
}

/// Commits a day, and the result of its run.
struct DayCommit<'a> {
    run: &'a JobContext,
    import: Import,
    now: Millis,
}

#[async_trait]
impl Commit for DayCommit<'_> {
    type Error = JobError;

    async fn stage(&self) -> Result<StagedSegments, JobError> {
        Ok(self.import.stage().await?)
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
        let did = self.import.outcome(staged);
        let outcome =
            json!({"samples": did.samples, "added": did.added, "corrected": did.corrected});
        self.run.finish(transaction, &outcome).await?;
        Ok(self.now)
    }
}
