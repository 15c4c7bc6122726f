//! The promise of a feed.

use std::time::Duration;

use async_trait::async_trait;
use marketlake_model::Minute;

use crate::Batch;

/// How far back a feed can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recall {
    /// It knows the price of this moment only: a minute that was not asked for in time is lost to it.
    Now,
    /// It answers for any slot, however late it is asked.
    History,
}

/// A source of prices.
///
/// Asking is idempotent and has no effect outside. An answer holds at most one sample a metric, each with `ts` = the
/// slot; entries that could not be kept are counted in it with the reason. An answer without
/// any sample is an error.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Its name in logs and figures: `binance`.
    fn name(&self) -> &str;

    /// How far back it can answer.
    fn recall(&self) -> Recall;

    /// The samples of one slot. Transient failures are retried a few times, for at most half a minute in all.
    ///
    /// # Errors
    /// A [`FeedError`], which says whether and when asking again makes sense.
    async fn samples(&self, slot: Minute) -> Result<Batch, FeedError>;
}

/// Why a feed gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No connection, or it broke.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// No whole answer in time.
    #[error("no answer from {url} within {} s", .limit.as_secs_f32())]
    Slow {
        /// What was asked.
        url: String,
        /// The time it had.
        limit: Duration,
    },
    /// The exchange asks to be left alone for a while.
    #[error("{url} asks for a pause of {} s: {message}", .pause.as_secs())]
    Throttled {
        /// What was asked.
        url: String,
        /// For how long not to ask.
        pause: Duration,
        /// What it said.
        message: String,
    },
    /// An HTTP status that is no success.
    #[error("{url} answered {status}: {message}")]
    Status {
        /// What was asked.
        url: String,
        /// The status code.
        status: u16,
        /// The start of the body.
        message: String,
    },
    /// A body that is not what the feed documents.
    #[error("cannot read the answer of {url}: {reason}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A readable answer without one sample that can be kept.
    #[error("{url} answered without one usable sample ({rejected} entries rejected{})", .first.as_ref().map(|f| format!(", first: {f}")).unwrap_or_default())]
    Empty {
        /// What was asked.
        url: String,
        /// How many entries were there, all bad.
        rejected: u64,
        /// The first of them and its reason.
        first: Option<String>,
    },
}

impl FeedError {
    /// The same with its texts changed, for instance without secrets.
    #[must_use]
    pub(crate) fn map_text(mut self, change: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::Unreachable { url, reason } | Self::Malformed { url, reason } => {
                (*url, *reason) = (change(url), change(reason));
            }
            Self::Throttled { url, message, .. } | Self::Status { url, message, .. } => {
                (*url, *message) = (change(url), change(message));
            }
            Self::Slow { url, .. } => *url = change(url),
            Self::Empty { url, first, .. } => {
                *url = change(url);
                *first = first.as_deref().map(change);
            }
        }
        self
    }

    /// For how long the exchange must be left alone, where it said so.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Throttled { pause, .. } => Some(*pause),
            _ => None,
        }
    }

    /// Whether asking again at once may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Malformed { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Throttled { .. } | Self::Empty { .. } => false,
        }
    }
}
