//! Optimistic commit: stages segments, publishes them in one transaction with the caller's own
//! statements, and stages again after a conflict with another commit.

use async_trait::async_trait;
use marketlake_entities::database;
use marketlake_model::{Millis, Minute};
use sea_orm::{DatabaseTransaction, DbErr};

use crate::error::LakeError;
use crate::ingest::stage::StagedSegments;
use crate::lake::Lake;

/// Attempts at a commit while others commit to the same hours.
const MAX_ATTEMPTS: usize = 20;

/// A commit of segments, and what belongs to it.
#[async_trait]
pub trait Commit: Send + Sync {
    /// Error of its own statements.
    type Error: From<LakeError> + From<DbErr> + Send;

    /// Writes the segments' objects, which nobody sees yet.
    async fn stage(&self) -> Result<StagedSegments, Self::Error>;

    /// Stages again after another commit changed the hour or day that begins at `conflict`.
    async fn restage(
        &self,
        staged: StagedSegments,
        conflict: Minute,
    ) -> Result<StagedSegments, Self::Error>;

    /// Executes the caller's statements before the segments are published, in the same transaction.
    /// Returns the time of the commit.
    async fn record(
        &self,
        transaction: &DatabaseTransaction,
        staged: &StagedSegments,
    ) -> Result<Millis, Self::Error>;

    /// Whether anything is to be committed: without segments its own statements may be left.
    fn is_due(&self, _: &StagedSegments) -> bool {
        true
    }

    /// Executes the caller's statements after that, in the same transaction.
    async fn follow_up(&self, _: &DatabaseTransaction, _: Millis) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Commits. After a crash nothing of it is visible, or all.
///
/// # Errors
/// Fails if the store or the database fails, or others commit to the same hours all the time.
pub async fn commit<C: Commit + ?Sized>(lake: &Lake, of: &C) -> Result<StagedSegments, C::Error> {
    let mut staged = of.stage().await?;
    let mut attempt = 1;
    while of.is_due(&staged) {
        let transaction = database::begin_write(lake.database()).await?;
        let now = of.record(&transaction, &staged).await?;
        match staged.publish(&transaction, now).await {
            Ok(()) => {
                of.follow_up(&transaction, now).await?;
                transaction.commit().await?;
                lake.notify_commit();
                return Ok(staged);
            }
            Err(LakeError::Conflict { first }) if attempt < MAX_ATTEMPTS => {
                transaction.rollback().await?;
                attempt += 1;
                staged = of.restage(staged, first).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(staged)
}
