//! Errors of a stream's connection.

use std::time::Duration;

use tokio_tungstenite::tungstenite;

/// Error of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// No connection, or it broke.
    #[error("the connection to {url} failed")]
    Connection {
        /// Address, without credentials.
        url: String,
        /// Cause.
        #[source]
        source: Box<tungstenite::Error>,
    },
    /// The handshake was answered with another status than 101.
    #[error("{url} answered {status}: {message}")]
    Status {
        /// Address, without credentials.
        url: String,
        /// Status.
        status: u16,
        /// Start of the body.
        message: String,
        /// Pause that the exchange requests.
        pause: Option<Duration>,
    },
    /// A step took too long.
    #[error("{what} took longer than {} s", .limit.as_secs_f32())]
    Timeout {
        /// Step.
        what: &'static str,
        /// Time that it had.
        limit: Duration,
    },
    /// The connection is open and no data comes.
    #[error("no data for {} s", .limit.as_secs_f32())]
    Idle {
        /// Time without data.
        limit: Duration,
    },
    /// The exchange closed the connection.
    #[error("the exchange closed the connection{}", closing(.reason))]
    Closed {
        /// Reason of the exchange.
        reason: String,
    },
    /// No symbol was acknowledged.
    #[error("none of {count} symbols was subscribed: {reason}")]
    NotSubscribed {
        /// Number of symbols.
        count: usize,
        /// Message of the exchange, or that it sent none.
        reason: String,
    },
}

fn closing(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(": {reason}"),
    }
}

impl StreamError {
    /// Pause that the exchange requests.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Status { pause, .. } => *pause,
            _ => None,
        }
    }
}
