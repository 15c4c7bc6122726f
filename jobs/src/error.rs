//! Why a run failed, and what follows from it.

use std::time::Duration;

use marketlake_alerts::AlertError;
use marketlake_common::causes;
use marketlake_entities::database::outage::with_cause;
use marketlake_feeds::FeedError;
use marketlake_lake::{LakeError, MismatchError};
use marketlake_model::Millis;
use sea_orm::DbErr;

use crate::supervisor::TaskError;

/// Why a run did not end well. Each decides whether the slot is tried again: see [`JobError::retry`].
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No feed gave samples.
    #[error("feed {feed}: {error}")]
    Feed {
        /// Its name.
        feed: String,
        /// Why.
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
    #[error("the slot is held by another worker now; this one's work is dropped")]
    Fenced,
    /// It took too long.
    #[error("not done within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// Its time has passed.
    #[error("too late: the slot was to be done by {0}")]
    TooLate(Millis),
    /// It panicked; what it was about to commit is rolled back.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Every attempt was used up, the last ones by workers that died.
    #[error("given up after {0} attempts")]
    WornOut(i32),
    /// It was still running when the process had to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// The slot is of a part that the configured feeds do not have.
    #[error("shard {shard}: expected 0 to {}, by the feeds' settings", .parts.saturating_sub(1))]
    NoSuchPart {
        /// The part that was claimed.
        shard: i32,
        /// How many there are.
        parts: usize,
    },
    /// A task of the scheduler ended too often.
    #[error(transparent)]
    Ended(#[from] TaskError),
    /// A task of the scheduler is lost.
    #[error("scheduler: {0}")]
    Bell(String),
}

impl JobError {
    /// Why nothing can be written, where it is that: a full disk, a store or a database that
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

    /// Whether another attempt may help, and after what pause where the cause asks for one.
    #[must_use]
    pub fn retry(&self) -> Option<Option<Duration>> {
        match self {
            Self::Feed { error, .. } => Some(error.pause()),
            Self::Lake(LakeError::Mismatch(MismatchError::Contended { .. })) => Some(None),
            Self::Lake(
                LakeError::Corrupt { .. }
                | LakeError::InvalidUrl(_)
                | LakeError::Encode(_)
                | LakeError::Mismatch(_)
                | LakeError::InvalidTime { .. },
            )
            | Self::Fenced
            | Self::NoSuchPart { .. }
            | Self::Bell(_)
            | Self::Ended(_)
            | Self::WornOut(_) => None,
            Self::Alerts(error) if error.is_lasting() => None,
            Self::Stopped | Self::TooLate(_) => Some(Some(Duration::ZERO)),
            Self::Lake(_)
            | Self::Alerts(_)
            | Self::Records(_)
            | Self::TimedOut(_)
            | Self::Panicked(_) => Some(None),
        }
    }
}
