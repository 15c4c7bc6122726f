//! Errors of feeds.

use std::time::Duration;

/// Error of a feed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// No connection, or it broke.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// URL of the request.
        url: String,
        /// Network error.
        reason: String,
    },
    /// No whole answer in time.
    #[error("no answer from {url} within {} s", .limit.as_secs_f32())]
    Slow {
        /// URL of the request.
        url: String,
        /// The time it had.
        limit: Duration,
    },
    /// The exchange requests a pause.
    #[error("{url} is rate-limited for {} s: {message}", .pause.as_secs())]
    Throttled {
        /// URL of the request.
        url: String,
        /// Duration of the pause.
        pause: Duration,
        /// Message of the exchange.
        message: String,
    },
    /// An HTTP status that is no success.
    #[error("{url} answered {status}: {message}")]
    Status {
        /// URL of the request.
        url: String,
        /// The status code.
        status: u16,
        /// The start of the body.
        message: String,
    },
    /// The exchange has no such symbol, or no longer.
    #[error("{url}: unknown symbol: {message}")]
    UnknownSymbol {
        /// URL of the request.
        url: String,
        /// Message of the exchange.
        message: String,
    },
    /// A body that is not what the feed documents.
    #[error("cannot read the answer of {url}: {reason}")]
    Malformed {
        /// URL of the request.
        url: String,
        /// Problem and its position.
        reason: String,
    },
    /// A minute of which a stream has no pair whole.
    #[error("{url}: {reason}")]
    NotCovered {
        /// Address of the stream.
        url: String,
        /// Reason.
        reason: String,
    },
    /// A readable answer without one sample that can be kept.
    #[error(
        "{url} returned no usable sample ({rejected} entries rejected{})",
        first_rejected(.first.as_deref())
    )]
    Empty {
        /// URL of the request.
        url: String,
        /// Number of entries, all rejected.
        rejected: u64,
        /// The first of them and its reason.
        first: Option<String>,
    },
}

/// The first rejected entry, as the end of a list.
fn first_rejected(first: Option<&str>) -> String {
    let first = first.map(|first| format!(", first: {first}"));
    first.unwrap_or_default()
}

impl FeedError {
    /// Maps its texts, for instance to remove secrets.
    #[must_use]
    pub(crate) fn map_text(mut self, change: impl Fn(&str) -> String) -> Self {
        match &mut self {
            Self::Unreachable { url, reason }
            | Self::Malformed { url, reason }
            | Self::NotCovered { url, reason } => {
                (*url, *reason) = (change(url), change(reason));
            }
            Self::Throttled { url, message, .. }
            | Self::Status { url, message, .. }
            | Self::UnknownSymbol { url, message } => {
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

    /// Pause that the exchange requested.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match self {
            Self::Throttled { pause, .. } => Some(*pause),
            _ => None,
        }
    }

    /// Returns whether an immediate retry may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Malformed { .. } => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Throttled { .. }
            | Self::UnknownSymbol { .. }
            | Self::Empty { .. }
            | Self::NotCovered { .. } => false,
        }
    }
}
