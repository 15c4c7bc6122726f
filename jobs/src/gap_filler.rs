//! Filling of a market's gaps from the history of its exchange, a span of minutes a run.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use marketlake_feeds::stream::Listing;
use marketlake_feeds::{FeedError, HistoryFeed};
use marketlake_lake::{Import, Lake, LakeError, QueryEngine, Span};
use marketlake_model::{Metric, Millis};
use parking_lot::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::error::JobError;
use crate::gap_progress::{GapProgress, Stop};
use crate::gap_upkeep::{MAX_AGE_MINUTES, TOO_OLD, give_up_before};
use crate::gaps;

/// Age of the list of pairs after which it is read again.
const PAIRS_TTL_MS: i64 = 3_600_000;
/// Minutes of one run, however many an answer of the exchange holds.
const MAX_SPAN_MINUTES: usize = 1_440;
/// Metrics of one query for what is recorded.
const QUERY_METRICS: usize = 500;

/// Pairs of the exchange, with the time at which they were read.
type CachedPairs = Option<(Millis, Arc<Vec<Listing>>)>;

/// Fills the gaps of one market.
pub(crate) struct GapFiller {
    history: Arc<HistoryFeed>,
    pairs: Mutex<CachedPairs>,
}

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FillTime {
    /// Time of the run by the database's clock.
    pub(crate) now: Millis,
    /// Whether that clock was not set recently: what looks old is old.
    pub(crate) is_trusted: bool,
    /// Time at which requests end.
    pub(crate) deadline: Instant,
    /// Time that requests had until then.
    pub(crate) limit: Duration,
}

impl GapFiller {
    pub(crate) fn new(history: Arc<HistoryFeed>) -> Self {
        Self {
            history,
            pairs: Mutex::new(None),
        }
    }

    /// Its market.
    pub(crate) fn market(&self) -> &'static str {
        self.history.market()
    }

    /// Requests what the newest gap of the market lacks, and those before it, until all pairs are
    /// done or the time is over; samples go to the import. `None` if no gap is due.
    ///
    /// # Errors
    /// If the table of gaps cannot be read. An exchange or a lake that fails is a [`GapProgress`].
    pub(crate) async fn fill(
        &self,
        lake: &Lake,
        import: &Mutex<Import>,
        time: FillTime,
    ) -> Result<Option<GapProgress>, JobError> {
        if time.is_trusted {
            self.give_up_old(lake, time.now).await?;
        }
        let rows = self.history.limits().max_rows.clamp(1, MAX_SPAN_MINUTES) as u64;
        let span = gaps::next_due(lake.database(), self.market(), time.now, rows).await?;
        let has_all_minutes = !self.history.limits().omits_quiet_minutes;
        let Some(mut progress) = GapProgress::new(self.market(), span, has_all_minutes) else {
            return Ok(None);
        };
        match self.pairs_to_request_in_time(lake, &progress, time).await {
            Ok(wanted) => self.request(wanted, &mut progress, import, time).await,
            Err(stop) => progress.stop(stop),
        }
        Ok(Some(progress))
    }

    /// Requests pairs until all of them are done, the exchange fails, or the time is over.
    async fn request(
        &self,
        wanted: Vec<Listing>,
        progress: &mut GapProgress,
        import: &Mutex<Import>,
        time: FillTime,
    ) {
        let (from, to) = progress.bounds();
        let mut answers = stream::iter(wanted)
            .map(|listing| async move {
                let answer = self.history.minutes(&listing, from, to).await;
                (listing, answer)
            })
            .buffered(self.history.limits().concurrency.max(1));
        while !progress.is_stopped() {
            match timeout_at(time.deadline, answers.next()).await {
                Ok(Some((listing, answer))) => {
                    let samples = progress.take(&listing.symbol, answer);
                    if samples.is_empty() {
                        continue;
                    }
                    let pushed = import.lock().push(samples);
                    if let Err(error) = pushed {
                        progress.stop(Stop::Lake(error.to_string()));
                    }
                }
                Ok(None) => {
                    progress.finish();
                    break;
                }
                Err(_) => progress.stop(Stop::OutOfTime(time.limit)),
            }
        }
    }

    /// Gives up gaps that the exchange's history no longer reaches.
    async fn give_up_old(&self, lake: &Lake, now: Millis) -> Result<(), JobError> {
        let kept = self.history.limits().max_age_minutes;
        let (age, reason) = match kept.filter(|kept| *kept < MAX_AGE_MINUTES) {
            Some(kept) => (kept, format!("the exchange keeps about {kept} minutes")),
            None => (MAX_AGE_MINUTES, TOO_OLD.to_owned()),
        };
        let (market, oldest) = (self.market(), now.minute().plus(-age));
        let database = lake.database();
        let lost = give_up_before(database, Some(market), oldest, &reason, now).await?;
        if lost > 0 {
            tracing::warn!(market, gaps = lost, before = %oldest, reason, "gaps given up");
        }
        Ok(())
    }

    /// Pairs of the exchange by their symbols, at most an hour old.
    async fn pairs(&self, now: Millis) -> Result<Arc<Vec<Listing>>, FeedError> {
        let cached = self.pairs.lock().clone();
        if let Some((at, pairs)) = cached
            && (0..PAIRS_TTL_MS).contains(&now.since(at))
        {
            return Ok(pairs);
        }
        let mut pairs = self.history.pairs().await?;
        // The position of a gap is a symbol in this order.
        pairs.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let pairs = Arc::new(pairs);
        *self.pairs.lock() = Some((now, Arc::clone(&pairs)));
        Ok(pairs)
    }

    /// Pairs to request, or the reason for which there are none.
    async fn pairs_to_request_in_time(
        &self,
        lake: &Lake,
        progress: &GapProgress,
        time: FillTime,
    ) -> Result<Vec<Listing>, Stop> {
        let out_of_time = |_: Elapsed| Stop::OutOfTime(time.limit);
        let pairs = timeout_at(time.deadline, self.pairs(time.now)).await;
        let pairs = pairs.map_err(out_of_time)?.map_err(Stop::Failed)?;
        let wanted = timeout_at(time.deadline, self.pairs_to_request(lake, progress, &pairs)).await;
        let wanted = wanted.map_err(out_of_time)?;
        wanted.map_err(|error| Stop::Lake(error.to_string()))
    }

    /// Pairs to request: those behind the position, and of incomplete minutes, or in another round,
    /// those only of which a minute is not proved.
    async fn pairs_to_request(
        &self,
        lake: &Lake,
        progress: &GapProgress,
        pairs: &[Listing],
    ) -> Result<Vec<Listing>, LakeError> {
        let position = progress.position();
        let is_left = |pair: &&Listing| position.is_none_or(|done| pair.symbol.as_str() > done);
        let left: Vec<Listing> = pairs.iter().filter(is_left).cloned().collect();
        let Some(measure) = progress.proof() else {
            return Ok(left);
        };
        let (from, to) = progress.bounds();
        let minutes = usize::try_from(to.number() - from.number() + 1).unwrap_or(usize::MAX);
        let proof = |pair: &Listing| Metric::new(self.market(), &pair.pair, measure).ok();
        let mut recorded: HashSet<Metric> = HashSet::new();
        for some in left.chunks(QUERY_METRICS) {
            let metrics: Vec<Metric> = some.iter().filter_map(proof).collect();
            let series = lake.engine().series(&metrics, Span { from, to }).await?;
            let whole = metrics.into_iter().zip(series);
            let whole = whole.filter(|(_, points)| points.len() >= minutes);
            recorded.extend(whole.map(|(metric, _)| metric));
        }
        let lacks = |pair: &Listing| proof(pair).is_some_and(|metric| !recorded.contains(&metric));
        Ok(left.into_iter().filter(lacks).collect())
    }
}
