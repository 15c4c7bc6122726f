//! `backfill`: loads the minutes of a day for some pairs from the history of an exchange. By hand
//! only; a slot is a day, so that it can be resumed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fail::fail_point;
use futures::{StreamExt, TryStreamExt, stream};
use marketlake_feeds::stream::Listing;
use marketlake_feeds::{FeedError, HistoryFeed};
use marketlake_lake::{Commit, Import, Lake, Span, StagedSegments, commit};
use marketlake_model::{Millis, Minute, Sample};
use parking_lot::Mutex;
use sea_orm::DatabaseTransaction;
use serde_json::json;
use tokio::time::sleep;

use crate::error::JobError;
use crate::job::{DAY, Job, JobContext, PlannedSlot, PlanningTime, Policy};

/// A longer pause than this is for a person to wait for.
const MAX_BACKOFF: Duration = Duration::from_secs(600);
const MAX_PAUSES: usize = 20;
/// Skipped symbols that the outcome of a run names.
const MAX_NAMED_SKIPS: usize = 20;

/// Hears of each symbol that is read: how many samples it had.
pub type OnSymbol = Box<dyn Fn(usize) + Send + Sync>;

/// The job. It leaves: the day's samples in the lake, merged with what it had. A symbol that the
/// exchange does not know is skipped.
pub struct Backfill {
    lake: Arc<Lake>,
    feed: Arc<HistoryFeed>,
    pairs: Vec<Listing>,
    span: Span,
    on_symbol: OnSymbol,
    /// Message of the exchange about each symbol that it does not know.
    skipped: Mutex<BTreeMap<String, String>>,
}

impl Backfill {
    /// Its name.
    pub const NAME: &'static str = "backfill";

    /// The job for some pairs of an exchange, and the minutes of a span.
    #[must_use]
    pub fn new(
        lake: Arc<Lake>,
        feed: Arc<HistoryFeed>,
        pairs: Vec<Listing>,
        span: Span,
        on_symbol: OnSymbol,
    ) -> Self {
        Self {
            lake,
            feed,
            pairs,
            span,
            on_symbol,
            skipped: Mutex::default(),
        }
    }

    /// Symbols that it skipped so far, since the exchange does not know them, each with the
    /// exchange's message.
    #[must_use]
    pub fn skipped(&self) -> BTreeMap<String, String> {
        self.skipped.lock().clone()
    }

    /// Minutes of a day that it loads.
    #[must_use]
    pub fn part_of(&self, day: Span) -> Span {
        Span {
            from: self.span.from.max(day.from),
            to: self.span.to.min(day.to),
        }
    }

    /// The part of a day's slot that stands for this market, these symbols and minutes, so that
    /// others have one of their own.
    #[must_use]
    pub fn shard(&self, day: Span) -> i32 {
        let (market, part) = (self.feed.market(), self.part_of(day));
        let symbols = self.pairs.iter().map(|listing| listing.symbol.as_str());
        let symbols = symbols.collect::<Vec<_>>().join(",");
        let text = format!("{market} {part:?} {symbols}");
        i32::try_from(crc32fast::hash(text.as_bytes()) >> 1).unwrap_or(0)
    }

    /// Samples of a pair; none of a symbol that the exchange does not know.
    async fn samples(&self, listing: &Listing, part: Span) -> Result<Vec<Sample>, JobError> {
        let symbol = listing.symbol.as_str();
        let is_skipped = self.skipped.lock().contains_key(symbol);
        let samples = match is_skipped {
            true => Vec::new(),
            false => match self.download(listing, part).await {
                Ok(samples) => samples,
                Err(FeedError::UnknownSymbol { message, .. }) => {
                    let market = self.feed.market();
                    let reason = message.as_str();
                    tracing::warn!(market, symbol, reason, "an unknown symbol is skipped");
                    self.skipped.lock().insert(symbol.to_owned(), message);
                    Vec::new()
                }
                Err(error) => {
                    let feed = format!("{}, {symbol}", self.feed.market());
                    return Err(JobError::Feed { feed, error });
                }
            },
        };
        (self.on_symbol)(samples.len());
        Ok(samples)
    }

    /// Downloads the samples of a pair, after the pauses that the exchange requests.
    async fn download(&self, listing: &Listing, part: Span) -> Result<Vec<Sample>, FeedError> {
        let mut pauses = 0;
        loop {
            match self.feed.minutes(listing, part.from, part.to).await {
                Err(FeedError::Throttled { pause, .. })
                    if pause <= MAX_BACKOFF && pauses < MAX_PAUSES =>
                {
                    pauses += 1;
                    tracing::info!(
                        symbol = listing.symbol,
                        pause = pause.as_secs(),
                        "the exchange requests a pause"
                    );
                    sleep(pause).await;
                }
                result => return result,
            }
        }
    }

    /// The first skipped symbols, for the outcome of a run.
    fn named_skips(&self) -> Vec<String> {
        let skipped = self.skipped.lock();
        skipped.keys().take(MAX_NAMED_SKIPS).cloned().collect()
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
        let concurrency = self.feed.limits().concurrency.max(1);
        let mut answers = stream::iter(self.pairs.clone())
            .map(|listing| async move { self.samples(&listing, part).await })
            .buffered(concurrency);
        while let Some(samples) = answers.try_next().await? {
            import.push(samples)?;
        }
        fail_point!("between-answers-and-import");
        let skipped = self.named_skips();
        let day = DayCommit {
            run,
            import,
            now,
            skipped,
        };
        commit(&self.lake, &day).await?;
        Ok(())
    }
}

/// Commits a day, and the result of its run.
struct DayCommit<'a> {
    run: &'a JobContext,
    import: Import,
    now: Millis,
    skipped: Vec<String>,
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
        let outcome = json!({
            "samples": did.samples,
            "added": did.added,
            "corrected": did.corrected,
            "skipped": self.skipped,
        });
        self.run.finish(transaction, &outcome).await?;
        Ok(self.now)
    }
}
