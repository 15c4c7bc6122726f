//! Trait of a feed.

use async_trait::async_trait;
use marketlake_model::Minute;

use crate::batch::Batch;
use crate::error::FeedError;

/// Coverage of a feed in time, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// The current price only: a minute that is not requested in time is lost.
    LiveOnly,
    /// Minutes of the recent past, while they are held in memory: older ones are lost.
    Recent {
        /// Number of minutes that are held.
        minutes: u16,
    },
    /// Any slot, however long ago.
    Historical,
}

/// A source of prices.
///
/// A request is idempotent and has no effect outside. An answer holds at most one sample a metric,
/// each with `ts` = the slot; entries that could not be kept are counted in it with the reason. An
/// answer without any sample is an error.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Its name in logs and figures: `binance`.
    fn name(&self) -> &str;

    /// Coverage in time.
    fn coverage(&self) -> Coverage;

    /// The samples of one slot, whose minute is over. Transient failures are retried a few times,
    /// for at most half a minute in all.
    ///
    /// # Errors
    /// A [`FeedError`], which says whether and when to retry.
    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError>;
}
