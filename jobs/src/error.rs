//! Errors of runs, and whether each is retried.

use std::time::Duration;

use marketlake_alerts::AlertError;
use marketlake_common::{BoxError, causes};
use marketlake_entities::database::outage::with_cause;
use marketlake_feeds::FeedError;
use marketlake_lake::{LakeError, MismatchError};
use marketlake_model::Millis;
use sea_orm::DbErr;

use crate::supervisor::TaskError;

/// Retry policy of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not at all: another attempt cannot help.
    Never,
    /// After the pause that the cause requests.
    After(Duration),
    /// After the runner's exponential backoff.
    Backoff,
}

/// Error of a run. Each variant decides whether the slot is retried: see [`JobError::retry`].
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No feed gave samples.
    #[error("feed {feed}: {error}")]
    Feed {
        /// Its name.
        feed: String,
        /// The error.
        #[source]
        error: FeedError,
    },
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Alerts failed.
    #[error(transparent)]
    Alerts(#[from] AlertError),
    /// The slot table failed.
    #[error("job_runs: {0}")]
    Records(#[from] DbErr),
    /// The lease went to another worker; whatever this one was about to commit is rolled back.
    #[error("another worker holds the slot now; this worker's result is discarded")]
    Fenced,
    /// It took too long.
    #[error("not done within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Its time has passed.
    #[error("too late: the deadline of the slot was {0}")]
    TooLate(Millis),
    /// It panicked; what it was about to commit is rolled back.
    #[error("panicked: {0}")]
    Panicked(String),
    /// All attempts were used up, the last ones by workers that died.
    #[error("given up after {0} attempts")]
    AttemptsExhausted(i32),
    /// It was still running when the process had to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// The slot is of a shard that the configured feeds do not have.
    #[error("shard {shard}: expected 0 to {}, by the feeds' settings", .count.saturating_sub(1))]
    UnknownShard {
        /// The shard that was claimed.
        shard: i32,
        /// Number of shards.
        count: usize,
    },
    /// A task of the scheduler ended too often.
    #[error(transparent)]
    Ended(#[from] TaskError),
    /// The cron scheduler cannot be started or was lost.
    #[error("scheduler: {0}")]
    Cron(#[source] BoxError),
}

impl JobError {
    /// Reason if nothing can be written: a full disk, a store or a database that
    /// refuses, or a store whose lake is another database's.
    #[must_use]
    pub fn write_failure(&self) -> Option<String> {
        match self {
            Self::Lake(
                LakeError::Store(_)
                | LakeError::Catalog(_)
                | LakeError::Spill(_)
                | LakeError::Mismatch(_),
            )
            | Self::Records(_) => Some(format!(
                "the last run could not write: {}",
                with_cause(self)
            )),
            _ => None,
        }
    }

    /// Whether it came of the database, whose outages are logged as such.
    #[must_use]
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::TimedOut(_)) || causes(self).any(<dyn std::error::Error>::is::<DbErr>)
    }

    /// Whether this process has nothing of the slot; another one may have.
    #[must_use]
    pub fn is_not_covered(&self) -> bool {
        matches!(
            self,
            Self::Feed {
                error: FeedError::NotCovered { .. },
                ..
            }
        )
    }

    /// Whether and when the slot is attempted again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Feed { error, .. } => error.pause().map_or(Retry::Backoff, Retry::After),
            Self::Lake(LakeError::Mismatch(MismatchError::Contended { .. })) => Retry::Backoff,
            Self::Lake(
                LakeError::Corrupt { .. }
                | LakeError::InvalidUrl(_)
                | LakeError::Encode(_)
                | LakeError::Mismatch(_)
                | LakeError::InvalidTime { .. },
            )
            | Self::Fenced
            | Self::UnknownShard { .. }
            | Self::Cron(_)
            | Self::Ended(_)
            | Self::AttemptsExhausted(_) => Retry::Never,
            Self::Alerts(error) if error.is_lasting() => Retry::Never,
            Self::Stopped | Self::TooLate(_) => Retry::After(Duration::ZERO),
            Self::Lake(_)
            | Self::Alerts(_)
            | Self::Records(_)
            | Self::TimedOut(_)
            | Self::Panicked(_) => Retry::Backoff,
        }
    }
}
